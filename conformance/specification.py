"""The specification: what a requirement is, and the register of all of them.

A requirement is a value: what it says, why it matters, what it needs and the function that judges it,
together in one place.  The function reads like the sentence it checks:

    @requirement("MASK-REMOVAL", MUST, needs={"mask"}, situation=masked("keys"), formula=..., why=...)
    def removal(attend: Attend, case: Case) -> Failure | None:
        \"\"\"Blocking keys equals removing them.\"\"\"

It returns a `Failure` where the sentence does not hold for this case, None where it does, and raises
`NotMet` where the case cannot be put into the situation that the sentence is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING

from headcheck.adapters.protocol import Capability

from .cases import Case
from .observation import Failure
from .pool import Long
from .verdicts import Level, RequirementInfo

if TYPE_CHECKING:
    from .attend import Attend

SPEC_VERSION = "1.0"
FAMILIES = (
    "divisibility",
    "shapes",
    "projections",
    "scale",
    "softmax",
    "masks",
    "heads",
    "order",
    "paths",
    "numbers",
    "gradients",
    "dropout",
    "initialisation",
    "cost",
)
MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO

Judge = Callable[["Attend", Case], Failure | None]
Situation = Callable[[Case], Case]


@dataclass(frozen=True)
class Requirement:
    """One sentence of the specification and the function that judges it."""

    info: RequirementInfo
    judge: Judge
    situation: Situation
    control: Situation | None  # where the oracle disagrees with this too, another requirement is broken
    once: bool  # judged on one case: it does not depend on what the cases vary
    share: float  # how much of a profile's cases it is given
    shapes: int | None = None  # how many shapes of the alphabet it is given, where not all
    long: Long = "none"  # which long sequences it is judged on as well
    deep: bool = False  # judged only in `deep`, or when it is named
    every_dtype: bool = False  # its cases take turns through the dtypes declared

    @property
    def id(self) -> str:
        """The permanent name, like MASK-CAUSAL."""
        return self.info.id

    @property
    def level(self) -> Level:
        """How binding it is."""
        return self.info.level


_REGISTER: dict[str, Requirement] = {}


def requirement(
    id: str,
    level: Level,
    *,
    formula: str,
    why: str,
    needs: Iterable[Capability] = (),
    depends_on: Iterable[str] = ("SHAPE-OUTPUT",),
    situation: Situation = lambda case: case,
    control: Situation | None = None,
    once: bool = False,
    share: float = 0.5,
    shapes: int | None = None,
    long: Long = "none",
    deep: bool = False,
    every_dtype: bool = False,
    since: str = "1.0",
) -> Callable[[Judge], Judge]:
    """Register the decorated judging function; the first line of its docstring is the sentence."""

    def register(judge: Judge) -> Judge:
        statement = (judge.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ").rstrip(".")
        family = judge.__module__.rpartition(".")[2]
        info = RequirementInfo(
            id, family, level, statement, formula, why, since, tuple(sorted(needs)), tuple(depends_on)
        )
        if id in _REGISTER or not statement:
            raise ValueError(f"{id} is registered twice or has no sentence")
        _REGISTER[id] = Requirement(
            info, judge, situation, control, once, share, shapes, long, deep, every_dtype
        )
        return judge

    return register


def specification() -> tuple[Requirement, ...]:
    """Return all requirements, family by family, in the order in which they are written."""
    for family in FAMILIES:
        import_module(f"headcheck.families.{family}")
    return tuple(sorted(_REGISTER.values(), key=lambda requirement: FAMILIES.index(requirement.info.family)))


def named(id: str) -> Requirement:
    """Return the requirement of this name; KeyError where there is none."""
    specification()
    return _REGISTER[id]


def select(only: Iterable[str] = (), skip: Iterable[str] = ()) -> tuple[Requirement, ...]:
    """Return the requirements that match any of `only` (all, where there is none) and none of `skip`."""
    only, skip = tuple(only), tuple(skip)
    return tuple(
        requirement
        for requirement in specification()
        if (not only or any(fnmatchcase(requirement.id, glob.upper()) for glob in only))
        and not any(fnmatchcase(requirement.id, glob.upper()) for glob in skip)
    )


def situated(**changes: object) -> Situation:
    """Return a situation that sets these fields of a case."""
    return lambda case: replace(case, **changes)  # type: ignore[arg-type]


def masked(kind: str, *, keys: int = 2, **changes: object) -> Situation:
    """Return a situation with a mask of this kind and enough keys to block one."""

    def situation(case: Case) -> Case:
        n_k = max(case.n_k, keys)
        n_q = n_k if case.itself else case.n_q
        return replace(case, mask=kind, n_k=n_k, n_q=n_q, **changes)  # type: ignore[arg-type]

    return situation


def unmasked(case: Case) -> Case:
    """Take every mask out of a case."""
    return replace(case, mask="none", causal=False)
