"""What multi-head attention costs: operations and parameters, and what the number of heads does to them.

With ``heads`` heads of ``width`` columns each, the projections of queries, keys and values lead from d to
``heads * width`` and W_o leads back.  A product of (a, b) with (b, c) is 2 a b c floating-point operations,
multiply and add counted apart.  For h heads of width d / h that gives, per example,

    4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2    (self-attention: 4 n^2 d + 8 n d^2)

in which h does not occur: "the total computational cost is similar to that of single-head attention with
full dimensionality" (Vaswani et al. 2017, section 3.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .polynomial import Polynomial

SELF_ATTENTION = Polynomial(("n", "d", "h"), {(2, 1, 0): Fraction(4), (1, 2, 0): Fraction(8)})
CROSS_ATTENTION = Polynomial(
    ("n_q", "n_k", "d"), {(1, 1, 1): Fraction(4), (1, 0, 2): Fraction(4), (0, 1, 2): Fraction(4)}
)


@dataclass(frozen=True)
class Cost:
    """What one arrangement of heads costs: parameters, and operations per example."""

    name: str  # in symbols: "h heads of d / h"
    heads: int
    kv_heads: int
    width: int  # of one head
    weights: int  # elements of the four matrices
    biases: int
    projections: int  # operations of the four projections
    attention: int  # operations of the scores and of their product with the values
    formula: str  # of the operations, self-attention

    @property
    def title(self) -> str:
        """The arrangement in numbers: "8 heads of 64"."""
        heads = "one head" if self.heads == 1 else f"{self.heads} heads"
        shared = "" if self.kv_heads == self.heads else f", {self.kv_heads} for keys and values"
        return f"{heads} of {self.width}{shared}"

    @property
    def parameters(self) -> int:
        """Weights and biases together."""
        return self.weights + self.biases

    @property
    def operations(self) -> int:
        """Floating-point operations per example."""
        return self.projections + self.attention


def operations(n_q: int, n_k: int, d: int) -> int:
    """Return 4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2, the operations of one example."""
    return 4 * n_q * n_k * d + 4 * (n_q + n_k) * d * d


def cost(
    name: str,
    heads: int,
    width: int,
    d: int,
    n_q: int,
    n_k: int,
    *,
    bias: bool = True,
    kv_heads: int | None = None,
    formula: str = "",
) -> Cost:
    """Return the cost of this many heads of this width in a model of width d.

    With fewer ``kv_heads`` than heads, keys and values are shared between groups of heads (grouped-query
    attention): their projections shrink, the attention does not.
    """
    kv_heads = heads if kv_heads is None else kv_heads
    inner, shared = heads * width, kv_heads * width
    return Cost(
        name=name,
        heads=heads,
        kv_heads=kv_heads,
        width=width,
        weights=2 * d * (inner + shared),
        biases=inner + 2 * shared + d if bias else 0,
        projections=4 * d * (n_q * inner + n_k * shared),
        attention=4 * n_q * n_k * inner,
        formula=formula,
    )


def compare(
    d: int, h: int, n_q: int, n_k: int | None = None, *, bias: bool = True
) -> tuple[Cost, Cost, Cost]:
    """Return the costs of one head of d, of h heads of d / h, and of h heads that are each of full width d.

    The first two are equal; the third is h times as dear.  ``n_k`` is ``n_q`` unless given.
    """
    n_k = n_q if n_k is None else n_k
    same, times_h = "4 n^2 d + 8 n d^2", "4 n^2 d h + 8 n d^2 h"
    return (
        cost("one head of d", 1, d, d, n_q, n_k, bias=bias, formula=same),
        cost("h heads of d / h", h, d // h, d, n_q, n_k, bias=bias, formula=same),
        cost("h heads of d", h, d, d, n_q, n_k, bias=bias, formula=times_h),
    )
