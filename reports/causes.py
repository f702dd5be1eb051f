"""What the failures of one implementation have in common: the known faults that explain several of them.

A finding may match several faults, for a small case tells few apart.  A fault that explains many of the
findings is the likelier one; one that explains a single finding among many is no cause of anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from headcheck.verdicts import Evidence, Verdict

from .plain import one_line

_MOST = 2  # causes named, and faults in one of them; where more fit equally well, none is likely
_WORD = re.compile(r"(?!True\b|False\b)[A-Z][a-z]*\b(?!_)")  # to start a sentence with, and no name
_ARGUMENTS = re.compile(r"DIV-.*|.*-REFUSE")


@dataclass(frozen=True)
class Cause:
    """A known fault, or two that cannot be told apart, and what of the findings it explains."""

    words: str  # "the scores are divided by sqrt(d_model)"
    requirements: frozenset[str]  # whose findings it explains
    of: int  # findings

    @property
    def explained(self) -> int:
        """How many of the findings it explains."""
        return len(self.requirements)

    @property
    def sentence(self) -> str:
        """The cause with its weight: "... (explains 6 of its 10 findings)"."""
        what = "its only finding" if self.of == 1 else f"{self.explained} of its {self.of} findings"
        return f"{self.words} (explains {what})"


def causes(verdicts: Iterable[Verdict]) -> tuple[Cause, ...]:
    """Return the likely causes of the findings on one implementation, the likeliest first, two at most.

    A cause explains at least two of them, or the only one.  A second one is named only where it explains
    as much of what the first does not.
    """
    verdicts = tuple(verdicts)
    enough = min(2, len(verdicts))
    explains: dict[str, frozenset[str]] = {}
    for verdict in verdicts:
        for fault in verdict.evidence.matches if verdict.evidence else ():
            explains[fault] = explains.get(fault, frozenset()) | {verdict.requirement}
    alike: dict[frozenset[str], list[str]] = {}
    for fault, requirements in explains.items():
        alike.setdefault(requirements, []).append(fault)
    named: list[Cause] = []
    for requirements in sorted(alike, key=len, reverse=True):
        rest = requirements.difference(*(cause.requirements for cause in named))
        if len(rest) < enough or len(named) == _MOST:
            continue
        if len(alike[requirements]) > _MOST:
            break
        words = ", or ".join(_inside(fault) for fault in alike[requirements])
        named.append(Cause(words, requirements, len(verdicts)))
    return tuple(named)


def likely(causes: Iterable[Cause]) -> str:
    """Return the causes as one line, "" where there is none."""
    causes = tuple(causes)
    label = "Likely cause" if len(causes) == 1 else "Likely causes"
    return f"{label}: {'; '.join(cause.sentence for cause in causes)}" if causes else ""


def by_cause(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Return findings in the order to read them in: what the likeliest cause explains comes first.

    What is about refusing wrong arguments comes last: it seldom explains anything else.
    """
    verdicts = tuple(verdicts)
    first = next((cause.requirements for cause in causes(verdicts)), frozenset[str]())

    def place(verdict: Verdict) -> int:
        if verdict.requirement in first:
            return 0
        return 2 if _ARGUMENTS.fullmatch(verdict.requirement) else 1

    return tuple(sorted(verdicts, key=place))


def matched(proof: Evidence) -> str:
    """Return what a proof matches: "a known fault: the scores are divided by d_k", "" where nothing."""
    if not proof.matches:
        return ""
    faults = "a known fault" if len(proof.matches) == 1 else "known faults"
    return f"{faults}: {'; or '.join(_inside(fault) for fault in proof.matches)}"


def _inside(fault: str) -> str:
    """Return what a fault does, in words that can stand within a sentence."""
    text = one_line(fault, 200).rstrip(".")
    return text[:1].lower() + text[1:] if _WORD.match(text) else text
