"""A command whose usage errors are one line and end with the exit status reserved for them."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource


class Misuse(click.ClickException):
    """A wrong option or argument: what was given, and what was expected."""

    exit_code = 4  # pytest's status for the same thing


class Group(click.Group):
    """A group of commands that answers its bare name with its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ask for help where nothing is asked for."""
        return super().parse_args(ctx, args or ["--help"])


class UsageCommand(click.Command):
    """A click command that answers misuse with one line and status 4, not with a usage text and 2."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except click.BadParameter as error:
            raise Misuse(f"{error.format_message()}{_origin(error)}") from error
        except click.UsageError as error:
            raise Misuse(error.format_message()) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; some misuse can only be seen there."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise Misuse(error.format_message()) from error


def _origin(error: click.BadParameter) -> str:
    """Return where a value came from, if not from the command line."""
    context, parameter = error.ctx, error.param
    if context is None or parameter is None or parameter.name is None:
        return ""
    if context.get_parameter_source(parameter.name) is not ParameterSource.ENVIRONMENT:
        return ""
    variable = parameter.envvar or f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
    return f" (from the environment: {variable})"
