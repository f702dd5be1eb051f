"""`headcheck baseline`: the known failures of a subject, written down so that only new ones stop anybody."""

from __future__ import annotations

from pathlib import Path

import click

from .usage import Group, Misuse, UsageCommand

FILE = "headcheck-baseline.toml"


@click.group(name="baseline", cls=Group)
def group() -> None:
    """Write down known failures, and take out those that are mended."""


@group.command(name="write", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.option("--baseline", "path", type=click.Path(path_type=Path), metavar="F", default=FILE,
              show_default=True, help="The list of known failures (TOML).")  # fmt: skip
def write(results: Path, path: Path) -> None:
    """Write the failures of RESULTS.json as known.  What people wrote into entries that stay is kept."""
    from .. import baseline, record

    try:
        run = record.read(results)
        existing = baseline.read(path) if path.exists() else None
        written = baseline.write(run, existing)
        path.write_text(baseline.dumps(written), encoding="utf-8")
    except (record.RecordError, baseline.BaselineError) as error:
        raise Misuse(str(error)) from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    count = len(written.entries)
    click.echo(f"{path}: {count} known failure{'' if count == 1 else 's'}. Give each a reason.")


@group.command(name="prune", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.option("--baseline", "path", type=click.Path(path_type=Path), metavar="F", default=FILE,
              show_default=True, help="The list of known failures (TOML).")  # fmt: skip
def prune(results: Path, path: Path) -> None:
    """Take out the entries that RESULTS.json shows to be mended."""
    from .. import baseline, record

    try:
        known = baseline.read(path)
        left = baseline.prune(record.read(results), known)
        path.write_text(baseline.dumps(left), encoding="utf-8")
    except (record.RecordError, baseline.BaselineError) as error:
        raise Misuse(str(error)) from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"{path}: {len(known.entries) - len(left.entries)} taken out, {len(left.entries)} left")
