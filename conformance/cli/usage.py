"""A command whose usage errors are one line and end with the exit status reserved for them."""

from __future__ import annotations

from typing import Any

import click


class Misuse(click.ClickException):
    """A wrong option or argument: what was given, and what was expected."""

    exit_code = 4  # pytest's status for the same thing


class UsageCommand(click.Command):
    """A click command that answers misuse with one line and status 4, not with a usage text and 2."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise Misuse(error.format_message()) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; some misuse can only be seen there."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise Misuse(error.format_message()) from error
