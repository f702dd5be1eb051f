"""Where a JAX object keeps the four projections: which leaves, and in which order of axes.

The arrays of an object are looked at as a tree of plain nodes and lists, whatever wraps them.  A flax
``kernel`` has its rows in; a bare matrix, or a ``weight``, is as it is: one token tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from headcheck.reference.parameters import Parameters

from .on_jax_leaves import Names, is_array, leaves
from .projections import Kind, Orders, reordered, storage
from .protocol import Build
from .storage import Order, Slot, assembled

WRAPPERS = {"value", "raw_value"}  # what flax.nnx wraps an array in
KERNELS = ("kernel", "w")


class Node(SimpleNamespace):
    """What holds arrays, or other nodes, by their names."""


def _rows(layer: Any) -> str:
    return "in" if any(hasattr(layer, name) for name in KERNELS) else ""


JAX = Kind(
    attributes=lambda value: vars(value) if isinstance(value, Node) else {},
    is_array=is_array,
    lists=(list,),
    rows=_rows,
    weight=(*KERNELS, "weight"),
    bias=("bias", "b"),
)


@dataclass(frozen=True)
class Places:
    """The slots of objects of one build, and the leaf of each by its path."""

    build: Build
    slots: Sequence[Slot]
    names: Mapping[str, Names]
    possible: Mapping[tuple[str, ...], list[Order]]  # orders of axes, see `Storage`

    def of(self, slot: Slot) -> Names:
        """Return the names that lead to a slot's leaf."""
        return self.names[slot.path]

    @property
    def parameters(self) -> set[str]:
        """The names in `Parameters` of all that is held."""
        return {name for slot in self.slots for name in slot.names}

    def read_as(self, orders: Orders) -> Places:
        """Return the same places with these orders of axes."""
        return Places(self.build, reordered(self.slots, orders), self.names, self.possible)

    def placed(self, parameters: Mapping[str, Any], held: Mapping[Names, Any]) -> dict[Names, Any]:
        """Return the leaves that hold these parameters; zeros for a bias that is held and not among them."""
        return {
            self.of(slot): self._stored(slot, parameters, tuple(held[self.of(slot)].shape))
            for slot in self.slots
            if self.of(slot) in held
        }

    def _stored(self, slot: Slot, parameters: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        if slot.names[0] not in parameters:
            return np.zeros(shape, parameters["W_q"].dtype)
        arrays = [parameters[name] for name in slot.names]
        together = jnp.concatenate([array[None] for array in arrays]) if len(arrays) > 1 else arrays[0]
        return slot.moved(together, self.build, shape)

    def taken(self, held: Mapping[Names, Any]) -> Parameters:
        """Return the parameters that these leaves hold."""
        arrays = ((slot, np.asarray(held[self.of(slot)], dtype=np.float64)) for slot in self.slots)
        return Parameters(**assembled(arrays, self.build))


def places(module: Any, build: Build, subject: str) -> Places:
    """Return where an object keeps its projections; SubjectError where it cannot be told."""
    arrays = {
        names: leaf for names, leaf in leaves(module).items() if jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    names = {".".join(name.replace(".", "_") for name in unwrapped(names)): names for names in arrays}
    tree = _tree({tuple(path.split(".")): arrays[names[path]] for path in names})
    found = storage(tree, build, subject, JAX)
    return Places(build, found.slots, names, found.possible)


def unwrapped(names: Names) -> Names:
    """Return the names that a person gave, without what a framework wraps an array in."""
    while len(names) > 1 and names[-1] in WRAPPERS:
        names = names[:-1]
    return names


def _tree(arrays: Mapping[tuple[str, ...], Any]) -> Any:
    """Return nested nodes, and lists where all names are numbers."""
    if () in arrays:
        return arrays[()]
    below: dict[str, dict[tuple[str, ...], Any]] = {}
    for (first, *rest), array in arrays.items():
        below.setdefault(first, {})[tuple(rest)] = array
    if below and all(name.isdigit() for name in below):
        return [_tree(below[name]) for name in sorted(below, key=int)]
    return Node(**{name: _tree(inner) for name, inner in below.items()})
