"""What makes two failures the same failure, from one run to the next.

The counterexample is not part of it: another seed, another version or a deeper search finds another
smallest case of the same defect.  What stays is the subject, the requirement and the configuration class:
the path through the implementation and the kind of machine arithmetic it fails on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from .verdicts import Status, Verdict

FAILED = frozenset({Status.FAIL, Status.DEVIATES, Status.CRASH, Status.TIMEOUT, Status.KNOWN_FAILURE})


def failed(verdict: Verdict) -> bool:
    """Return whether the requirement did not hold, known beforehand or not."""
    return verdict.status in FAILED


def kind(verdict: Verdict) -> str:
    """Return how it failed: "fail", "crash", "timeout" or "deviates"; "" where it did not fail."""
    if verdict.status is Status.KNOWN_FAILURE:
        return verdict.kind or Status.FAIL.value
    return verdict.status.value if failed(verdict) else ""


def when(verdict: Verdict) -> Mapping[str, str]:
    """Return the dtype and, where one is recorded, the device that the failure was found on."""
    case = verdict.evidence.case if verdict.evidence else {}
    return {name: str(case[name]) for name in ("dtype", "device") if case.get(name)}


def variant(verdict: Verdict) -> str:
    """Return the path through the implementation that the failure was found on, "" where unknown."""
    return verdict.evidence.variant if verdict.evidence else ""


def configuration(verdict: Verdict) -> Mapping[str, str]:
    """Return the configuration class of a failure."""
    return {"variant": variant(verdict), **when(verdict)}


def fingerprint(verdict: Verdict) -> str:
    """Return 32 hexadecimal digits that name this failure across runs."""
    named = json.dumps([verdict.subject, verdict.requirement, configuration(verdict)], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:32]
