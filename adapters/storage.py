"""Where an implementation keeps its projections, and in which order of axes.

The canonical arrays of `Parameters` have named axes: ``in`` is the width of a query, key or value, ``h`` the
heads, ``k`` the d_k columns of one head, ``out`` the width of the output, and ``r`` counts the projections
that share one array.  So W_q is (r, in, h, k), its bias (r, h, k), W_o (h, k, out) and its bias (out).
A stored array is those axes in another order, reshaped: the weight of an ``nn.Linear`` for the query is
"r h k in", a packed in_proj the same with r = 3, one that is split per head first "h r k in".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations
from math import prod
from typing import Any

import numpy as np
from headcheck.reference.parameters import Parameters

from .protocol import Build

Sizes = Mapping[str, int]
Order = tuple[str, ...]
AXES = {"W": ("r", "in", "h", "k"), "b": ("r", "h", "k"), "W_o": ("h", "k", "out"), "b_o": ("out",)}


@dataclass(frozen=True)
class Slot:
    """One stored array: where it is, which parameters it holds, and in which order of axes."""

    path: str  # "W_q.weight", "heads.0.key.bias"
    names: tuple[str, ...]  # ("W_q",), or ("W_q", "W_k", "W_v") where they are packed
    order: tuple[str, ...]
    head: int | None = None  # the one head it belongs to, where each has its own

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The axes of the canonical array, in their canonical order."""
        return axes_of(self.names[0])

    def stored(self, parameters: Parameters, build: Build, shape: tuple[int, ...]) -> np.ndarray:
        """Return what belongs into an array of this shape: zeros for a bias that the parameters lack.

        Raises:
            ValueError: the array holds another number of elements.
        """
        _, _, size = _plan(self, build.d_model, build.num_heads)
        if prod(shape) != size:
            wanted = " x ".join(str(self.sizes(build)[axis]) for axis in self.order)
            raise ValueError(f"{self.path} has shape {shape}; expected {wanted} numbers ({self})")
        arrays = [getattr(parameters, name) for name in self.names]
        if arrays[0] is None:
            return np.zeros(shape)
        return np.asarray(self.moved(arrays[0] if len(arrays) == 1 else np.stack(arrays), build, shape))

    def moved(self, canonical: Any, build: Build, shape: tuple[int, ...]) -> Any:
        """Return canonical arrays, several stacked, in the order and shape stored; of any framework."""
        whole, order, _ = _plan(self, build.d_model, build.num_heads)
        canonical = canonical.reshape(whole)
        if self.head is not None:
            canonical = canonical.take(np.array([self.head]), axis=self.axes.index("h"))
        return canonical.transpose(order).reshape(shape)

    def source(self, build: Build, shape: tuple[int, ...], library: str) -> str:
        """Return source that makes what is stored from arrays called by their names in `Parameters`."""
        [name, *others] = self.names
        made = f"{library}.stack([{', '.join(self.names)}])" if others else name
        whole, order, _ = _plan(self, build.d_model, build.num_heads)
        straight, d = self.order == self.axes, build.d_model
        if not others and self.head is None and shape in {(d,), (d, d)} and (straight or len(shape) == 2):
            return made if straight else f"{made}.T"
        made = f"{made}.reshape{tuple(whole)}"
        if self.head is not None:
            axis = self.axes.index("h")
            made += f"[{':, ' * axis}{self.head}:{self.head + 1}]"
        return f"{made}.transpose{tuple(order)}.reshape{shape}"

    def taken(self, array: np.ndarray, build: Build) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each parameter's name and its canonical array, heads and their columns still apart."""
        sizes = self.sizes(build)
        apart = array.reshape([sizes[axis] for axis in self.order])
        canonical = apart.transpose([self.order.index(axis) for axis in self.axes])
        if self.axes[0] == "r":
            yield from zip(self.names, canonical, strict=True)
        else:
            yield self.names[0], canonical

    def sizes(self, build: Build) -> Sizes:
        """Return the length of each axis."""
        sizes = {"r": len(self.names), "in": build.d_model, "out": build.d_model, "k": build.d_k}
        sizes["h"] = build.num_heads if self.head is None else 1
        return {axis: sizes[axis] for axis in self.axes}

    def __str__(self) -> str:
        order = " ".join(axis for axis in self.order if axis != "r" or len(self.names) > 1)
        return order.replace("h k", "d") if self.head is None else order.replace("h k", "k")


def axes_of(name: str) -> tuple[str, ...]:
    """Return the canonical axes of a parameter."""
    return AXES[name if name in AXES else name[0]]


def orders(slot: Slot, shape: tuple[int, ...], build: Build) -> list[Order]:
    """Return every order of axes that an array of this shape can have, the most usual first.

    (in, out) comes first, and heads own neighbouring columns.  Only packed projections may share out their
    columns in another way: how they do that is nobody's business but the implementation's.
    """
    packed = len(slot.names) > 1
    fixed = ("r",) if slot.axes[0] == "r" and not packed else ()
    usual = [axis for axis in ("r", "h", "k") if axis in slot.axes and axis not in fixed]
    ranked: list[tuple[bool, bool, Order]] = []
    for order in permutations(axis for axis in slot.axes if axis not in fixed):
        heads_apart = [axis for axis in order if axis in usual] != usual
        if _makes(order, slot.sizes(build), shape) and (packed or not heads_apart):
            ranked.append((heads_apart, order[0] == "out" or order[-1] == "in", fixed + order))
    return [order for *_, order in sorted(ranked, key=lambda one: one[:2])]


def assembled(parts: Iterable[tuple[Slot, np.ndarray]], build: Build) -> dict[str, np.ndarray]:
    """Return arrays by the names of `Parameters`, (in, out), from what the slots store.

    An array that does not hold the numbers expected of it is returned as it is.
    """
    found: dict[str, np.ndarray] = {}
    heads: dict[str, list[np.ndarray]] = {}
    for slot, array in parts:
        if array.size != prod(slot.sizes(build).values()):
            found[slot.names[0]] = array
            continue
        for name, canonical in slot.taken(array, build):
            heads.setdefault(name, []).append(canonical)
    d = build.d_model
    for name, arrays in heads.items():
        axes = [axis for axis in axes_of(name) if axis != "r"]
        whole = np.concatenate(arrays, axis=axes.index("h")) if len(arrays) > 1 else arrays[0]
        found.setdefault(name, whole.reshape((d, d) if name.startswith("W") else (d,)))
    return found


@cache
def _plan(slot: Slot, d_model: int, num_heads: int) -> tuple[list[int], list[int], int]:
    """Return the canonical shape of all heads, the permutation to the stored order, and the stored size."""
    sizes = slot.sizes(Build(d_model, num_heads))
    whole = [num_heads if axis == "h" else sizes[axis] for axis in slot.axes]
    return whole, [slot.axes.index(axis) for axis in slot.order], prod(sizes.values())


def _makes(order: Order, sizes: Sizes, shape: tuple[int, ...]) -> bool:
    """Return whether these axes, neighbours run together, make an array of this shape.

    The width runs together with nothing but the packed projections before it.
    """
    remaining = list(order)
    for length in shape:
        group: list[str] = []
        while remaining and prod(sizes[axis] for axis in group) < length:
            group.append(remaining.pop(0))
        alone = not {"in", "out"} & {*group} or group in (["in"], ["out"], ["r", "in"])
        if prod(sizes[axis] for axis in group) != length or not alone:
            return False
    return not remaining
