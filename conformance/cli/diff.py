"""`headcheck diff`: what changed between two runs."""

from __future__ import annotations

from pathlib import Path

import click

from .usage import Misuse, UsageCommand, echo, quoting, say


@click.command(name="diff", cls=UsageCommand)
@click.argument("old", metavar="OLD.json", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW.json", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text",
              show_default=True, help="How to print.")  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path), metavar="F",
              help="Write the report of NEW.json, with the changes marked.")  # fmt: skip
def command(old: Path, new: Path, form: str, html: Path | None) -> int:
    """Compare OLD.json with NEW.json: new failures, fixed, changed.

    Exit status: 0 no new failure, 1 a new failure, 4 a file that cannot be used.
    """
    from headcheck.reports import differences
    from rich.console import Console

    from ..diff import compare
    from ..record import RecordError, read

    try:
        earlier, later = read(old), read(new)
    except RecordError as error:
        raise Misuse(str(error)) from None
    difference = compare(earlier, later)
    if form == "markdown":
        echo(differences.markdown(difference))
    elif form == "json":
        echo(differences.to_json(difference))
    else:
        with quoting():
            differences.print_diff(difference, Console(highlight=False))
    if html:
        from headcheck.reports.html import render

        try:
            html.write_text(render(later, difference), encoding="utf-8")
        except OSError as error:
            raise Misuse(f"cannot write {html}: {error.strerror}") from None
        say(f"Report: {html}", to_stderr=form != "text")
    return 1 if difference.new else 0
