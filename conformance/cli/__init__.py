"""The command line.  `headcheck --help` imports no framework and no NumPy."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

from .. import __version__
from .usage import Group, Misuse, say

COMMANDS = {
    "run": "run:command",
    "list": "spec:subjects",
    "spec": "spec:table",
    "explain": "spec:explain",
    "replay": "replay:command",
    "report": "report:command",
    "diff": "diff:command",
    "baseline": "baseline:group",
    "adapter": "adapter:group",
    "cost": "cost:command",
    "config": "config:command",
    "selftest": "selftest:command",
}


class Commands(Group):
    """Imports a command when it is asked for, and answers a misspelt one with the nearest known."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they are met."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"headcheck.cli.{module}"), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command named, or say which was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}"
            raise Misuse(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="headcheck", message="%(prog)s %(version)s")
def group() -> None:
    """Judge implementations of multi-head attention against one specification.

    To begin: headcheck run mymodel.py:MyAttention
    """


def _interrupted(number: int, frame: object) -> None:
    """End as Ctrl-C does, so that what is judged already is reported; a job's time limit asks to end so."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit with its status."""
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        # Cases are small: threads would wait for each other longer than they work, here and in the workers.
        os.environ.setdefault(pool, "1")
    # What Hypothesis keeps of the modules it has read would lie in the user's repository.
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(home, "headcheck", "hypothesis"))
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        status = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("headcheck: interrupted", err=True)
        sys.exit(2)
    except click.UsageError as error:
        say(f"headcheck: {error.format_message()}", to_stderr=True)
        sys.exit(4)
    except click.ClickException as error:
        say(f"headcheck: {error.format_message()}", to_stderr=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("HEADCHECK_DEBUG"):
            raise
        say(f"headcheck: an error of its own: {type(error).__name__}: {error}", to_stderr=True)
        click.echo("Set HEADCHECK_DEBUG=1 for the traceback, and report it with the command.", err=True)
        sys.exit(3)
    sys.exit(status if isinstance(status, int) else 0)
