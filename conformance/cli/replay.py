"""`headcheck replay`: make the recorded failures happen again, or see that they are mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .usage import Misuse, Seconds, UsageCommand, echo, quoting, say

if TYPE_CHECKING:
    from ..session import Session
    from ..verdicts import Run, Verdict

FIXED, STILL_FAILING, CANNOT = "fixed", "still failing", "cannot be built"
STILL_DEVIATING = "still deviating"  # from a SHOULD, which fails nothing


@click.command(name="replay", cls=UsageCommand)
@click.argument("results", metavar="RESULTS.json", type=click.Path(path_type=Path))
@click.argument("id", required=False)
@click.option("--subject", metavar="SUBJECT", help="Only the failures of this subject.")
@click.option("--script", is_flag=True, help="Print the scripts instead of running anything.")
@click.option("--timeout", type=Seconds(), metavar="SECONDS",
              help="The longest that one call may take.  [default: as when it failed]")  # fmt: skip
@click.option("--isolate/--no-isolate", default=True, show_default=True,
              help="Run each subject in a process of its own.")  # fmt: skip
def command(
    results: Path, id: str | None, subject: str | None, script: bool, timeout: float | None, isolate: bool
) -> int:
    """Run the recorded failures again, all of RESULTS.json or those of one requirement.

    Exit status: 0 none still failing, 1 still failing, 4 cannot be built, 5 nothing to replay.
    """
    from ..identity import failed
    from ..record import RecordError, read

    try:
        run = read(results)
    except RecordError as error:
        raise Misuse(str(error)) from None
    _known(run, id, subject)
    failures = [verdict for verdict in run.verdicts if failed(verdict)]
    verdicts = [
        verdict
        for verdict in failures
        if (id is None or verdict.requirement == id.upper())
        and (subject is None or verdict.subject == subject)
    ]
    if not verdicts:
        known = ", ".join(sorted({verdict.requirement for verdict in failures})) or "none"
        say(f"Nothing to replay. Failures in {results}: {known}.")
        return 5
    if script:
        return _print_scripts(verdicts)
    outcomes = []
    with quoting():
        for verdict, outcome, why in _replayed(
            verdicts, timeout or run.timeout, strict=run.strict, isolate=isolate
        ):
            say(f"{verdict.subject}  {verdict.requirement}  {outcome}{f': {why}' if why else ''}")
            outcomes.append(outcome)
    counts = ((outcomes.count(word), word) for word in (FIXED, STILL_FAILING, STILL_DEVIATING, CANNOT))
    say(", ".join(f"{count} {word}" for count, word in counts if count))
    if CANNOT in outcomes:
        return 4
    return 1 if STILL_FAILING in outcomes else 0


def _known(run: Run, id: str | None, subject: str | None) -> None:
    """Raise Misuse for a requirement or a subject that neither the run nor headcheck knows."""
    from ..specification import specification
    from .run import nearest

    subjects = [one.name for one in run.subjects]
    if subject is not None and subject not in subjects:
        raise Misuse(f"no subject {subject!r} in these results; expected one of {', '.join(subjects)}")
    ids = {one.id for one in run.requirements} | {one.id for one in specification()}
    if id is not None and id.upper() not in ids:
        raise Misuse(f"no requirement {id!r}{nearest(id, sorted(ids))}")


def _print_scripts(verdicts: Sequence[Verdict]) -> int:
    from headcheck.reports.plain import clean

    scripts = [v.evidence.script for v in verdicts if v.evidence and v.evidence.script]
    if not scripts:
        say("None of these failures has a script.")
        return 5
    echo("\n\n".join(clean(text, 1_000_000) for text in scripts))
    return 0


def _replayed(
    verdicts: Sequence[Verdict], timeout: float, *, strict: bool, isolate: bool
) -> Iterator[tuple[Verdict, str, str]]:
    """Yield each verdict with whether its failure still happens, and what was said of it."""
    from headcheck.adapters.protocol import SubjectError

    from .run import Sessions

    sessions = Sessions(timeout, isolate=isolate)
    for name in dict.fromkeys(verdict.subject for verdict in verdicts):
        theirs = [verdict for verdict in verdicts if verdict.subject == name]
        try:
            session = sessions(name)
        except SubjectError as error:
            yield from ((verdict, CANNOT, str(error)) for verdict in theirs)
            continue
        with session:
            for verdict in theirs:
                yield verdict, *_again(verdict, session, strict=strict)


def _again(verdict: Verdict, session: Session, *, strict: bool) -> tuple[str, str]:
    """Return whether a failure still happens on its own case, and what was said of it."""
    from ..cases import Case
    from ..engine import Judgement, Subject
    from ..pool import PROFILES
    from ..specification import named
    from ..verdicts import Status

    try:
        requirement = named(verdict.requirement)
    except KeyError:
        return CANNOT, "this headcheck has no such requirement"
    try:
        # What failed before any case could be made, like a crash of the first call, has none.
        cases = [Case.from_record(verdict.evidence.case)] if verdict.evidence else []
    except (ValueError, TypeError) as error:
        return CANNOT, f"its case: {error}"
    judgement = Judgement(
        Subject(verdict.subject, session),
        PROFILES["smoke"],
        verdict.seed,
        prove=False,
        replayed={requirement.id: cases},
        only_replayed=True,
    )
    record = judgement.prepare()
    if record.error:
        return CANNOT, record.error
    again = judgement.judge(requirement)
    if again.status is Status.PASS:
        return FIXED, ""
    if again.status is Status.DEVIATES and not strict:
        return STILL_DEVIATING, again.message
    if again.status in {Status.INCONCLUSIVE, Status.NOT_APPLICABLE, Status.BLOCKED, Status.HARNESS_ERROR}:
        return CANNOT, again.message
    return STILL_FAILING, again.message
