"""The suite under test: each fault caught by the requirement meant for it, no right style accused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time

from headcheck.adapters.protocol import SubjectError

from .engine import Judgement, Subject
from .pool import Profile
from .session import InProcess
from .specification import Requirement
from .verdicts import BROKEN, Status

CAUGHT = BROKEN | {Status.DEVIATES}


@dataclass(frozen=True)
class Trial:
    """One implementation of which it is known whether it is right, and what the suite said of it."""

    name: str
    framework: str
    subject: str
    meant: str  # the requirement meant to catch it; empty for a right implementation
    says: str  # the lie of a fault, or the style of a right one
    caught_by: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def verdict(self) -> str:
        """What the trial shows of the suite, in a word or two."""
        if self.error:
            return "not judged"
        if not self.meant:
            return "accused" if self.caught_by else "left in peace"
        if self.meant in self.caught_by:
            return "caught"
        return "caught by another" if self.caught_by else "missed"

    @property
    def good(self) -> bool:
        """Whether the suite did right by it."""
        return self.verdict in {"caught", "left in peace"}


def candidates(frameworks: Sequence[str]) -> Iterator[Trial]:
    """Yield every fault and every right style of these frameworks, not yet tried."""
    from headcheck.reference.faults.catalogue import FAULTS
    from headcheck.reference.styles.catalogue import STYLES

    for framework in frameworks:
        for fault in FAULTS:
            if framework in fault.frameworks:
                yield Trial(fault.name, framework, fault.subject(framework), fault.caught_by, fault.lie)
        for style in STYLES:
            if style.framework == framework:
                yield Trial(style.name, framework, style.subject, "", style.says)


def tried(
    candidate: Trial,
    requirements: Sequence[Requirement],
    profile: Profile,
    seeds: Iterable[int] = (0,),
    *,
    others: Profile | None,
) -> Trial:
    """Return the trial with what the suite says; a right style is judged on every seed, a fault on the first.

    A fault is judged by the requirement meant for it.  Once that has caught it, the others judge it at the
    profile `others`, or not at all where that is None; one that it misses they judge at `profile` too.
    """
    start = process_time()
    caught: dict[str, str] = {}
    meant = [one for one in requirements if one.id == candidate.meant]
    rest = [one for one in requirements if one.id != candidate.meant]
    try:
        for seed in seeds:
            found = _caught(candidate, meant, profile, seed)
            beside = others if found else profile
            if beside is not None:
                found |= _caught(candidate, rest, beside, seed)
            caught = found | caught
            if candidate.meant:
                break
    except SubjectError as refusal:
        return _ended(candidate, {}, start, str(refusal))
    return _ended(candidate, caught, start)


def _caught(
    candidate: Trial, requirements: Sequence[Requirement], profile: Profile, seed: int
) -> dict[str, str]:
    """Return what each requirement that the candidate breaks says; SubjectError where it is not judged."""
    from headcheck.adapters.subjects import load

    caught: dict[str, str] = {}
    if not requirements:
        return caught
    judgement = Judgement(
        Subject(candidate.subject, InProcess(load(candidate.subject))), profile, seed, prove=False
    )
    error = judgement.prepare().error
    if error:
        raise SubjectError(error)
    for requirement in requirements:
        verdict = judgement.judge(requirement)
        if verdict.status in CAUGHT:
            caught[verdict.requirement] = f"seed {seed}: {verdict.message}"
        elif verdict.status is Status.HARNESS_ERROR:
            raise SubjectError(f"{verdict.requirement}: {verdict.message}")
    return caught


def _ended(candidate: Trial, caught: dict[str, str], start: float, error: str = "") -> Trial:
    return Trial(
        candidate.name,
        candidate.framework,
        candidate.subject,
        candidate.meant,
        candidate.says,
        tuple(caught),
        tuple(caught.values()),
        process_time() - start,
        error,
    )


def holes(trials: Sequence[Trial], requirements: Sequence[Requirement]) -> list[str]:
    """Return what the trials show to be wrong with the suite, in sentences; empty where nothing is."""
    found = [
        f"{trial.framework} {trial.name}: {trial.verdict}"
        + (f", meant for {trial.meant}" if trial.meant else "")
        + (f"; by {', '.join(trial.caught_by)}" if trial.caught_by else "")
        + (f": {trial.error or trial.messages[0]}" if trial.error or trial.messages else "")
        for trial in trials
        if not trial.good
    ]
    from headcheck.reference.faults.catalogue import FAULTS

    meant = {fault.caught_by for fault in FAULTS}  # on any framework: some do not exist on all
    found += [
        f"{requirement.id}: no fault is planted for it"
        for requirement in requirements
        if requirement.id not in meant and requirement.level != "INFO"
    ]
    return found
