"""Finding the projections of an object by the names of its attributes, whatever framework they are of.

A projection may be a layer with a weight and a bias, a bare array, a list with one of either a head, or one
of several that share an array; all four may be in one list, or in a list of whole heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from headcheck.reference.parameters import Parameters

from .discovery import advice, projections, unrecognised
from .names import projection
from .protocol import Build, SubjectError
from .storage import Order, Slot, axes_of, orders

ALL = ("q", "k", "v", "o")
Orders = Mapping[tuple[str, ...], Order]  # names that share an array -> its order of axes


@dataclass(frozen=True)
class Kind:
    """How a framework's objects hold weights."""

    attributes: Callable[[Any], Mapping[str, Any]]  # what of an object holds weights, by name
    is_array: Callable[[Any], bool]
    lists: tuple[Any, ...]
    rows: Callable[[Any], str]  # what the rows of a layer's weight are: "in", "out", "" where that is open
    weight: tuple[str, ...] = ("weight",)
    bias: tuple[str, ...] = ("bias",)


@dataclass(frozen=True)
class Leaf:
    """One stored matrix and, where it has one, the bias beside it."""

    weight: str
    bias: str | None = None
    rows: str = ""


@dataclass(frozen=True)
class Storage:
    """The slots of an object, and the orders of axes that each of its weight arrays can have.

    Where sizes coincide more are possible than in general, so those of one size settle those of all.
    """

    slots: tuple[Slot, ...]
    possible: Mapping[tuple[str, ...], list[Order]]
    found: Mapping[str, str]  # "W_q" -> path; an asterisk stands for the heads


def storage(module: Any, build: Build, subject: str, kind: Kind) -> Storage:
    """Find where an object keeps its projections; SubjectError where it cannot be told."""
    found = _named(module, subject, kind)
    slots: list[Slot] = []
    possible: dict[tuple[str, ...], list[Order]] = {}
    for role, path in found.items():
        letters = role[2:]
        leaves = list(_leaves(module, path, build.num_heads, subject, kind))
        if len(leaves) not in {1, build.num_heads}:
            raise unrecognised(
                subject, [f"{role} (one layer, or one a head)"], [f"{path} ({len(leaves)} layers)"]
            )
        names = tuple(f"{role[0]}_{letter}" for letter in letters)
        biases = tuple(f"b_{letter}" for letter in letters)
        for i, leaf in enumerate(leaves):
            slot = Slot(leaf.weight, names, axes_of(names[0]), i if len(leaves) > 1 else None)
            fitting = _fitting(slot, leaf.rows, tuple(at(module, leaf.weight).shape), build)
            slots.append(replace(slot, order=fitting[0]))
            if role.startswith("W"):
                possible[names] = fitting
            if leaf.bias:
                slots.append(Slot(leaf.bias, biases, axes_of(biases[0]), slot.head))
    return Storage(tuple(slots), possible, found)


def at(module: Any, path: str) -> Any:
    """Return what is at a path like "heads.0.key.weight"; an entry of a dict is written "params.['W_q']"."""
    for part in path.split("."):
        if part.startswith("["):
            module = module[part[2:-2]]
        else:
            module = module[int(part)] if part.isdigit() else getattr(module, part)
    return module


def below(path: str, value: Any, name: str) -> str:
    """Return the path of what is called `name` in the value at a path."""
    return f"{path}.{[name]}" if isinstance(value, Mapping) else f"{path}.{name}"


def _named(module: Any, subject: str, kind: Kind) -> dict[str, str]:
    """Return where each projection is; of a list of whole heads, the projections of its items."""
    held = kind.attributes(module)
    for container, value in held.items():
        if isinstance(value, kind.lists) and not kind.is_array(value[0]):
            inner = {role: name for name in kind.attributes(value[0]) if (role := projection(name))}
            if {"W_q", "W_k", "W_v"} <= set(inner):
                outer = {role: name for name in held if (role := projection(name)) in {"W_o", "b_o"}}
                if "W_o" not in outer | inner:
                    raise unrecognised(subject, ["W_o"], held)
                return {
                    role: f"{container}.*.{name}" for role, name in inner.items() if role != "b_o"
                } | outer
    try:
        found = projections(held, subject)
    except SubjectError:
        found = _within(held, subject, kind)
        if not found:
            raise
        return found
    listed = found.pop("W_list", None)
    letters = ALL[: 4 - ("W_o" in found)]
    if listed and len(held[listed]) != len(letters):
        missing = [f"W_{letter}" for letter in letters]
        raise unrecognised(subject, missing, [f"{listed} ({len(held[listed])} layers)"])
    return found | ({f"W_{letter}": f"{listed}.{i}" for i, letter in enumerate(letters)} if listed else {})


