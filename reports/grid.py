"""The nested lists of a record, seen as arrays of at least two axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TypeGuard

from headcheck.verdicts import Nested

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """An array by its elements, whose indices have at least two axes: a vector is one row.

    An element that is not finite is None or a float, as the record has it.
    """

    shape: Index  # as recorded: () for a number, (3,) for a vector
    elements: Mapping[Index, float | None]

    @property
    def axes(self) -> Index:
        """The shape with at least two axes."""
        return (1,) * (2 - len(self.shape)) + self.shape

    @cached_property
    def top(self) -> float:
        """The largest finite magnitude, 0 where there is none."""
        return max((abs(x) for x in self.elements.values() if finite(x)), default=0.0)

    @property
    def blocks(self) -> list[Index]:
        """The indices of the two-dimensional blocks: one for each head of each example, say."""
        return list(product(*map(range, self.axes[:-2])))

    def index(self, recorded: Index) -> Index | None:
        """Return a recorded index with at least two axes; None where the array has no such element."""
        index = (0,) * (2 - len(recorded)) + tuple(recorded)
        return index if len(recorded) == len(self.shape) and index in self.elements else None

    def spread(self, over: Grid) -> Grid | None:
        """Return the array broadcast to the shape of another, as NumPy does it; None where it cannot be."""
        if self.shape == over.shape:
            return self
        own = (1,) * (len(over.axes) - len(self.axes)) + self.axes
        if len(own) > len(over.axes) or any(n not in {1, m} for n, m in zip(own, over.axes, strict=True)):
            return None
        drop = len(own) - len(self.axes)
        source = {
            index: tuple(0 if n == 1 else i for i, n in zip(index, own, strict=True))[drop:]
            for index in over.elements
        }
        return Grid(over.shape, {index: self.elements[here] for index, here in source.items()})


def read(nested: Nested) -> Grid | None:
    """Return nested lists of numbers as a grid; None where they are ragged, empty or hold anything else."""
    try:
        shape = _shape(nested)
        pad = (0,) * (2 - len(shape))
        elements = {pad + index: _number(x) for index, x in _walk(nested, shape)}
    except TypeError:
        return None
    return Grid(shape, elements) if elements and nested is not None else None


def errors(expected: Grid, actual: Grid) -> Grid:
    """Return actual - expected, element by element, of two arrays of one shape."""
    pairs = ((i, x, expected.elements[i]) for i, x in actual.elements.items())
    return Grid(actual.shape, {i: None if x is None or y is None else x - y for i, x, y in pairs})


def ratios(errors: Grid, bound: Grid | None) -> dict[Index, float]:
    """Return |error| / bound of every element; infinite where an error is not finite or has no bound."""
    limits = bound.spread(errors) if bound else None

    def ratio(index: Index, error: float | None) -> float:
        limit = limits.elements[index] if limits else None
        if error == 0 or limit == math.inf:
            return 0.0
        if error is None or not math.isfinite(error) or limit is None or not limit > 0:
            return math.inf
        return abs(error) / limit

    return {index: ratio(index, error) for index, error in errors.elements.items()}


def finite(value: float | None) -> TypeGuard[float]:
    """Return whether a recorded element is a finite number."""
    return value is not None and math.isfinite(value)


def _shape(nested: Nested) -> Index:
    if not isinstance(nested, list | tuple):
        return ()
    return (len(nested), *(_shape(nested[0]) if nested else ()))


def _walk(nested: Nested, shape: Index) -> Iterator[tuple[Index, Nested]]:
    if not shape:
        yield (), nested
    elif not isinstance(nested, list | tuple) or len(nested) != shape[0]:
        raise TypeError("ragged")
    else:
        for i, part in enumerate(nested):
            yield from (((i, *rest), x) for rest, x in _walk(part, shape[1:]))


def _number(value: Nested) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
