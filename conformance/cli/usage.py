"""A command whose usage errors are one line and end with the exit status reserved for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from ..verdicts import Run


class Misuse(click.ClickException):
    """A wrong option or argument: what was given, and what was expected."""

    exit_code = 4  # pytest's status for the same thing


def echo(text: str, *, to_stderr: bool = False) -> None:
    """Print a text; what the stream's encoding lacks is written as escapes."""
    encoding = (sys.stderr if to_stderr else sys.stdout).encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=to_stderr)


def say(text: str, *, to_stderr: bool = False) -> None:
    """Print one line that may quote an implementation or a file; nothing in it acts."""
    from headcheck.reports.plain import clean

    echo(clean(text, 4000).replace("\n", " "), to_stderr=to_stderr)


@contextmanager
def quoting() -> Iterator[None]:
    """Mark what is printed inside as foreign: in a job of GitHub Actions nothing of it is a command."""
    from headcheck.reports.github import unheeded

    with unheeded(click.echo):
        yield


def show(run: Run, *, quiet: bool) -> None:
    """Print a run."""
    from headcheck.reports.terminal import print_run
    from rich.console import Console

    with quoting():
        print_run(run, Console(highlight=False), quiet=quiet)


class Seconds(click.FloatRange):
    """A time limit: at least a tenth of a second, and at most a day, which nan and inf are not."""

    def __init__(self) -> None:
        super().__init__(min=0.1, max=86_400.0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds; what is not a number is in no range."""
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return seconds


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
