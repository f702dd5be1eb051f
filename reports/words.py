"""The words of a verdict: one sentence a subject, one sign a status, the same in every report."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from headcheck.verdicts import Level, Run, Status, SubjectRecord, Verdict

from .causes import Cause, by_cause, causes
from .plain import one_line


@dataclass(frozen=True)
class Sign:
    """How a status is shown: always with its word, never by its glyph or its colour alone."""

    word: str
    glyph: str
    ascii: str  # where the terminal has no Unicode
    tone: str  # "good", "bad", "odd" or "mute"
    meaning: str


SIGNS: Mapping[Status, Sign] = {
    Status.PASS: Sign("pass", "✓", "+", "good", "held on every case tried"),
    Status.FAIL: Sign("fail", "✗", "x", "bad", "did not hold; the failure is shown with its proof"),
    Status.CRASH: Sign("crash", "✗", "x", "bad", "the implementation took its process down"),
    Status.TIMEOUT: Sign("timeout", "✗", "x", "bad", "the implementation gave no answer in the time allowed"),
    Status.UNEXPECTED_PASS: Sign("unexpected", "!", "!", "bad", "held, though the baseline has it failing"),
    Status.DEVIATES: Sign("deviates", "≠", "!", "odd", "a SHOULD that did not hold; fails under --strict"),
    Status.KNOWN_FAILURE: Sign("known", "≈", "~", "odd", "failed, as the baseline says it would"),
    Status.INCONCLUSIVE: Sign("inconclusive", "?", "?", "odd", "could not be decided; not a pass"),
    Status.HARNESS_ERROR: Sign("harness", "?", "?", "odd", "headcheck itself failed; not judged"),
    Status.BLOCKED: Sign("blocked", "·", ".", "mute", "not judged: a requirement it depends on failed"),
    Status.NOT_APPLICABLE: Sign("n/a", "–", "-", "mute", "not applicable: needs what is not offered"),
}

REMARKS: Mapping[Status, tuple[str, str]] = {
    Status.DEVIATES: ("deviation", "deviations"),
    Status.KNOWN_FAILURE: ("known failure", "known failures"),
    Status.INCONCLUSIVE: ("inconclusive", "inconclusive"),
    Status.HARNESS_ERROR: ("harness error", "harness errors"),
    Status.BLOCKED: ("blocked", "blocked"),
    Status.NOT_APPLICABLE: ("not applicable", "not applicable"),
}


@dataclass(frozen=True)
class Standing:
    """Where one subject stands after a run."""

    run: Run
    record: SubjectRecord
    verdicts: tuple[Verdict, ...]
    conclusion: str

    @cached_property
    def breaking(self) -> tuple[Verdict, ...]:
        """The verdicts that make it not conformant: what the likeliest cause explains comes first."""
        return by_cause(verdict for verdict in self.verdicts if self.run.breaks(verdict))

    @cached_property
    def causes(self) -> tuple[Cause, ...]:
        """What likely makes it not conformant."""
        return causes(self.breaking)

    @cached_property
    def counts(self) -> Counter[Status]:
        """How many requirements have each status."""
        return Counter(verdict.status for verdict in self.verdicts)

    @property
    def applicable(self) -> int:
        """How many requirements apply to it."""
        return len(self.verdicts) - self.counts[Status.NOT_APPLICABLE]

    @property
    def conforms(self) -> bool:
        """Whether it is conformant, known failures aside."""
        return self.conclusion.startswith("conformant")

    @property
    def sign(self) -> Sign:
        """The sign that stands before its name."""
        if self.conforms:
            return SIGNS[Status.PASS]
        if self.conclusion == "not conformant":
            return SIGNS[Status.FAIL]
        return SIGNS[Status.INCONCLUSIVE]

    @property
    def sentence(self) -> str:
        """What follows the conclusion: "breaks 3 of the 52 requirements that apply"."""
        if self.conclusion == "not conformant":
            return self._broken()
        if self.conclusion.startswith("no failure found"):
            others = " other" if self.counts[Status.KNOWN_FAILURE] else ""
            return f"breaks none of the{others} requirements judged, but {self._open()}"
        if self.conclusion == "not judged":
            return self._why_not_judged()
        if self.counts[Status.KNOWN_FAILURE]:
            known = counted(self.counts[Status.KNOWN_FAILURE], "known failure", "known failures")
            return f"meets every MUST that applies except for {known}"
        if self.counts[Status.PASS] == self.applicable:
            return "meets " + _all(self.applicable, "all {} requirements that apply")
        return "meets every MUST that applies"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is neither a pass nor a failure, counted."""
        strict = self.run.strict
        return tuple(
            counted(self.counts[status], *words)
            for status, words in REMARKS.items()
            if self.counts[status] and not (strict and status is Status.DEVIATES)
        )

    def _broken(self) -> str:
        broken = len(self.breaking)
        if not self.run.complete:
            judged = self.applicable - self.counts[Status.BLOCKED]
            return f"breaks {broken} of the {judged} judged before the interruption"
        return "breaks " + _all(self.applicable, f"{broken} of the {{}} requirements that apply")

    def _open(self) -> str:
        undecided = sum(v.level is Level.MUST and v.status is Status.INCONCLUSIVE for v in self.verdicts)
        reasons = (
            ("the run was interrupted", not self.run.complete),
            (self._in_part(), not self.run.full),
            (counted(undecided, "MUST is", "MUSTs are") + " inconclusive", undecided > 0),
        )
        return enumerated([reason for reason, holds in reasons if holds])

    def _in_part(self) -> str:
        return "smoke tries few examples" if self.run.profile == "smoke" else "not every MUST was run"

    def _why_not_judged(self) -> str:
        if self.record.error:
            return self.record.error
        if errors := self.counts[Status.HARNESS_ERROR]:
            return f"headcheck itself failed on {counted(errors, 'requirement', 'requirements')}"
        return "none of the requirements that were run applies"


