"""The suite's own report: which requirement catches which planted fault, and who is left in peace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from types import MappingProxyType
from typing import Any, Protocol

from headcheck.verdicts import Level, RequirementInfo
from markupsafe import Markup

from .document import draw
from .words import counted


class Trial(Protocol):
    """One implementation of which it is known whether it is right, and what the suite said of it."""

    @property
    def name(self) -> str:
        """Of the fault or of the right style."""

    @property
    def framework(self) -> str:
        """On which it was tried."""

    @property
    def meant(self) -> str:
        """The requirement that is to catch it; empty for a right implementation."""

    @property
    def says(self) -> str:
        """What it gets wrong, or what is different about it."""

    @property
    def caught_by(self) -> tuple[str, ...]:
        """The requirements that it broke."""

    @property
    def messages(self) -> tuple[str, ...]:
        """What they said, one each."""

    @property
    def error(self) -> str:
        """Why it could not be judged; empty where it was."""

    @property
    def verdict(self) -> str:
        """What the trial shows of the suite, in a word or two."""

    @property
    def good(self) -> bool:
        """Whether the suite did right by it."""


def render(
    trials: Sequence[Trial],
    requirements: Sequence[RequirementInfo],
    profile: str,
    *,
    others: Mapping[str, str],
    codes: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> str:
    """Return the HTML page of the suite's trials: one file that loads nothing, like the report of a run.

    ``others`` holds, by framework, the profile at which the requirements other than the one meant for a fault
    judged it, "none" where they did not.  ``codes`` holds, by framework and name, a fingerprint of what was
    tried.
    """
    kills = Kills(tuple(trials), tuple(requirements), profile, others, codes)
    return draw("kill_matrix.html.jinja", kills=kills)


@dataclass(frozen=True)
class Fault:
    """One fault on every framework on which it was tried."""

    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """The name it is planted by."""
        return self.trials[0].name

    @property
    def meant(self) -> str:
        """The requirement that is to catch it."""
        return self.trials[0].meant

    @property
    def says(self) -> str:
        """The lie it tells."""
        return self.trials[0].says

    @property
    def good(self) -> bool:
        """Whether it is caught by the requirement meant for it wherever it was tried."""
        return not self.silent

    @property
    def loud(self) -> list[str]:
        """The frameworks on which the requirement meant for it caught it."""
        return self.caught_by(self.meant)

    @property
    def silent(self) -> list[str]:
        """The frameworks on which the requirement meant for it did not catch it."""
        return [trial.framework for trial in self.trials if self.meant not in trial.caught_by]

    @property
    def others(self) -> list[str]:
        """The other requirements that caught it."""
        caught = dict.fromkeys(requirement for trial in self.trials for requirement in trial.caught_by)
        return [requirement for requirement in caught if requirement != self.meant]

    @property
    def message(self) -> str:
        """What the requirement meant for it said of it."""
        said = (
            message
            for trial in self.trials
            for requirement, message in zip(trial.caught_by, trial.messages, strict=False)
            if requirement == self.meant
        )
        return next(said, "")

    @property
    def search(self) -> str:
        """What the text filter looks through."""
        return f"{self.name} {self.meant} {self.says}".lower()

    def caught_by(self, requirement: str) -> list[str]:
        """Return the frameworks on which a requirement caught it."""
        return [trial.framework for trial in self.trials if requirement in trial.caught_by]


@dataclass(frozen=True)
class Hole:
    """Something that the trials show to be wrong with the suite."""

    verdict: str
    name: str
    framework: str
    what: str


@dataclass(frozen=True)
class Kills:
    """Everything that the page shows."""

    trials: tuple[Trial, ...]
    requirements: tuple[RequirementInfo, ...]
    profile: str
    others: Mapping[str, str]
    codes: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def faults(self) -> list[Fault]:
        """The faults, each on all of its frameworks, in the order of the requirements meant for them."""
        order = {info.id: place for place, info in enumerate(self.requirements)}
        by_name: dict[str, list[Trial]] = {}
        for trial in self.trials:
            if trial.meant:
                by_name.setdefault(trial.name, []).append(trial)
        faults = [Fault(tuple(trials)) for trials in by_name.values()]
        return sorted(faults, key=lambda fault: order.get(fault.meant, len(order)))

    @property
    def right(self) -> list[Trial]:
        """The right implementations."""
        return [trial for trial in self.trials if not trial.meant]

    @property
    def frameworks(self) -> list[str]:
        """The frameworks on which anything was tried."""
        return list(dict.fromkeys(trial.framework for trial in self.trials))

    @cached_property
    def by_family(self) -> list[tuple[str, list[Fault]]]:
        """The faults by the family of the requirement meant for them."""
        family = {info.id: info.family for info in self.requirements}
        groups = groupby(self.faults, lambda fault: family.get(fault.meant, "others"))
        return [(name, list(group)) for name, group in groups]

    @property
    def families(self) -> list[str]:
        """The families that have faults."""
        return [family for family, _ in self.by_family]

    @property
    def beside(self) -> str:
        """How the other requirements judged a fault that the one meant for it had caught."""
        ways = {"none": "by that alone"}
        return "; ".join(
            f"on {' and '.join(on)} {ways.get(profile, f'by the others at {profile}')}"
            for profile in dict.fromkeys(self.others.values())
            if (on := [name for name in self.frameworks if self.others[name] == profile])
        )

    @property
    def power(self) -> list[tuple[RequirementInfo, int, int]]:
        """Each requirement with the number of faults meant for it, and of those it catches anywhere."""
        return [
            (
                info,
                sum(fault.meant == info.id for fault in self.faults),
                sum(bool(fault.caught_by(info.id)) for fault in self.faults),
            )
            for info in self.requirements
        ]

    @property
    def holes(self) -> list[Hole]:
        """What is wrong with the suite: faults missed, right ones accused, requirements without a fault."""
        found = [Hole(t.verdict, t.name, t.framework, _what(t)) for t in self.trials if not t.good]
        idle = [info for info, meant, _ in self.power if not meant and info.level is not Level.INFO]
        return found + [Hole("untried", info.id, "everywhere", "no fault is planted for it") for info in idle]

    @property
    def data(self) -> Markup:
        """What was tried, as JSON that can stand in a page: one line a trial."""
        requirements = json.dumps([info.id for info in self.requirements])
        lines = [
            json.dumps(f"{t.framework} {t.name}") + ": " + json.dumps(self._held(t)) for t in self.trials
        ]
        text = f'{{"requirements": {requirements},\n"trials": {{\n' + ",\n".join(lines) + "\n}}\n"
        return Markup(text.replace("<", "\\u003c"))

    def _held(self, trial: Trial) -> Mapping[str, Any]:
        code = self.codes.get((trial.framework, trial.name), "")
        return {"code": code, "caught_by": trial.caught_by, "messages": trial.messages, "error": trial.error}

    @property
    def headline(self) -> str:
        """The suite's power and its innocence in one sentence."""
        tried = [trial for trial in self.trials if trial.meant]
        caught = sum(trial.good for trial in tried)
        accused = sum(trial.verdict == "accused" for trial in self.right)
        faults = f"{caught} of {counted(len(tried), 'planted fault', 'planted faults')} caught"
        return f"{faults}, {accused or 'none'} of {len(self.right)} right implementations accused"


def _what(trial: Trial) -> str:
    """Return what went wrong with a trial that did not go well."""
    if trial.error:
        return trial.error
    by = "; ".join(
        f"{requirement}: {message}"
        for requirement, message in zip(trial.caught_by, trial.messages, strict=False)
    )
    if not trial.meant:
        return by
    return f"meant for {trial.meant}; " + (f"caught by {by}" if by else "nothing caught it")
