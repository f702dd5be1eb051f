"""`headcheck replay`: make the recorded failures happen again, or see that they are mended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .usage import Misuse, UsageCommand

if TYPE_CHECKING:
    from ..verdicts import Verdict

FIXED, STILL_FAILING, CANNOT = "fixed", "still failing", "cannot be built"


@click.command(name="replay", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.argument("id", required=False)
@click.option("--subject", metavar="SUBJECT", help="Only the failures of this subject.")
@click.option("--script", is_flag=True, help="Print the scripts instead of running anything.")
@click.option("--isolate/--no-isolate", default=True, show_default=True,
              help="Run each subject in a process of its own.")  # fmt: skip
def command(results: Path, id: str | None, subject: str | None, script: bool, isolate: bool) -> int:
    """Make recorded failures happen again, or see them mended.

    All of RESULTS.json, or those of one requirement.

    Exit status: 0 all fixed, 1 still failing, 4 cannot be built, 5 nothing to replay.
    """
    from ..record import RecordError, read
    from ..verdicts import BROKEN, Status

    try:
        run = read(results)
    except RecordError as error:
        raise Misuse(str(error)) from None
    failing = BROKEN | {Status.DEVIATES, Status.KNOWN_FAILURE}
    verdicts = [
        verdict
        for verdict in run.verdicts
        if verdict.status in failing
        and verdict.evidence is not None
        and (id is None or verdict.requirement == id.upper())
        and (subject is None or verdict.subject == subject)
    ]
    if not verdicts:
        known = sorted({verdict.requirement for verdict in run.verdicts if verdict.status in failing})
        click.echo(f"Nothing to replay. Failures in {results}: {', '.join(known) or 'none'}.")
        return 5
    if script:
        click.echo("\n\n".join(v.evidence.script for v in verdicts if v.evidence and v.evidence.script))
        return 0
    outcomes = [_replayed(verdict, isolate=isolate) for verdict in verdicts]
    for verdict, (outcome, why) in zip(verdicts, outcomes, strict=True):
        click.echo(f"{verdict.subject}  {verdict.requirement}  {outcome}{f': {why}' if why else ''}")
    words = [outcome for outcome, _ in outcomes]
    if CANNOT in words:
        return 4
    return 1 if STILL_FAILING in words else 0


def _replayed(verdict: Verdict, *, isolate: bool) -> tuple[str, str]:
    """Return whether a failure still happens on its own case, and what was said of it."""
    from headcheck.adapters.protocol import SubjectError

    from ..cases import Case
    from ..engine import Judgement, Subject
    from ..pool import PROFILES
    from ..specification import named
    from ..verdicts import Status
    from .run import Sessions

    assert verdict.evidence is not None
    try:
        requirement, case = named(verdict.requirement), Case.from_record(verdict.evidence.case)
    except (KeyError, ValueError, TypeError) as error:
        return CANNOT, f"this headcheck does not know {error}"
    sessions = Sessions(60.0, isolate=isolate)
    try:
        with sessions(verdict.subject) as session:
            judgement = Judgement(
                Subject(verdict.subject, session),
                PROFILES["smoke"],
                verdict.seed,
                prove=False,
                replayed={requirement.id: [case]},
                only_replayed=True,
            )
            record = judgement.prepare()
            again = judgement.judge(requirement)
    except SubjectError as error:
        return CANNOT, str(error)
    if record.error:
        return CANNOT, record.error
    if again.status is Status.PASS:
        return FIXED, ""
    if again.status in {Status.INCONCLUSIVE, Status.NOT_APPLICABLE, Status.BLOCKED, Status.HARNESS_ERROR}:
        return CANNOT, again.message
    return STILL_FAILING, again.message