def standings(run: Run) -> tuple[Standing, ...]:
    """Return where each subject stands, in the order of the run."""
    return tuple(Standing(run, s, run.of(s.name), run.conclusion(s.name)) for s in run.subjects)


def headline(standings: tuple[Standing, ...]) -> str:
    """Return the verdict on a whole run in one sentence."""
    if not standings:
        return "Nothing was judged"
    if len(standings) == 1:
        only = standings[0]
        name = one_line(only.record.name, 80)
        if only.conclusion.startswith("no failure found"):
            return f"No failure found in {name}{only.conclusion.removeprefix('no failure found')}"
        return f"{name} {'was' if only.conclusion == 'not judged' else 'is'} {only.conclusion}"
    number = len(standings)
    conforming = sum(standing.conforms for standing in standings)
    clean = sum(standing.conclusion.startswith("no failure found") for standing in standings)
    excused = [standing for standing in standings if "except for" in standing.conclusion]
    known = sum(standing.counts[Status.KNOWN_FAILURE] for standing in excused)
    but = f" except for {counted(known, 'known failure', 'known failures')}" if known else ""
    if clean and not conforming:
        return f"No failure found in {clean} of {number} implementations{but}"
    if conforming == number:
        return f"All {number} implementations conform{but}"
    verb = "conforms" if conforming <= 1 else "conform"
    return f"{conforming or 'None'} of {number} implementations {verb}"


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    names = [shlex.quote(one_line(subject.name)) for subject in run.subjects]
    strict = ["--strict"] if run.strict else []
    return " ".join(["headcheck run", *names, "--profile", run.profile, "--seed", str(run.seed), *strict])


def reason(message: str, limit: int = 120) -> str:
    """Return the first sentence of a message; of a long one, what is said before its first "; "."""
    first = one_line(message.partition("\n")[0].partition(". ")[0], 600)
    return one_line(first if len(first) <= limit else first.partition("; ")[0], limit).removesuffix(".")


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many}"


def _all(number: int, several: str) -> str:
    return "the one requirement that applies" if number == 1 else several.format(number)


def enumerated(words: list[str]) -> str:
    """Return words as a sentence lists them: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as Python writes it in messages and scripts: "0.25", "1.3e-05", "NaN"."""
    if value is None:
        return "NaN/Inf"  # how a results file has what is not finite
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return f"{value + 0.0:.{digits}g}"
