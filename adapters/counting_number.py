"""A number that counts the arithmetic done with it, for code in which arrays cannot be traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from .counting import Tally

# What NumPy looks for on an object when it is given to np.exp and its like.
_ELEMENTARY = frozenset(
    {
        *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "square", "reciprocal"),
        *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan"),
    }
)


OBJECTS = (np.dtype(object), np.object_, object)  # the dtype of an array of them, however it is written


class CountingNumber:
    """A number that counts the arithmetic done with it."""

    __slots__ = ("tally", "value")

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def _operate(
        self, operation: Callable[..., float], *others: Any, kind: str = "elementwise"
    ) -> CountingNumber:
        self.tally.add(kind, 1)
        return CountingNumber(operation(*map(_value, others)), self.tally)

    def __add__(self, other: Any) -> Any:
        return self._operate(lambda x: self.value + x, other)

    def __mul__(self, other: Any) -> Any:
        return self._operate(lambda x: self.value * x, other, kind="multiplication")

    def __sub__(self, other: Any) -> Any:
        return self._operate(lambda x: self.value - x, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate(lambda x: x - self.value, other)

    def __truediv__(self, other: Any) -> Any:
        return self._operate(lambda x: self.value / x, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate(lambda x: x / self.value, other)

    def __pow__(self, other: Any) -> Any:
        return self._operate(lambda x: self.value**x, other)

    def __rpow__(self, other: Any) -> Any:
        return self._operate(lambda x: x**self.value, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __getattr__(self, name: str) -> Callable[[], CountingNumber]:
        """Return the method that NumPy calls for ``np.exp`` and its like on an array of objects."""
        if name not in _ELEMENTARY:
            raise AttributeError(name)
        return lambda: self._operate(lambda: float(getattr(np, name)(self.value)))

    def __neg__(self) -> CountingNumber:
        return CountingNumber(-self.value, self.tally)

    def __pos__(self) -> CountingNumber:
        return self

    def __abs__(self) -> CountingNumber:
        return CountingNumber(abs(self.value), self.tally)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _value(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _value(other))


def counting_numbers(array: np.ndarray, tally: Tally) -> np.ndarray:
    """Return the array with a counting number for each element: dtype object, the same shape."""
    numbers = np.empty(array.size, dtype=object)
    numbers[:] = [CountingNumber(float(x), tally) for x in array.ravel()]
    return numbers.reshape(array.shape)


@contextmanager
def finfo_of_numbers() -> Iterator[None]:
    """Let `np.finfo` answer for an array of counting numbers as it does for the floats that they hold."""
    own: Callable[..., Any] = np.finfo

    def finfo(asked: Any) -> Any:
        kind = asked if isinstance(asked, type) else getattr(asked, "dtype", asked)
        return own(np.float64 if kind in OBJECTS else asked)

    with patch.object(np, "finfo", finfo):
        yield


def _value(other: Any) -> Any:
    return other.value if isinstance(other, CountingNumber) else other
