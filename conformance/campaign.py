"""A campaign: several subjects judged by one selection of requirements, as events and then as a record."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from headcheck.adapters.protocol import SubjectError

from . import __version__
from .cases import Case
from .engine import Judgement, Subject, without
from .pool import Profile
from .session import Session
from .specification import SPEC_VERSION, Requirement, specification
from .verdicts import Level, Run, SubjectRecord, Verdict

Open = Callable[[str], Session]
Event = SubjectRecord | Verdict


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do."""

    subjects: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    profile: Profile
    seed: int = 0
    strict: bool = False
    timeout: float = 60.0  # seconds after which a session stops one call
    problems: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)  # subject -> why it could not be found
    replayed: Mapping[tuple[str, str], Sequence[Case]] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether every applicable MUST is run."""
        chosen = {requirement.id for requirement in self.requirements}
        return self.profile.full and all(
            requirement.id in chosen
            for requirement in specification()
            if requirement.level is Level.MUST and not requirement.deep
        )


def carry_out(plan: Plan, open_session: Open, on_event: Callable[[Event], None] = lambda event: None) -> Run:
    """Judge every subject; what was judged before Ctrl-C is kept, and the run marked as not complete."""
    started = datetime.now(UTC)
    records: list[SubjectRecord] = []
    verdicts: list[Verdict] = []
    complete = True
    try:
        for name in plan.subjects:
            records.append(SubjectRecord(name))
            for event in judged(name, plan, open_session):
                if isinstance(event, SubjectRecord):
                    records[-1] = replace(event, source=located(event.source, repository()))
                else:
                    verdicts.append(event)
                on_event(event)
    except KeyboardInterrupt:
        complete = False
    return Run(
        headcheck=__version__,
        spec=SPEC_VERSION,
        profile=plan.profile.name,
        seed=plan.seed,
        started=started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        environment=environment(),
        requirements=tuple(requirement.info for requirement in plan.requirements),
        subjects=tuple(records),
        verdicts=tuple(verdicts),
        full=plan.full,
        complete=complete,
        strict=plan.strict,
        timeout=plan.timeout,
        problems=plan.problems,
    )


def judged(name: str, plan: Plan, open_session: Open) -> Iterable[Event]:
    """Yield a subject's record, its verdicts, and its record again with what was measured."""
    if name in plan.unusable:
        yield SubjectRecord(name, error=plan.unusable[name])
        return
    try:
        session = open_session(name)
    except SubjectError as error:
        yield SubjectRecord(name, error=without(name, error))
        return
    replayed = {id: cases for (subject, id), cases in plan.replayed.items() if subject == name}
    with session:
        judgement = Judgement(Subject(name, session), plan.profile, plan.seed, replayed=replayed)
        record = judgement.prepare()
        yield record
        if record.error:
            return
        for requirement in plan.requirements:
            yield judgement.judge(requirement)
        yield judgement.record()


def repository() -> str:
    """Return the root of the repository around the working directory, or that directory."""
    here = os.path.realpath(".")
    folders = [Path(here), *Path(here).parents]
    return str(next((folder for folder in folders if (folder / ".git").exists()), here))


def located(source: str, root: str) -> str:
    """Return "path:line" relative to a root that holds it, so that a record means the same anywhere."""
    written, _, line = source.rpartition(":")
    path = Path(os.path.realpath(written))
    return f"{path.relative_to(root).as_posix()}:{line}" if path.is_relative_to(root) and written else source


def environment() -> dict[str, str]:
    """Return what a run stood on, without a word about whose machine it was."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
    }


def exit_status(run: Run) -> int:
    """Return 0 conformant, 1 not, 2 interrupted, 3 headcheck's own error, 4 usage, 5 nothing judged."""
    conclusions = [run.conclusion(subject.name) for subject in run.subjects]
    if not run.complete:
        return 2
    if any(verdict.status == "harness error" for verdict in run.verdicts):
        return 3
    if any(subject.error for subject in run.subjects):
        return 4
    if "not conformant" in conclusions or run.problems:
        return 1
    if all(conclusion == "not judged" for conclusion in conclusions):
        return 5
    return 0