def _within(held: Mapping[str, Any], subject: str, kind: Kind) -> dict[str, str]:
    """Return where the projections are if one attribute holds all of them, as a wrapper or a dict does."""
    every = []
    for container, value in held.items():
        if not kind.is_array(value) and not isinstance(value, kind.lists):
            with suppress(SubjectError):
                inner = projections(kind.attributes(value), subject)
                every.append({role: below(container, value, name) for role, name in inner.items()})
    return every[0] if len(every) == 1 and "W_list" not in every[0] else {}


def _leaves(module: Any, path: str, num_heads: int, subject: str, kind: Kind) -> Iterator[Leaf]:
    """Yield what is stored at a path; a list gives one leaf an item, a wrapper the one layer in it."""
    if "*" in path:
        for i in range(num_heads):
            yield from _leaves(module, path.replace("*", str(i)), num_heads, subject, kind)
        return
    value = at(module, path)
    weight = _first(value, kind.weight, kind)
    if isinstance(value, kind.lists):
        for i, item in enumerate(value):
            if kind.is_array(item) or isinstance(item, kind.lists) or kind.attributes(item):  # no dropout
                yield from _leaves(module, f"{path}.{i}", num_heads, subject, kind)
    elif kind.is_array(value):
        yield Leaf(path)
    elif weight:
        bias = _first(value, kind.bias, kind)
        yield Leaf(below(path, value, weight), bias and below(path, value, bias), kind.rows(value))
    else:
        inner = list(kind.attributes(value))
        if len(inner) != 1:
            held = ", ".join(inner) or "nothing"
            raise SubjectError(f"{subject}: {path} holds {held}; expected one layer.\n{advice(subject)}")
        yield from _leaves(module, below(path, value, inner[0]), num_heads, subject, kind)


def _first(value: Any, names: Iterable[str], kind: Kind) -> str | None:
    entries = isinstance(value, Mapping)
    held = ((name, value.get(name) if entries else getattr(value, name, None)) for name in names)
    return next((name for name, array in held if kind.is_array(array)), None)


def _fitting(slot: Slot, rows: str, shape: tuple[int, ...], build: Build) -> list[Order]:
    """Return the orders of axes that the layer's type and the shape allow; the usual one where none does."""
    fitting = orders(slot, shape, build)
    if rows:
        fitting = [order for order in fitting if turned(order) == (rows == "out")]
    if fitting or rows != "out":
        return fitting or [slot.axes]
    inner = tuple(axis for axis in slot.axes if axis not in {"in", "out"})
    return [(*inner, "in") if "in" in slot.axes else ("out", *inner)]


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

    Query, key and value are read alike, and so is W_o where it is as open as they are: a matrix that is used
    the other way round than its neighbours is a fault, not a way to store it.
    """
    inward = max((len(orders) for names, orders in possible.items() if names != ("W_o",)), default=1)
    for i in range(inward):
        for outward in possible.get(("W_o",), [()]):
            alike = {names: orders[min(i, len(orders) - 1)] for names, orders in possible.items()}
            chosen = alike | ({("W_o",): outward} if outward else {})
            ways = {
                turned(chosen[names])
                for names, orders in possible.items()
                if {True, False} <= {*map(turned, orders)}
            }
            if len(ways) < 2:
                yield chosen


def turned(order: Order) -> bool:
    """Return whether an array in this order of axes is stored (out, in)."""
    return order[-1] == "in" or order[0] == "out"


def as_stored(orders: list[Order], stored: str) -> list[Order]:
    """Return the orders in which an array is stored "in out" or "out in"; all of them where none is."""
    outward = stored == "out in"
    return [order for order in orders if turned(order) == outward] or orders


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
