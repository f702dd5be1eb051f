"""One requirement judged on one class: the shortest way from a lie to the verdict on it."""

from __future__ import annotations

from headcheck import check
from headcheck.verdicts import Verdict


def verdict_on(implementation: type, requirement: str, *, profile: str = "smoke", seed: int = 0) -> Verdict:
    """Return the verdict on a class; what the requirement depends on is judged as well."""
    run = check(implementation, profile=profile, only=[requirement], seed=seed, raises=False)
    return run.verdicts[-1]
