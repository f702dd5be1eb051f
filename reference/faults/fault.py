"""What a fault is, and how the classes of a module become faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

from .steps import Framework, Steps

EVERYWHERE: tuple[Framework, ...] = ("numpy", "torch", "jax")
MUTABLE: tuple[Framework, ...] = ("numpy", "torch")  # arrays and modules that can be written to
ORIGIN = {"__doc__", "__module__", "__firstlineno__"}  # by which `inspect` finds the source of a class
DIFFERENTIABLE: tuple[Framework, ...] = ("torch", "jax")


@dataclass(frozen=True)
class Fault:
    """One wrong implementation.

    ``shipped`` are keys of `headcheck.reference.faults.shipped.SHIPPED`: real defects of this kind.
    """

    name: str
    caught_by: str  # the requirement that is meant for it
    lie: str  # what the implementation gets wrong, in one sentence
    family: str
    frameworks: tuple[Framework, ...]
    shipped: tuple[str, ...]
    planted: type[Steps]  # the override, to be mixed into a reference

    def subject(self, framework: str) -> str:
        """Return "module:Class" of this fault on a framework; ValueError where it cannot exist there."""
        if framework not in self.frameworks:
            raise ValueError(
                f"{self.name} exists on {', '.join(self.frameworks)}; not on {framework or 'nothing'}"
            )
        return f"{__package__}.on_{framework}:{self.name}"


Planted = TypeVar("Planted", bound=type[Steps])


def fault(
    caught_by: str, *shipped: str, on: tuple[Framework, ...] = EVERYWHERE
) -> Callable[[Planted], Planted]:
    """Make the decorated class a fault; the first line of its docstring is the lie."""

    def declare(planted: Planted) -> Planted:
        lie = (planted.__doc__ or "").strip().split("\n")[0].rstrip(".")
        family = planted.__module__.rpartition(".")[2]
        planted.fault = Fault(planted.__name__, caught_by, lie, family, on, shipped, planted)  # type: ignore[attr-defined]
        return planted

    return declare


def planted(family: ModuleType) -> Iterator[Fault]:
    """Yield the faults of a module in the order in which they are written."""
    for member in vars(family).values():
        found = vars(member).get("fault") if isinstance(member, type) else None
        if isinstance(found, Fault) and member.__module__ == family.__name__:
            yield found


def classes(faults: tuple[Fault, ...], framework: Framework, *bases: type) -> dict[str, type]:
    """Return the faults planted in the reference of a framework, by name.

    Each class says it comes from where its override is written, so that whoever looks for its source
    finds the lie.
    """
    return {
        fault.name: type(
            fault.name,
            (fault.planted, *bases),
            {name: value for name, value in vars(fault.planted).items() if name in ORIGIN},
        )
        for fault in faults
        if framework in fault.frameworks
    }
