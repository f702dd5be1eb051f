"""One pytest item a requirement, judged when it is run."""

from __future__ import annotations

import inspect
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from headcheck.adapters.protocol import Adapter
from headcheck.reports.plain import clean, one_line

from . import __version__, baseline
from .baseline import Baseline, Entry
from .engine import Judgement, Subject
from .specification import SPEC_VERSION, Requirement, specification
from .verdicts import Level, Run, Status, SubjectRecord, Verdict

LONGEST_SCRIPT = 6000  # characters that an item prints
RESULTS = "headcheck-results.json"
_Failed: Any = pytest.fail.Exception


class KnownFailure(_Failed):  # type: ignore[misc]
    """A failure that the baseline lists: what its item is expected to fail with, and with nothing else."""


def items(
    subject: str | type | Adapter | Callable[..., Any],
    requirements: Sequence[Requirement],
    *,
    profile: str,
    seed: int,
    strict: bool,
    known: str | None,
) -> Callable[..., None]:
    """Return a test function parametrised by requirement.

    One judgement serves all items of a process: they share its observations, and what an item depends on
    is judged first, so that any selection of them gives the same verdicts.
    """
    from .api import known_profile, name_of, session

    name = name_of(subject)
    listed = _listed(subject, name, known) if known else Baseline()
    shared: list[tuple[Judgement, SubjectRecord]] = []

    def judgement() -> tuple[Judgement, SubjectRecord]:
        if not shared:
            cases = {requirement: cases for (_, requirement), cases in baseline.cases(listed).items()}
            one = Judgement(Subject(name, session(subject)), known_profile(profile), seed, replayed=cases)
            shared.append((one, one.prepare()))
        return shared[0]

    @pytest.mark.parametrize(
        "requirement",
        [
            pytest.param(
                requirement, id=requirement.id, marks=_marks(requirement, listed.of((name, requirement.id)))
            )
            for requirement in requirements
        ],
    )
    # In a class, the item's function is called with an instance, which says nothing.
    def test(instance: object = None, /, *, requirement: Requirement) -> None:
        with warnings.catch_warnings():  # extreme inputs are meant, and a filter that raises would fail them
            warnings.simplefilter("ignore")
            one, record = judgement()
            if record.error:
                pytest.fail(f"{name}: {one_line(record.error, 2000)}", pytrace=False)
            verdict = one.judge(requirement)
        if listed.entries:
            verdict = _judged(verdict, record, requirement, listed, profile=profile, strict=strict)
        conclude(verdict, requirement, strict=strict)

    test.__doc__ = f"{name} holds the specification of multi-head attention."
    return test


def _marks(requirement: Requirement, entries: Sequence[Entry]) -> list[pytest.MarkDecorator]:
    """Return the marker of the family, and of a known failure a strict xfail with its reason."""
    family = getattr(pytest.mark, f"headcheck_{requirement.info.family}")
    if not entries:
        return [family]
    parts = " ".join(part for entry in entries for part in (entry.reason, entry.link) if part)
    reason = one_line(parts) or "known failure"
    return [family, pytest.mark.xfail(strict=True, raises=KnownFailure, reason=reason)]


def _listed(subject: object, name: str, path: str) -> Baseline:
    """Return the known failures of a subject, by the name that it has here.

    A list that cannot be used fails the module in a line, as it stops `headcheck run`.
    """
    try:
        known = baseline.read(Path(path))
    except baseline.BaselineError as error:
        pytest.fail(str(error), pytrace=False)
    exist = {requirement.id for requirement in specification()}
    own = [replace(entry, subject=name) for entry in known.entries if _names(entry.subject, subject, name)]
    for entry in own:
        if entry.requirement not in exist:
            pytest.fail(f"{path}: {entry.requirement} names no requirement; `headcheck spec`", pytrace=False)
    return replace(known, entries=tuple(own))


def _names(reference: str, subject: object, name: str) -> bool:
    """Return whether a reference, perhaps "path/to/file.py:Name", is this subject's."""
    file, _, written = reference.rpartition(":")
    if reference == name or not file.endswith(".py") or not isinstance(subject, type):
        return reference == name
    source = inspect.getsourcefile(subject) or ""
    return written == subject.__qualname__ and Path(file).resolve() == Path(source).resolve()


def _judged(
    verdict: Verdict,
    record: SubjectRecord,
    requirement: Requirement,
    listed: Baseline,
    *,
    profile: str,
    strict: bool,
) -> Verdict:
    """Return a verdict as the known failures leave it."""
    run = Run(
        headcheck=__version__,
        spec=SPEC_VERSION,
        profile=profile,
        seed=verdict.seed,
        started="",
        environment={},
        requirements=(requirement.info,),
        subjects=(record,),
        verdicts=(verdict,),
        strict=strict,
    )
    [judged] = baseline.apply(run, listed, datetime.now(UTC).date()).verdicts
    return judged


def conclude(verdict: Verdict, requirement: Requirement, *, strict: bool) -> None:
    """Pass, skip or fail the item that a verdict belongs to."""
    if verdict.status is Status.KNOWN_FAILURE:
        raise KnownFailure(in_words(verdict, requirement), pytrace=False)
    skipped = {Status.NOT_APPLICABLE, Status.BLOCKED, Status.INCONCLUSIVE}
    if verdict.status in skipped:
        pytest.skip(one_line(f"{verdict.status}: {verdict.message}"))
    if verdict.status is Status.PASS or (verdict.level is Level.INFO and verdict.status is not Status.CRASH):
        return
    if verdict.status is Status.DEVIATES and not strict:
        pytest.skip(one_line(f"deviates from a SHOULD: {verdict.message}"))
    pytest.fail(in_words(verdict, requirement), pytrace=False)


def in_words(verdict: Verdict, requirement: Requirement) -> str:
    """Return a failure as an item shows it: what broke, the proof, how to see it again, a script."""
    from headcheck.reports.terminal import facts

    lines = [
        f"{verdict.requirement} {verdict.status}: {clean(verdict.message)}",
        f"{requirement.level}: {requirement.info.statement}.",
    ]
    if proof := verdict.evidence:
        lines += [f"{label:<10}{one_line(value)}" for label, value in facts(proof)]
        if proof.replay and "<locals>" not in verdict.subject:
            lines.append(f"{'replay':<10}{one_line(proof.replay, 2000)}")
        if proof.script:
            lines += ["", *_script(verdict, proof.script)]
    return "\n".join(lines)


def _script(verdict: Verdict, script: str) -> list[str]:
    """Return a script to paste, or how to come by one that is too long to be read here."""
    if len(script) <= LONGEST_SCRIPT:
        return ["This script fails without headcheck:", "", clean(script, LONGEST_SCRIPT)]
    subject, requirement = shlex.quote(one_line(verdict.subject)), verdict.requirement
    return [
        f"A script of {len(script)} characters fails without headcheck; to print it:",
        f"headcheck run {subject} --only {requirement} --no-html --json {RESULTS}",
        f"headcheck replay {RESULTS} {requirement} --script",
    ]
