"""What each term of a counted cost says about the implementation that was counted.

Lawful are the two terms of attention, 4 n^2 d and 8 n d^2, and whatever grows more slowly than either: the
softmax (n^2 h), biases and sums over heads (n d, n d h), work on the weights alone (d^2).  Any other term
is work that multi-head attention does not need, and which term it is says what the work is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from .cost_model import CROSS_ATTENTION, SELF_ATTENTION
from .polynomial import Exponents, Polynomial, monomial

Role = Literal["required", "allowed", "forbidden"]

_LENGTHS = {"n", "n_q", "n_k"}


@dataclass(frozen=True)
class Term:
    """One monomial of a counted cost: its coefficient, its role, and what a wrong one means."""

    monomial: str
    exponents: Exponents
    coefficient: Fraction
    role: Role
    expected: Fraction
    words: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the cost of multi-head attention has no such term, or has it with another coefficient."""
        return self.role != "allowed" and self.coefficient != self.expected

    def is_part_of(self, other: Term) -> bool:
        """Whether this falls short of what is expected, and the other term repeats it or widens it."""
        wider = all(a <= b for a, b in zip(self.exponents[:2], other.exponents[:2], strict=True))
        return self.coefficient < self.expected and wider

    def __str__(self) -> str:
        shown = f"{self.coefficient} {self.monomial}" if self.coefficient != 1 else self.monomial
        shown = shown if self.coefficient else f"no {self.monomial}"
        return f"{shown}: {self.words}" if self.words else shown


def law(variables: tuple[str, ...]) -> Polynomial:
    """Return what multi-head attention costs, in (n, d, h) or in (n_q, n_k, d)."""
    return CROSS_ATTENTION if "n_k" in variables else SELF_ATTENTION


def terms(counted: Polynomial) -> tuple[Term, ...]:
    """Return every term that was counted or had to be there, the fastest growing first."""
    required = law(counted.variables)
    monomials = sorted({*counted.coefficients, *required.coefficients}, reverse=True)
    return tuple(_term(counted, required, exponents) for exponents in monomials)


def grows_too_fast(variables: tuple[str, ...], exponents: Exponents) -> bool:
    """Whether a monomial outgrows both n^2 d and n d^2 as the sizes grow, h up to d among them.

    This is the weaker test for elementwise work, which may lawfully be of the order of the products
    themselves: an online softmax rescales its n d accumulator once for each block of keys.
    """
    n, d, h = _orders(variables, exponents)
    squared = n > 0 and h > 1
    return n > 2 or d > 2 or (n == 2 and d == 2) or ((n, d) in {(2, 1), (1, 2)} and h > 0) or squared


def depends_on_heads(variables: tuple[str, ...], exponents: Exponents) -> bool:
    """Whether a monomial is one of attention's own two, n^2 d or n d^2, with a power of h beside it."""
    n, d, h = _orders(variables, exponents)
    return h != 0 and (n, d) in {(2, 1), (1, 2)}


def _term(counted: Polynomial, required: Polynomial, exponents: Exponents) -> Term:
    variables, coefficient = counted.variables, counted[exponents]
    orders = _orders(variables, exponents)
    role: Role = "forbidden"
    if exponents in required.coefficients:
        role = "required"
    elif _is_lower(variables, exponents):
        role = "allowed"
    term = Term(monomial(variables, exponents), exponents, coefficient, role, required[exponents])
    if not term.wrong:
        return term
    words = _missing(orders, term) if role == "required" else _surplus(variables, exponents, orders)
    return replace(term, words=words)


def _orders(variables: tuple[str, ...], exponents: Exponents) -> tuple[int, int, int]:
    """Return the powers of length, of width and of heads: n_q and n_k both count as length."""
    powers = dict(zip(variables, exponents, strict=True))
    length = sum(power for name, power in powers.items() if name in _LENGTHS)
    return length, powers.get("d", 0), powers.get("h", 0)


def _is_lower(variables: tuple[str, ...], exponents: Exponents) -> bool:
    """Whether a monomial stays below both n^2 d and n d^2 as the sizes grow, h below d and not its square."""
    n, d, h = _orders(variables, exponents)
    return n <= 2 and d <= 2 and not (n == 2 and d >= 1) and not (d == 2 and n >= 1) and not (n and h > 1)


def _missing(orders: tuple[int, int, int], term: Term) -> str:
    n, d, _ = orders
    if term.coefficient == 0:
        if n == 2 and d == 1:
            return "no query is compared with every key"
        return "inputs and outputs do not all pass a d x d projection"
    share = term.coefficient / term.expected
    if n == 2 and d == 1:
        return f"expected {term.expected}: {_times(share)} the work on pairs of query and key"
    matrices = term.coefficient / 2
    if term.monomial == "n d^2" and matrices.denominator == 1:
        return f"expected {term.expected}: {matrices} products with a d x d matrix a position, not 4"
    return f"expected {term.expected}: {_times(share)} the work of the projections"


def _surplus(variables: tuple[str, ...], exponents: Exponents, orders: tuple[int, int, int]) -> str:
    n, d, h = orders
    if "n_k" in variables and (n, d) in {(2, 1), (1, 2)}:
        return "queries and keys are of different lengths, and this length is multiplied with itself"
    if n >= 3 and d:
        return "attention between all pairs done again for every position: cubic in the length"
    if n >= 3:
        return "a product over three positions at once: cubic in the length"
    if h >= 2:
        return "each of the h heads meets every other: the square of their number"
    if n == 2 and d >= 2:
        return "a projection done again for every pair of query and key"
    if n == 2:
        return (
            "each of the h heads does full-width work: h times the attention"
            if h > 0
            else "attention between all pairs done once more at the width of a single head"
        )
    if n == 1 and d == 2 and h > 0:
        return "each of the h heads projects to the full width: h times the projections"
    if n == 1 and d == 2:
        return "each position meets a d x d / h matrix: a running summary of keys and values, or shared keys"
    return "matrices of weights multiplied with each other in every call"


def _times(share: Fraction) -> str:
    return f"{share} times" if share.denominator == 1 else f"{float(share):.3g} times"
