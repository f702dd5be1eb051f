"""What a person must act upon after a run, in the order of urgency: what every code-review output shows.

A finding is a verdict that breaks conformance, or a SHOULD that does not hold.  Known failures are no
findings; they are counted.  A notice is about the run itself: a stale baseline, a subject that could not be
judged, an error of headcheck's own, an interruption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headcheck.verdicts import RequirementInfo, Run, Status, Verdict

from .causes import matched
from .place import Place, place
from .plain import clean, one_line

VERBS: Mapping[Status, str] = {
    Status.FAIL: "breaks",
    Status.CRASH: "crashes on",
    Status.TIMEOUT: "gives no answer in time on",
    Status.UNEXPECTED_PASS: "now meets",
    Status.DEVIATES: "deviates from",
}
_URGENCY = (Status.CRASH, Status.TIMEOUT, Status.FAIL, Status.UNEXPECTED_PASS, Status.DEVIATES)


@dataclass(frozen=True)
class Finding:
    """One verdict to act upon, with the requirement it is about and where the subject is written."""

    verdict: Verdict
    requirement: RequirementInfo
    place: Place
    breaking: bool

    @property
    def title(self) -> str:
        """What happened, in a few words: "attention.py:Attention breaks MASK-ZERO"."""
        subject = one_line(self.verdict.subject, 120)
        return f"{subject} {VERBS[self.verdict.status]} {one_line(self.requirement.id, 60)}"

    @property
    def text(self) -> str:
        """The requirement, what went wrong, the smallest case and how to see it again; a few lines."""
        lines = [f"{clean(self.requirement.statement, 600).rstrip('.')}.", clean(self.verdict.message)]
        if proof := self.verdict.evidence:
            lines += [
                f"Smallest case: {one_line(proof.case_text, 600)}",
                f"Matches {one_line(matched(proof), 600)}" if proof.matches else "",
                f"Replay: {one_line(proof.replay, 600)}" if proof.replay else "",
            ]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Notice:
    """Something about the run itself that a person must know of."""

    kind: str  # "baseline", "not judged", "harness error" or "interrupted"
    text: str
    place: Place


def findings(run: Run) -> tuple[Finding, ...]:
    """Return the verdicts to act upon: what breaks first, crashes before failures before the rest."""
    requirements = {requirement.id: requirement for requirement in run.requirements}
    places = _places(run)
    found = [
        Finding(verdict, requirements[verdict.requirement], places[verdict.subject], run.breaks(verdict))
        for verdict in run.verdicts
        if verdict.status in VERBS and (run.breaks(verdict) or verdict.status is Status.DEVIATES)
    ]
    return tuple(sorted(found, key=lambda f: (not f.breaking, _URGENCY.index(f.verdict.status))))


def notices(run: Run) -> tuple[Notice, ...]:
    """Return what is to be known of the run itself."""
    return tuple(_notices(run, _places(run)))


def known(run: Run) -> tuple[Verdict, ...]:
    """Return the failures that the baseline lists, which are no findings."""
    return tuple(verdict for verdict in run.verdicts if verdict.status is Status.KNOWN_FAILURE)


def _places(run: Run) -> Mapping[str, Place]:
    return {subject.name: place(subject.source, subject.name) for subject in run.subjects}


def _notices(run: Run, places: Mapping[str, Place]) -> Iterator[Notice]:
    nowhere = Place("headcheck-baseline.toml", 1, inside=True)
    if not run.complete:
        text = f"The run was interrupted: the {len(run.verdicts)} verdicts reached until then are shown."
        yield Notice("interrupted", text, nowhere)
    for problem in run.problems:
        yield Notice("baseline", clean(problem), nowhere)
    for subject in run.subjects:
        name = one_line(subject.name, 120)
        if subject.error:
            yield Notice(
                "not judged", f"{name} could not be judged: {clean(subject.error)}", places[subject.name]
            )
        own = [v for v in run.verdicts if v.subject == subject.name and v.status is Status.HARNESS_ERROR]
        if own:
            which = ", ".join(one_line(verdict.requirement, 60) for verdict in own)
            text = f"headcheck itself failed on {name} for {which}: {clean(own[0].message)}"
            yield Notice("harness error", clean(text, 4000), places[subject.name])
