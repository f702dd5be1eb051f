"""`headcheck diff`: what changed between two runs."""

from __future__ import annotations

from pathlib import Path

import click

from .usage import Misuse, UsageCommand


@click.command(name="diff", cls=UsageCommand)
@click.argument("old", metavar="OLD.json", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW.json", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text",
              show_default=True, help="How to print.")  # fmt: skip
def command(old: Path, new: Path, form: str) -> int:
    """Compare OLD.json with NEW.json: new failures, fixed, changed.

    Exit status: 1 where there is a new failure, else 0.
    """
    from headcheck.reports import differences
    from rich.console import Console

    from ..diff import compare
    from ..record import RecordError, read

    try:
        difference = compare(read(old), read(new))
    except RecordError as error:
        raise Misuse(str(error)) from None
    if form == "markdown":
        click.echo(differences.markdown(difference))
    elif form == "json":
        click.echo(differences.to_json(difference))
    else:
        differences.print_diff(difference, Console(highlight=False))
    return 1 if difference.new else 0
