"""The verdict model: what a run records, and all that a report may draw from.

Plain frozen values without arrays of any framework and without NumPy, so that a report can be drawn
from a results file on a machine that has nothing else installed.  `headcheck.record` reads and writes
them as JSON; `results.schema.json` describes that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Nested = Any  # nested lists of float (or None for what is not finite): one array, as JSON has it


class Level(StrEnum):
    """How binding a requirement is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    INFO = "INFO"


class Status(StrEnum):
    """The verdict on one (subject, requirement) pair."""

    PASS = "pass"
    FAIL = "fail"
    DEVIATES = "deviates"  # a SHOULD that does not hold
    NOT_APPLICABLE = "not applicable"
    BLOCKED = "blocked"  # a prerequisite failed
    KNOWN_FAILURE = "known failure"
    UNEXPECTED_PASS = "unexpected pass"
    CRASH = "crash"
    TIMEOUT = "timeout"
    HARNESS_ERROR = "harness error"
    INCONCLUSIVE = "inconclusive"


BROKEN = frozenset({Status.FAIL, Status.CRASH, Status.TIMEOUT, Status.UNEXPECTED_PASS})


@dataclass(frozen=True)
class RequirementInfo:
    """The printable part of a requirement, so that a results file explains itself."""

    id: str
    family: str
    level: Level
    statement: str
    formula: str  # LaTeX, the suite's own
    why: str
    since: str
    needs: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The proof of one failure: the smallest case found, and what it gave."""

    case: Mapping[str, Any]  # the shrunk case's fields, as they replay
    case_text: str  # the same for a person: "B=1, n_q=1, n_k=2, d_model=2, num_heads=2; mask: last key"
    quantity: str  # "output", "attention weights", "gradient of key", ...
    expected: Nested = None
    actual: Nested = None
    bound: Nested = None  # same shape as expected, or one number
    worst_index: tuple[int, ...] = ()
    worst_error: float | None = None  # |actual - expected| there
    worst_ratio: float | None = None  # ... over the bound there
    script: str = ""  # Python that fails without headcheck
    replay: str = ""  # the headcheck command
    grounds: tuple[str, ...] = ()  # "oracle", "property": what it was judged by
    matches: tuple[str, ...] = ()  # known faults this is indistinguishable from
    variant: str = ""


@dataclass(frozen=True)
class Verdict:
    """One requirement judged on one subject."""

    subject: str
    requirement: str
    level: Level
    status: Status
    message: str = ""  # one or two lines; the reason where the status is not "pass"
    examples: int = 0  # cases tried
    seed: int = 0
    worst_ratio: float | None = None  # worst error / bound over all cases tried
    seconds: float = 0.0
    evidence: Evidence | None = None
    situations: Mapping[str, int] = field(default_factory=dict)  # what the cases really held
    measured: Mapping[str, Any] = field(default_factory=dict)  # e.g. the scale of SCALE-DK, a polynomial
    reason: str = ""  # of a known failure, from the baseline
    link: str = ""
    kind: str = ""  # of a known failure: "fail", "crash", "timeout" or "deviates"


@dataclass(frozen=True)
class SubjectRecord:
    """One implementation of the run: what it is, and what was declared and verified of it."""

    name: str
    framework: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""  # "path:line", from the root of the repository where it lies within
    capabilities: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)  # conventions
    verified: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # dtype -> error / bound
    error: str = ""  # why it could not be judged at all
    subject_seconds: float = 0.0  # CPU inside the implementation's own calls
    headcheck_seconds: float = 0.0  # CPU of everything else, imports left out


@dataclass(frozen=True)
class Run:
    """A whole run.  `complete` is False where it was interrupted."""

    headcheck: str  # version
    spec: str  # version of the specification
    profile: str
    seed: int
    started: str  # ISO 8601, UTC
    environment: Mapping[str, str]
    requirements: tuple[RequirementInfo, ...]
    subjects: tuple[SubjectRecord, ...]
    verdicts: tuple[Verdict, ...]
    full: bool = True  # every applicable MUST was run, on more than the few examples of smoke
    complete: bool = True
    strict: bool = False
    timeout: float = 60.0  # seconds after which one call was stopped
    problems: tuple[str, ...] = ()  # what is wrong with the run's own inputs, e.g. an expired known failure

    def of(self, subject: str) -> tuple[Verdict, ...]:
        """Return the verdicts on one subject, in the specification's order."""
        return tuple(verdict for verdict in self.verdicts if verdict.subject == subject)

    def conclusion(self, subject: str) -> str:
        """Return the verdict on one subject in one sentence's worth of words.

        "conformant", "not conformant", "no failure found" (not every applicable MUST was run),
        "not judged"; the first and the third "except for N known failures".
        """
        verdicts = self.of(subject)
        if not any(v.status not in {Status.NOT_APPLICABLE, Status.BLOCKED} for v in verdicts):
            return "not judged"
        if any(self.breaks(v) for v in verdicts):
            return "not conformant"
        if any(v.status is Status.HARNESS_ERROR for v in verdicts):
            return "not judged"
        open_must = any(v.level is Level.MUST and v.status is Status.INCONCLUSIVE for v in verdicts)
        known = sum(v.status is Status.KNOWN_FAILURE for v in verdicts)
        but = f" except for {known} known failure{'s' if known > 1 else ''}" if known else ""
        decided = self.full and self.complete and not open_must
        return ("conformant" if decided else "no failure found") + but

    def breaks(self, verdict: Verdict) -> bool:
        """Return whether this verdict makes its subject not conformant."""
        if verdict.level is Level.INFO:
            return verdict.status in {Status.CRASH, Status.TIMEOUT}
        return verdict.status in BROKEN or (self.strict and verdict.status is Status.DEVIATES)
