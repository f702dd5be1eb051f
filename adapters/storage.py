"""Where an implementation keeps its projections, and in which order of axes.

The canonical arrays of `Parameters` have named axes: ``in`` is the width of a query, key or value, ``h`` the
heads, ``k`` the d_k columns of one head, ``out`` the width of the output, and ``r`` counts the projections
that share one array.  So W_q is (r, in, h, k), its bias (r, h, k), W_o (h, k, out) and its bias (out).
A stored array is those axes in another order, reshaped: the weight of an ``nn.Linear`` for the query is
"r h k in", a packed in_proj the same with r = 3, one that is split per head first "h r k in".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

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

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of the canonical array, in their canonical order."""
        return axes_of(self.names[0])

    def stored(self, parameters: Parameters, build: Build, shape: tuple[int, ...]) -> np.ndarray:
        """Return what belongs into an array of this shape: zeros for a bias that the parameters lack.

        Raises:
            ValueError: the array holds another number of elements.
        """
        sizes = self.sizes(build)
        if prod(shape) != prod(sizes[axis] for axis in self.axes):
            wanted = " x ".join(str(sizes[axis]) for axis in self.order)
            raise ValueError(f"{self.path} has shape {shape}; expected {wanted} numbers ({self})")
        arrays = [getattr(parameters, name) for name in self.names]
        if arrays[0] is None:
            return np.zeros(shape)
        whole = _whole(build, self.axes)
        canonical = (arrays[0] if len(arrays) == 1 else np.stack(arrays)).reshape(
            [whole[a] for a in self.axes]
        )
        if self.head is not None:
            canonical = canonical.take([self.head], axis=self.axes.index("h"))
        return canonical.transpose([self.axes.index(axis) for axis in self.order]).reshape(shape)

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
        sizes = _whole(build, self.axes) | {"r": len(self.names)}
        return sizes if self.head is None else sizes | {"h": 1}

    def __str__(self) -> str:
        order = " ".join(axis for axis in self.order if axis != "r" or len(self.names) > 1)
        return order.replace("h k", "d") if self.head is None else order.replace("h k", "k")


def axes_of(name: str) -> tuple[str, ...]:
    """Return the canonical axes of a parameter."""
    return AXES[name if name in AXES else name[0]]


def orders(slot: Slot, shape: tuple[int, ...], build: Build) -> list[tuple[str, ...]]:
    """Return every order of axes that an array of this shape can have, the most usual first.

    (in, out) comes first, and heads own neighbouring columns.  Only packed projections may share out their
    columns in another way: how they do that is nobody's business but the implementation's.
    """
    packed = len(slot.names) > 1
    sizes = {axis: size for axis, size in slot.sizes(build).items() if axis != "r" or packed}
    inner = [axis for axis in slot.axes if axis in sizes and axis not in {"in", "out"}]
    found = []
    for order in permutations(axis for axis in slot.axes if axis in sizes):
        usual = [axis for axis in order if axis in inner] == inner
        groups = _grouped(order, sizes, shape)
        if (
            groups
            and (usual or packed)
            and all(group in _WITH_WIDTH or not {"in", "out"} & {*group} for group in groups)
        ):
            outer = order[0] == slot.axes[0] or order[0] == "in" or not {"in", "out"} & {*order}
            found.append((not usual, not outer, ("r",) * (not packed and slot.axes[0] == "r") + order))
    return [order for *_, order in sorted(found, key=lambda rank: rank[:2])]


def assembled(parts: Iterable[tuple[Slot, np.ndarray]], build: Build) -> dict[str, np.ndarray]:
    """Return arrays by the names of `Parameters`, (in, out), from what the slots store.

    An array that does not hold the numbers expected of it is returned as it is.
    """
    heads: dict[str, list[np.ndarray]] = {}
    for slot, array in parts:
        if array.size == prod(slot.sizes(build)[axis] for axis in slot.axes):
            for name, canonical in slot.taken(array, build):
                heads.setdefault(name, []).append(canonical)
        else:
            heads[slot.names[0]] = [array]
    together: dict[str, np.ndarray] = {}
    for name, arrays in heads.items():
        axis = [a for a in axes_of(name) if a != "r"].index("h") if name != "b_o" else 0
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)
        d = build.d_model
        fits = whole.size == (d * d if name.startswith("W") else d)
        together[name] = whole.reshape((d, d) if name.startswith("W") else (d,)) if fits else whole
    return together


Orders = Mapping[tuple[str, ...], Order]  # names that share an array -> its order of axes


def reordered(slots: Iterable[Slot], chosen: Orders) -> tuple[Slot, ...]:
    """Return the slots with these orders of axes; a packed bias follows its matrix."""
    orders = dict(chosen)
    for names, order in chosen.items():
        if names[0] in {"W_q", "W_k", "W_v"}:
            biases = tuple(name.replace("W", "b") for name in names)
            orders.setdefault(biases, tuple(axis for axis in order if axis != "in"))
    return tuple(replace(slot, order=orders.get(slot.names, slot.order)) for slot in slots)


def alternatives(possible: Mapping[tuple[str, ...], list[Order]]) -> Iterator[Orders]:
    """Yield the ways to read arrays whose order of axes is open, the most usual first.

    Query, key and value are read alike.
    """
    inward = max((len(orders) for names, orders in possible.items() if names != ("W_o",)), default=1)
    for i in range(inward):
        for outward in possible.get(("W_o",), [()]):
            alike = {names: orders[min(i, len(orders) - 1)] for names, orders in possible.items()}
            yield alike | ({("W_o",): outward} if outward else {})


def as_stored(orders: list[Order], stored: str) -> list[Order]:
    """Return the orders in which an array is stored "in out" or "out in"; all of them where none is."""
    outward = stored == "out in"
    return [order for order in orders if (order[-1] == "in" or order[0] == "out") == outward] or orders


def one_token(build: Build) -> tuple[Parameters, np.ndarray, np.ndarray]:
    """Return weights, one token, and what any attention makes of it: x W_v W_o.

    A single key has the weight 1 whatever mask, scale and softmax do, so the answer tells how W_v and W_o
    are stored and nothing else.
    """
    rng = np.random.default_rng(0)
    d = build.d_model
    parameters = Parameters(*(rng.integers(-2, 3, (4, d, d)) / 4.0))
    token = rng.integers(-2, 3, (1, 1, d)) / 2.0
    return parameters, token, token @ parameters.W_v @ parameters.W_o


def _whole(build: Build, axes: Iterable[str]) -> dict[str, int]:
    sizes = {"in": build.d_model, "out": build.d_model, "h": build.num_heads, "k": build.d_k, "r": -1}
    return {axis: sizes[axis] for axis in axes}


_WITH_WIDTH = [("in",), ("out",), ("r", "in")]  # what shares a dimension of the array with the width


def _grouped(order: tuple[str, ...], sizes: Sizes, shape: tuple[int, ...]) -> list[tuple[str, ...]]:
    """Return the axes that each dimension of this shape is made of; nothing where they do not fit."""
    remaining, groups = list(order), []
    for length in shape:
        group: list[str] = []
        while remaining and prod(sizes[axis] for axis in group) < length:
            group.append(remaining.pop(0))
        if prod(sizes[axis] for axis in group) != length:
            return []
        groups.append(tuple(group))
    return [] if remaining else groups
