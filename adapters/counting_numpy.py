"""Counting the operations of NumPy code: an array that traces itself, and a number that counts.

The tracing array sees every ufunc and every NumPy function that it or a descendant of it takes part in, at
the speed of NumPy.  It is blind once the code turns every operand into a plain array with `np.asarray`, and
in loops over single elements.  There an array of counting numbers goes on counting, for as long as the code
does not convert it to a dtype of floats: slowly, and exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isqrt, prod
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from .counting import Count, Tally
from .counting_number import counting_numbers, finfo_of_numbers

_PAIRS = {np.dot, np.inner, np.vdot, np.tensordot, np.outer}
_OPAQUE = {np.convolve, np.correlate, np.cov, np.corrcoef, np.interp}
_OPAQUE_MODULES = ("numpy.linalg", "numpy.fft")
_MADE_OF_OTHERS = (
    "matmul",
    "multi_dot",
    "tensordot",
    "vecdot",
    "outer",
    "matrix_transpose",
)  # of numpy.linalg
_PRODUCT_UFUNCS = {"matmul", "vecdot", "matvec", "vecmat"}
_FREE_UFUNCS = {
    *("negative", "positive", "absolute", "fabs", "sign", "copysign", "floor", "ceil", "trunc", "rint"),
    *("maximum", "minimum", "fmax", "fmin", "equal", "not_equal", "less", "less_equal", "greater"),
    *("greater_equal", "isnan", "isinf", "isfinite", "signbit", "logical_and", "logical_or", "logical_not"),
    *(
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "invert",
        "nextafter",
        "spacing",
        "conjugate",
    ),
}
_LETTERS = ascii_uppercase + ascii_lowercase  # NumPy's order of the axes 0, 1, ...


class TracingArray(np.ndarray[Any, np.dtype[Any]]):
    """An array that counts what is done with it and hands the count on to whatever comes of it."""

    tally: Tally

    def __array_finalize__(self, source: Any) -> None:
        """Let views and copies count into the same tally."""
        self.tally = getattr(source, "tally", None) or Tally()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Run a ufunc on plain arrays and count it."""
        result = getattr(ufunc, method)(*map(_plain, inputs), **_plain_values(kwargs))
        _price_ufunc(self.tally, ufunc, method, inputs, result)
        return self._traced(result)  # where it was written into a plain array, a view of that

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run a NumPy function: on plain arrays where it is priced whole, else with its parts traced."""
        if func in _PAIRS or func is np.einsum:
            plain = [_plain(argument) for argument in args]
            result = func(*plain, **_plain_values(kwargs))
            if func is np.einsum:
                _price_einsum(self.tally, _written(plain), kwargs.get("optimize", False))
            else:
                _price_pair(self.tally, np.size(plain[0]), np.size(plain[1]), np.size(result))
            return self._traced(result)
        if func in _OPAQUE or (func.__module__ in _OPAQUE_MODULES and func.__name__ not in _MADE_OF_OTHERS):
            self.tally.give_up(f"{func.__module__}.{func.__name__}")
        return self._traced(super().__array_function__(func, types, args, kwargs))

    def dot(self, other: Any, out: Any = None) -> Any:
        """Return the dot product; the method of the base class passes through nothing that can be seen."""
        result = np.dot(self, other)
        if out is None:
            return result
        out[...] = result
        return out

    def _traced(self, result: Any) -> Any:
        if isinstance(result, tuple | list):
            return type(result)(map(self._traced, result))
        if isinstance(result, TracingArray):
            result.tally = self.tally
            return result
        return tracing(np.asarray(result), self.tally) if isinstance(result, np.ndarray) else result


def tracing(array: np.ndarray, tally: Tally) -> TracingArray:
    """Return a view of the array that counts into the tally."""
    traced = array.view(TracingArray)
    traced.tally = tally
    return traced


def count(function: Callable[..., Any], *arrays: np.ndarray, by_number: bool = False) -> Count:
    """Return the operations of ``function(*arrays)``; hand over the weights too, so that both sides trace.

    With ``by_number`` every number counts, in place of the arrays.  Whatever the function raises for plain
    arrays is let through.
    """
    if by_number:
        with finfo_of_numbers():
            return _count(function, arrays, counting_numbers)
    return _count(function, arrays, lambda array, tally: tracing(array.copy(), tally))


def is_traceable(function: Callable[..., Any], *arrays: np.ndarray) -> bool:
    """Return whether tracing arrays see all of ``function(*arrays)`` that counting numbers see.

    Multiplications tell: a sum of k products has k of them, however it is done.
    """
    numbers = count(function, *arrays, by_number=True)
    return bool(numbers.unknown) or numbers.multiplications <= count(function, *arrays).multiplications


def _count(
    function: Callable[..., Any],
    arrays: Sequence[np.ndarray],
    counting: Callable[[np.ndarray, Tally], np.ndarray],
) -> Count:
    """Call the function with counting arrays; one array given twice stays one array."""
    tally = Tally()
    stand_in = {id(array): counting(array, tally) for array in {id(a): a for a in arrays}.values()}
    try:
        function(*(stand_in[id(array)] for array in arrays))
    except Exception as refusal:
        function(*arrays)
        tally.give_up(f"counting arrays were refused: {type(refusal).__name__}: {refusal}")
    return tally.count()


def _price_ufunc(tally: Tally, ufunc: np.ufunc, method: str, inputs: Sequence[Any], result: Any) -> None:
    name = ufunc.__name__
    if name in _FREE_UFUNCS:
        return
    if name in _PRODUCT_UFUNCS and method == "__call__":
        tally.add("matmul", 2 * np.size(result) * np.shape(inputs[0])[-1])
    elif ufunc.signature is not None or "(vectorized)" in name:
        tally.give_up(f"NumPy ufunc {name}")
    elif method == "reduce":
        tally.add("elementwise", max(np.size(inputs[0]) - np.size(result), 0))
    elif method in {"accumulate", "reduceat", "at"}:
        tally.add("elementwise", np.size(inputs[0]))
    else:
        kind = "multiplication" if name == "multiply" else "elementwise"
        tally.add(kind, np.size(result[0] if isinstance(result, tuple) else result))


def _price_pair(tally: Tally, left: int, right: int, result: int) -> None:
    """Price (a, k) times (k, b) by sizes alone: k^2 = (a k) (k b) / (a b)."""
    if not result:
        return
    summed = isqrt(left * right // result)
    tally.add(*(("matmul", 2 * result * summed) if summed > 1 else ("multiplication", result)))


def _price_einsum(tally: Tally, args: Sequence[Any], optimize: Any) -> None:
    """Price an einsum contraction by contraction, in the order in which NumPy goes about it."""
    subscripts, *operands = args
    inputs, output = _subscripts(subscripts, [np.ndim(operand) for operand in operands])
    sizes: dict[str, int] = {}
    for letters, operand in zip(inputs, operands, strict=True):
        for letter, size in zip(letters, np.shape(operand), strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))  # an axis of one is stretched
    path = np.einsum_path(*args, optimize=optimize)[0][1:] if optimize else [range(len(inputs))]
    for places in path:
        taken = [inputs.pop(place) for place in sorted(places, reverse=True)]
        kept = "".join(dict.fromkeys("".join([output, *inputs])))
        letters = "".join(dict.fromkeys("".join(taken)))
        inputs.append("".join(letter for letter in letters if letter in kept))
        steps = prod(sizes[letter] for letter in letters)
        summed = len(inputs[-1]) < len(letters)
        if summed and len(taken) > 1:
            tally.add("matmul", len(taken) * steps)
        elif summed:
            tally.add("elementwise", steps)
        else:
            tally.add("multiplication", (len(taken) - 1) * steps)


def _written(args: Sequence[Any]) -> Sequence[Any]:
    """Return the arguments of an einsum with subscripts in letters, where they were lists of numbers."""
    if isinstance(args[0], str):
        return args

    def letters(axes: Sequence[Any]) -> str:
        return "".join("..." if axis is Ellipsis else _LETTERS[axis] for axis in axes)

    inputs = ",".join(map(letters, args[1::2]))
    output = "->" + letters(args[-1]) if len(args) % 2 else ""
    return [inputs + output, *args[: len(args) // 2 * 2 : 2]]


def _subscripts(subscripts: str, dimensions: Sequence[int]) -> tuple[list[str], str]:
    """Return inputs and output of an einsum with every axis a letter: an ellipsis becomes capital greek."""
    given, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = given.split(",")
    spare = max(n - len(part.replace("...", "")) for part, n in zip(inputs, dimensions, strict=True))
    ellipsis = "".join(chr(ord("Α") + i) for i in range(max(spare, 0)))
    expanded = [
        part.replace("...", ellipsis[len(ellipsis) - (n - len(part.replace("...", ""))) :])
        for part, n in zip(inputs, dimensions, strict=True)
    ]
    if not arrow:
        letters = sorted(set(given) - set(".,"))
        output = "..." * ("..." in given) + "".join(x for x in letters if given.count(x) == 1)
    return expanded, output.replace("...", ellipsis)


def _plain(value: Any) -> Any:
    if isinstance(value, TracingArray):
        return value.view(np.ndarray)
    return type(value)(map(_plain, value)) if isinstance(value, tuple | list) else value


def _plain_values(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in kwargs.items()}
