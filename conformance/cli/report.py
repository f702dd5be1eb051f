"""`headcheck report`: draw reports from a results file, with no framework and no subject at hand."""

from __future__ import annotations

from pathlib import Path

import click

from .usage import Misuse, UsageCommand, say, show


@click.command(name="report", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Write the report, one HTML page.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="F", help="Write JUnit XML.")
@click.option("--output", multiple=True, metavar="FORMAT=FILE",
              help="Write any other format of `headcheck run`; may be repeated.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print one line per subject.")
def command(
    results: Path, html: Path | None, junit: Path | None, output: tuple[str, ...], quiet: bool
) -> None:
    """Draw reports from RESULTS.json; without an output, print it."""
    from headcheck.reports.outputs import OutputError, render, requested

    from ..record import RecordError, read

    wanted = [(form, path) for form, path in (("html", html), ("junit", junit)) if path]
    try:
        wanted += [requested(text) for text in output]
        run = read(results)
    except (OutputError, RecordError) as error:
        raise Misuse(str(error)) from None
    for form, path in wanted:
        try:
            path.write_text(render(form, run), encoding="utf-8")
        except OSError as error:
            raise Misuse(f"cannot write {path}: {error.strerror}") from None
        say(f"{form}: {path}")
    if not wanted:
        show(run, quiet=quiet)
