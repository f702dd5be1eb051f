"""What changed between two runs, requirement by requirement.

The groups are about failing: what fails that did not is new, what failed and holds is fixed, what fails
otherwise than before or is judged otherwise is changed.  What only one of the two runs judged is told apart,
so that a shorter run does not look like a better one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .identity import configuration, failed, kind
from .verdicts import Level, Run, Status, Verdict

_HOLDS = frozenset({Status.PASS, Status.UNEXPECTED_PASS})


@dataclass(frozen=True)
class Side:
    """One of the two runs, as far as it says how comparable they are."""

    headcheck: str
    spec: str
    profile: str
    seed: int
    started: str


@dataclass(frozen=True)
class Change:
    """One requirement of one subject in both runs; None where a run has no verdict on it."""

    subject: str
    requirement: str
    level: Level
    statement: str
    before: Verdict | None
    after: Verdict | None

    @property
    def words(self) -> str:
        """The two statuses: "pass → fail", or one where they are the same."""
        before, after = (one.status.value if one else "not judged" for one in (self.before, self.after))
        return before if before == after else f"{before} → {after}"

    @property
    def reason(self) -> str:
        """What the later verdict says, or the earlier where there is no later one."""
        one = self.after or self.before
        return one.message if one else ""


@dataclass(frozen=True)
class Diff:
    """Two runs compared.  Within each group the order is that of the later run."""

    before: Side
    after: Side
    new: tuple[Change, ...]  # fails, and did not
    fixed: tuple[Change, ...]  # failed, and holds
    changed: tuple[Change, ...]  # fails otherwise, or is judged otherwise
    unchanged: tuple[Change, ...]
    unmatched: tuple[Change, ...]  # judged in one of the runs alone, and no failure in either
    notes: tuple[str, ...] = ()  # why the two may not be comparable
    strict: bool = False  # to deviate is to fail

    @property
    def still_failing(self) -> tuple[Change, ...]:
        """Those of the unchanged that fail in both runs."""
        return tuple(change for change in self.unchanged if _fails(change.after, strict=self.strict))

    @property
    def summary(self) -> str:
        """The groups counted: "1 new failure, 2 fixed, 0 changed, 40 unchanged (3 failing)"."""
        failures = "failure" if len(self.new) == 1 else "failures"
        words = (
            f"{len(self.new)} new {failures}, {len(self.fixed)} fixed, {len(self.changed)} changed, "
            f"{len(self.unchanged)} unchanged ({len(self.still_failing)} failing)"
        )
        return words + (f", {len(self.unmatched)} judged in one run alone" if self.unmatched else "")


def compare(old: Run, new: Run) -> Diff:
    """Return what changed from one run to another."""
    groups: dict[str, list[Change]] = {
        name: [] for name in ("new", "fixed", "changed", "unchanged", "unmatched")
    }
    for change in _changes(old, new):
        groups[_group(change.before, change.after, strict=new.strict)].append(change)
    return Diff(
        before=_side(old),
        after=_side(new),
        notes=tuple(_notes(old, new)),
        strict=new.strict,
        **{name: tuple(changes) for name, changes in groups.items()},
    )


def _changes(old: Run, new: Run) -> Iterator[Change]:
    """Yield every pair that either run has a verdict on, those of the later run first."""
    statements = {r.id: r.statement for r in (*old.requirements, *new.requirements)}
    before, after = ({(v.subject, v.requirement): v for v in run.verdicts} for run in (old, new))
    for subject, requirement in dict.fromkeys((*after, *before)):
        pair = subject, requirement
        one = after.get(pair) or before[pair]
        yield Change(
            subject, requirement, one.level, statements[requirement], before.get(pair), after.get(pair)
        )


def _group(before: Verdict | None, after: Verdict | None, *, strict: bool) -> str:
    """Return the group of a pair of verdicts."""
    failed_before, fails = (_fails(one, strict=strict) for one in (before, after))
    if fails and not failed_before:
        return "new"
    if failed_before and after is not None and after.status in _HOLDS:
        return "fixed"
    if before is None or after is None:
        return "changed" if failed_before else "unmatched"
    if fails and (kind(before), configuration(before)) != (kind(after), configuration(after)):
        return "changed"
    return "unchanged" if before.status is after.status else "changed"


def _fails(one: Verdict | None, *, strict: bool) -> bool:
    """Return whether a verdict is a failure: to deviate is one where the later run is strict."""
    return one is not None and failed(one) and (strict or one.status is not Status.DEVIATES)


def _side(run: Run) -> Side:
    return Side(run.headcheck, run.spec, run.profile, run.seed, run.started)


def _notes(old: Run, new: Run) -> Iterator[str]:
    for name, before, after in (
        ("specification", old.spec, new.spec),
        ("headcheck", old.headcheck, new.headcheck),
        ("profile", old.profile, new.profile),
        ("seed", str(old.seed), str(new.seed)),
        ("strictness", "strict" if old.strict else "not strict", "strict" if new.strict else "not strict"),
    ):
        if before != after:
            yield f"the {name} differs: {before}, then {after}"
    for run, which in ((old, "earlier"), (new, "later")):
        if not run.complete:
            yield f"the {which} run was interrupted"
        for subject in run.subjects:
            if subject.error:
                yield f"{subject.name} could not be judged in the {which} run: {subject.error}"
