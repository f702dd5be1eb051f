"""One pytest item a requirement, judged when it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from headcheck.adapters.protocol import Adapter

from .engine import Judgement, Subject
from .specification import Requirement
from .verdicts import Level, Status, Verdict


def items(
    subject: str | type | Adapter | Callable[..., Any],
    requirements: Sequence[Requirement],
    *,
    profile: str,
    seed: int,
    strict: bool,
    baseline: str | None,
) -> Callable[..., None]:
    """Return a test function parametrised by requirement.

    One judgement serves all items of a process: they share its observations, and what an item depends on
    is judged first, so that any selection of them gives the same verdicts.
    """
    from .api import known_profile, name_of, session

    name, known = name_of(subject), known_failures(subject, baseline)
    shared: list[Judgement] = []

    def judgement() -> Judgement:
        if not shared:
            shared.append(Judgement(Subject(name, session(subject)), known_profile(profile), seed))
            record = shared[0].prepare()
            if record.error:
                shared.pop()
                pytest.fail(f"{name}: {record.error}", pytrace=False)
        return shared[0]

    parameters = [
        pytest.param(
            requirement,
            id=requirement.id,
            marks=[
                getattr(pytest.mark, f"headcheck_{requirement.info.family}"),
                *known.get(requirement.id, []),
            ],
        )
        for requirement in requirements
    ]

    @pytest.mark.parametrize("requirement", parameters)
    def test(requirement: Requirement, record_property: Callable[[str, object], None]) -> None:
        verdict = judgement().judge(requirement)
        record_property("requirement", requirement.info.statement)
        record_property("status", str(verdict.status))
        conclude(verdict, strict=strict)

    test.__doc__ = f"{name} holds the specification of multi-head attention."
    return test


def conclude(verdict: Verdict, *, strict: bool) -> None:
    """Pass, skip or fail the item that a verdict belongs to."""
    skipped = {Status.NOT_APPLICABLE, Status.BLOCKED, Status.INCONCLUSIVE}
    if verdict.status in skipped:
        pytest.skip(f"{verdict.status}: {verdict.message}")
    if verdict.status is Status.PASS or (verdict.level is Level.INFO and verdict.status is not Status.CRASH):
        return
    if verdict.status is Status.DEVIATES and not strict:
        pytest.skip(f"deviates from a SHOULD: {verdict.message}")
    pytest.fail(in_words(verdict), pytrace=False)


def in_words(verdict: Verdict) -> str:
    """Return a failure as an item shows it: the reason, the case, the script."""
    lines = [f"{verdict.requirement} {verdict.status}: {verdict.message}"]
    if verdict.evidence is not None:
        lines.append(f"on {verdict.evidence.case_text}")
        if verdict.evidence.matches:
            lines.append(f"indistinguishable from: {'; '.join(verdict.evidence.matches)}")
        if verdict.evidence.script:
            lines += ["", "This script fails without headcheck:", "", verdict.evidence.script]
    return "\n".join(lines)


def known_failures(subject: Any, path: str | None) -> dict[str, list[pytest.MarkDecorator]]:
    """Return a strict xfail for each known failure of a subject, by requirement."""
    if path is None:
        return {}
    from pathlib import Path

    from . import baseline
    from .api import name_of

    return {
        entry.requirement: [pytest.mark.xfail(strict=True, reason=entry.reason or "known failure")]
        for entry in baseline.read(Path(path)).entries
        if entry.subject == name_of(subject)
    }
