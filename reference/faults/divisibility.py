"""Faults of divisibility: sizes accepted that do not fit, refused that do, or refused too late."""

from __future__ import annotations

from math import gcd
from typing import Any

from .fault import fault
from .steps import Array, OnArguments, Steps


@fault("DIV-REFUSE")
class WidthFloored(Steps):
    """d_model // num_heads drops the columns that are left over."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        left_over = d_model % num_heads if num_heads > 0 else 0
        super().__init__(d_model - left_over or d_model, num_heads if d_model >= num_heads else 1, **options)


@fault("DIV-REFUSE")
class HeadsReduced(Steps):
    """num_heads is lowered without a word to the next number that divides d_model."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        fits = gcd(d_model, num_heads) if d_model > 0 < num_heads else num_heads
        super().__init__(d_model, fits, **options)


@fault("DIV-REFUSE")
class WidthPadded(Steps):
    """d_model is rounded up to a multiple of num_heads."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if d_model > 0 < num_heads:
            d_model = -(-d_model // num_heads) * num_heads
        super().__init__(d_model, num_heads, **options)


@fault("DIV-REFUSE", "B169")
class RefusedAtFirstCall(OnArguments):
    """d_model that is no multiple of num_heads is met with an error at the first call."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        self.asked = num_heads
        fits = gcd(d_model, num_heads) if d_model > 0 < num_heads else num_heads
        super().__init__(d_model, fits, **options)
        self.asked = num_heads

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        if self.asked != self.num_heads:
            raise ValueError(f"d_model={self.d_model} is no multiple of num_heads={self.asked}")
        return Q, K, V, mask


@fault("DIV-MESSAGE")
class RefusedWithoutWords(Steps):
    """The refusal is a bare assertion."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if num_heads <= 0 or d_model <= 0 or d_model % num_heads:
            raise AssertionError  # not `assert`, to which pytest would give the words
        super().__init__(d_model, num_heads, **options)


@fault("DIV-MESSAGE")
class RefusalNamesOneSize(Steps):
    """The refusal says what is wrong and names num_heads alone."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if num_heads > 0 < d_model and d_model % num_heads:
            raise ValueError(f"the width of the model must be divisible by num_heads={num_heads}")
        super().__init__(d_model, num_heads, **options)


@fault("DIV-POSITIVE")
class NoHeadsDivideByZero(Steps):
    """num_heads=0 is met by a ZeroDivisionError."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if d_model % num_heads:
            raise ValueError(f"d_model={d_model} is no multiple of num_heads={num_heads}")
        super().__init__(d_model, num_heads, **options)


@fault("DIV-POSITIVE")
class NegativeHeadsAccepted(Steps):
    """num_heads=-2 divides 8 and is accepted, as if its sign did not matter."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, abs(num_heads), **options)


@fault("DIV-POSITIVE")
class EmptyModelAccepted(Steps):
    """d_model=0 is a multiple of every number and is accepted."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model or num_heads, num_heads, **options)


@fault("DIV-ACCEPT")
class OddHeadsRefused(Steps):
    """An odd number of heads above one is refused."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if num_heads > 1 and num_heads % 2 and d_model % num_heads == 0:
            raise ValueError(f"num_heads must be even, got d_model={d_model}, num_heads={num_heads}")
        super().__init__(d_model, num_heads, **options)


@fault("DIV-ACCEPT")
class NarrowHeadsRefused(Steps):
    """Heads of one column are refused."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if 1 < d_model == num_heads:
            raise ValueError(f"heads must be wider than one, got d_model={d_model}, num_heads={num_heads}")
        super().__init__(d_model, num_heads, **options)


@fault("DIV-ACCEPT")
class WideHeadsMustBePowersOfTwo(Steps):
    """A head's width of more than four must be a power of two."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        if num_heads > 0 and d_model % num_heads == 0:
            d_k = d_model // num_heads
            if d_k > 4 and d_k & (d_k - 1):
                raise ValueError(f"a width of {d_k} is no power of two: d_model={d_model}, {num_heads=}")
        super().__init__(d_model, num_heads, **options)
