"""Polynomials with exact coefficients, found from counts by interpolation on a grid.

A count of operations is an integer and the law behind it a polynomial in the sizes, so nothing has to be
fitted in the statistical sense: with as many points an axis as there are powers on it, the coefficients
follow exactly, as fractions.  Points that were not used in the interpolation then tell whether the law
really is a polynomial of that degree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product

Exponents = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One size: its name, the values it takes, and its powers ``lowest, lowest + 1, ...``, one a value."""

    name: str
    points: tuple[int, ...]
    lowest: int = 0

    @property
    def powers(self) -> range:
        """The powers of this size that the interpolation can find."""
        return range(self.lowest, self.lowest + len(self.points))


@dataclass(frozen=True)
class Polynomial:
    """A sum of monomials in named sizes; a power may be negative: ``n d^2 / h``."""

    variables: tuple[str, ...]
    coefficients: Mapping[Exponents, Fraction]

    def __call__(self, *sizes: int) -> Fraction:
        """Return the value at these sizes, in the order of the variables."""
        total = Fraction(0)
        for exponents, coefficient in self.coefficients.items():
            for size, exponent in zip(sizes, exponents, strict=True):
                coefficient *= Fraction(size) ** exponent
            total += coefficient
        return total

    def __getitem__(self, exponents: Exponents) -> Fraction:
        """Return the coefficient of one monomial, 0 where it does not occur."""
        return self.coefficients.get(exponents, Fraction(0))

    def __add__(self, other: Polynomial) -> Polynomial:
        monomials = {**self.coefficients, **other.coefficients}
        return _without_zeros(self.variables, {powers: self[powers] + other[powers] for powers in monomials})

    def terms(self) -> Iterator[tuple[Exponents, Fraction]]:
        """Yield the terms, the fastest growing in the first variable first."""
        yield from sorted(self.coefficients.items(), reverse=True)

    def __str__(self) -> str:
        written = ""
        for exponents, coefficient in self.terms():
            sign = "-" if coefficient < 0 else "+"
            written += f" {sign} " if written else "-" * (coefficient < 0)
            written += _term(abs(coefficient), monomial(self.variables, exponents))
        return written or "0"


def monomial(variables: Sequence[str], exponents: Exponents) -> str:
    """Return the powers as they are written: "n^2 d h", "n d^2 / h", "1"."""
    above = [_power(name, e) for name, e in zip(variables, exponents, strict=True) if e > 0]
    below = [_power(name, -e) for name, e in zip(variables, exponents, strict=True) if e < 0]
    return " / ".join([" ".join(above) or "1", *below])


def grid(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """Yield every point of the grid at which a value is needed."""
    return product(*(axis.points for axis in axes))


def interpolate(axes: Sequence[Axis], values: Mapping[tuple[int, ...], int]) -> Polynomial:
    """Return the polynomial that takes these values on the grid.

    One axis after the other, the values along it are replaced by coefficients: multiplied with the
    inverse of that axis' Vandermonde matrix.  Raises KeyError where a point of the grid has no value.
    """
    table: dict[tuple[int, ...], Fraction] = {
        index: Fraction(values[point])
        for index, point in zip(product(*(range(len(a.points)) for a in axes)), grid(axes), strict=True)
    }
    for place, axis in enumerate(axes):
        inverse = _vandermonde_inverse(axis.points, axis.lowest)
        table = {
            index: sum(
                (weight * table[(*index[:place], k, *index[place + 1 :])] for k, weight in enumerate(row)),
                Fraction(0),
            )
            for index in table
            for row in [inverse[index[place]]]
        }
    powers = {
        tuple(axis.powers[i] for axis, i in zip(axes, index, strict=True)): coefficient
        for index, coefficient in table.items()
    }
    return _without_zeros(tuple(axis.name for axis in axes), powers)


@lru_cache(maxsize=32)
def _vandermonde_inverse(points: tuple[int, ...], lowest: int) -> list[list[Fraction]]:
    """Row p, column k: the coefficient of power ``lowest + p`` in the k-th Lagrange polynomial."""
    columns = []
    for k, at in enumerate(points):
        coefficients = [Fraction(1)]
        for other in points[:k] + points[k + 1 :]:
            shifted = [Fraction(0), *coefficients]  # times (x - other) / (at - other)
            for i, c in enumerate(coefficients):
                shifted[i] -= other * c
            coefficients = [c / (at - other) for c in shifted]
        columns.append([c / Fraction(at) ** lowest for c in coefficients])
    return [list(row) for row in zip(*columns, strict=True)]


def _without_zeros(variables: tuple[str, ...], coefficients: Mapping[Exponents, Fraction]) -> Polynomial:
    return Polynomial(variables, {powers: c for powers, c in coefficients.items() if c})


def _power(name: str, exponent: int) -> str:
    return name if exponent == 1 else f"{name}^{exponent}"


def _term(coefficient: Fraction, powers: str) -> str:
    if powers == "1":
        return str(coefficient)
    if powers.startswith("1 / "):
        return str(coefficient) + powers[1:]
    return powers if coefficient == 1 else f"{coefficient} {powers}"
