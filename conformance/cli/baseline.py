"""`headcheck baseline`: the known failures of a subject, written down so that only new ones stop anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .usage import Group, Misuse, UsageCommand, say

if TYPE_CHECKING:
    from ..known_failures import Baseline
    from ..verdicts import Run

FILE = "headcheck-baseline.toml"


@click.group(name="baseline", cls=Group)
def group() -> None:
    """Keep the list of known failures."""


@group.command(name="write", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.option("--baseline", "path", type=click.Path(path_type=Path), metavar="F", default=FILE,
              show_default=True, help="The list of known failures (TOML).")  # fmt: skip
def write(results: Path, path: Path) -> None:
    """Write the failures of RESULTS.json as known.

    Reasons, links and dates in entries that stay are kept.
    """
    from .. import baseline, record

    try:
        run = record.read(results)
        existing = baseline.read(path) if path.exists() else None
        written = baseline.write(run, existing)
        if existing is None and not written.entries:
            say(f"{results} has no failure that would stop a run: there is nothing to write.")
            return
        path.write_text(baseline.dumps(written), encoding="utf-8")
    except (record.RecordError, baseline.BaselineError) as error:
        raise Misuse(str(error)) from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    count = len(written.entries)
    bare = " Give each a reason." if not all(entry.reason for entry in written.entries) else ""
    say(f"{path}: {count} known failure{'' if count == 1 else 's'}.{bare}")


@group.command(name="prune", cls=UsageCommand)
@click.argument("results", metavar="[RESULTS.json]", required=False, type=click.Path(path_type=Path))
@click.option("--baseline", "path", type=click.Path(path_type=Path), metavar="F", default=FILE,
              show_default=True, help="The list of known failures (TOML).")  # fmt: skip
def prune(results: Path | None, path: Path) -> None:
    """Take out the entries that are mended.

    By RESULTS.json, or without it by judging what is listed.
    """
    from .. import baseline, record

    try:
        known = baseline.read(path)
        run = record.read(results) if results else _judged(known)
        left = baseline.prune(run, known)
        path.write_text(baseline.dumps(left), encoding="utf-8")
    except (record.RecordError, baseline.BaselineError) as error:
        raise Misuse(str(error)) from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    for subject in run.subjects:
        if subject.error:
            say(f"{subject.name} could not be judged, and its entries stay: {subject.error}")
    for entry in known.entries:
        if entry not in left.entries:
            say(f"mended  {entry.subject}  {entry.requirement}")
    say(f"{path}: {len(known.entries) - len(left.entries)} taken out, {len(left.entries)} left")
    if known.entries and not left.entries:
        say(f"Every known failure is mended: delete {path}, and run without --baseline.")


def _judged(known: Baseline) -> Run:
    """Return a run of what a list names, its cases first."""
    from ..specification import select
    from .run import Sessions, carried_out, planned

    entries = [entry for entry in known.entries if select([entry.requirement])]
    if not entries:
        raise Misuse(f"{known.path} lists no requirement that there is; `headcheck spec` shows them")
    sessions = Sessions(60.0, isolate=True)
    names, unusable = sessions.expanded(list(dict.fromkeys(entry.subject for entry in entries)))
    listed = sorted({entry.requirement for entry in entries})
    options = {"profile": "standard", "only": listed, "skip": (), "seed": 0, "strict": False, "timeout": 60.0}
    plan = planned(options | {"case_text": None}, names, unusable, known)
    try:
        return carried_out(plan, sessions, quiet=False)
    finally:
        sessions.close()
