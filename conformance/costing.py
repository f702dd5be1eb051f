"""Judging a cost by counting: sample a grid of sizes, find the polynomial exactly, read its terms.

Two counts are kept apart.  *Products* (matrix products, however they are done) must be 4 n^2 d + 8 n d^2 to
the last operation.  *Elementwise* work is lawful as long as it does not outgrow them: a softmax, biases, the
rescaling of an online softmax.  An implementation that multiplies and adds by hand shows no products; then
both counts together have to make up the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headcheck.adapters.counting import Count
from headcheck.reference.cost_model import operations
from headcheck.reference.cost_terms import Term, depends_on_heads, grows_too_fast, law, terms
from headcheck.reference.polynomial import Axis, Polynomial, grid, interpolate

Sizes = tuple[int, int, int, int]  # n_q, n_k, d, h
Point = tuple[int, ...]  # in the order of a plan's axes
Judged = Literal["holds", "broken", "inconclusive"]
Reason = Literal["", "uncounted", "blind", "lawless", "by hand", "bounded"]
Counter = Callable[[int, int, int, int], Count]


@dataclass(frozen=True)
class Plan:
    """Sizes at which to count: a grid, and one point beside it that has to lie on the fitted law."""

    axes: tuple[Axis, ...]
    held_out: Point
    sizes: Callable[..., Sizes]  # of a point

    def points(self) -> list[Point]:
        """Return the points of the grid and the one held out."""
        return [*grid(self.axes), self.held_out]


def _self(n: int, d: int, h: int) -> Sizes:
    return n, n, d, h


# h is even throughout: some fast paths are not taken for an odd number of heads.
_HEADS = Axis("h", (2, 4, 6), lowest=-1)
SELF = Plan((Axis("n", (2, 3, 5, 7)), Axis("d", (12, 24, 36, 48)), _HEADS), (9, 60, 10), _self)
# For code that works in tiles: multiples of the usual ones, so that padding adds nothing.
TILED = Plan((Axis("n", (128, 256, 384, 512)), Axis("d", (96, 192, 288, 384)), _HEADS), (640, 480, 10), _self)


def _cross(n_q: int, n_k: int, d: int) -> Sizes:
    return n_q, n_k, d, 2


_WIDTHS = Axis("d", (12, 24, 36))
CROSS = Plan((Axis("n_q", (2, 5)), Axis("n_k", (4, 7)), _WIDTHS), (3, 9, 48), _cross)
CROSS_SQUARED = Plan((Axis("n_q", (2, 3, 5)), Axis("n_k", (4, 7, 9)), _WIDTHS), (6, 8, 48), _cross)
BACKWARD = Plan((Axis("n", (2, 3, 5, 7)), _WIDTHS), (9, 48), lambda n, d: (n, n, d, 2))


@dataclass(frozen=True)
class CostFinding:
    """What was counted, the law that it follows, and whether that is the law of multi-head attention."""

    verdict: Judged
    message: str = ""  # what was counted and is wrong, or why nothing could be decided
    reason: Reason = ""  # of an inconclusive one
    polynomial: Polynomial | None = None  # of self-attention
    elementwise: Polynomial | None = None  # of the work beside it
    cross: Polynomial | None = None  # of queries and keys of different lengths
    terms: tuple[Term, ...] = ()  # of the law that decided
    heads: str = ""  # those of the wrong terms that come of what the heads do
    by_hand: bool = False  # elementwise work is part of what is judged: products alone fall short

    def where(self, situation: str) -> CostFinding:
        """Return the finding with the situation in which it was made."""
        return replace(self, message=f"{situation}, {self.message}")


def judge_cost(
    count: Counter, *, cross: bool = True, right: Callable[[], bool | None] = lambda: None
) -> CostFinding:
    """Judge a cost from counts at 49 sizes, and where keys may differ from queries at 13 more.

    ``count(n_q, n_k, d, h)`` gives the operations of one example; ``right()`` says whether the output is
    the oracle's, None where that is not known, and is asked only where the count is too low to be believed.
    """
    finding = _judge(count, SELF, right)
    if _may_be_tiled(finding):
        tiled = _judge(count, TILED, right)
        return tiled if tiled.verdict != "inconclusive" else finding
    if finding.verdict != "holds" or not cross:
        return finding
    crossed = _judge(count, CROSS, right)
    if crossed.reason == "lawless":
        crossed = _judge(count, CROSS_SQUARED, right)
    if crossed.verdict == "holds":
        return replace(finding, cross=crossed.polynomial)
    both = replace(crossed, polynomial=finding.polynomial, cross=crossed.polynomial)
    return both.where("with other keys than queries")


def follows(count: Counter, finding: CostFinding) -> bool:
    """Return whether another path costs at two sizes what a law says that was found on the first."""
    for n, d, h in ((5, 36, 4), (7, 24, 2)):
        counted = count(n, n, d, h)
        judged = counted.products + (counted.elementwise if finding.by_hand else 0)
        if counted.unknown or finding.polynomial is None or judged != finding.polynomial(n, d, h):
            return False
    return True


def backward_law(count: Counter) -> Polynomial | None:
    """Return the products of the gradients as a polynomial in n and d; None where they follow none."""
    counts = {point: count(*BACKWARD.sizes(*point)) for point in BACKWARD.points()}
    return _fit(BACKWARD, {point: Count(counted.backward).products for point, counted in counts.items()})


def _judge(count: Counter, plan: Plan, right: Callable[[], bool | None]) -> CostFinding:
    counts: dict[Point, Count] = {}
    for point in plan.points():
        counts[point] = counted = count(*plan.sizes(*point))
        if counted.unknown:
            return CostFinding(
                "inconclusive", f"not all can be counted: {'; '.join(counted.unknown)}", "uncounted"
            )
    products = {point: counted.products for point, counted in counts.items()}
    elementwise = {point: counted.elementwise for point, counted in counts.items()}
    by_hand = any(products[point] < operations(*plan.sizes(*point)[:3]) for point in counts)
    judged = {point: products[point] + elementwise[point] for point in counts} if by_hand else products
    low = next((point for point in counts if judged[point] < _floor(*plan.sizes(*point))), None)
    if low is not None and right() is not False:
        return CostFinding("inconclusive", _blind(plan.sizes(*low), judged[low]), "blind")
    fitted = _fit(plan, judged)
    if fitted is None:
        return CostFinding("inconclusive", _lawless(plan, judged), "lawless")
    finding = _read(fitted) if by_hand else _read(fitted, beside=_fit(plan, elementwise))
    finding = replace(finding, by_hand=by_hand)
    if finding.verdict != "broken":
        return finding
    if by_hand and all(
        term.role != "forbidden" and term.coefficient >= term.expected for term in finding.terms
    ):
        message = (
            f"{fitted}, counted one by one: products cannot be told from elementwise work of their order"
        )
        return replace(finding, verdict="inconclusive", reason="by hand", message=message)
    at_most = next((counted.at_most for counted in counts.values() if counted.at_most), ())
    if at_most:
        message = f"at most {fitted}: {'; '.join(at_most)}"
        return replace(finding, verdict="inconclusive", reason="bounded", message=message)
    return finding


def _floor(n_q: int, n_k: int, d: int, h: int) -> int:
    """Return the least that attention takes where a sum of k products is k - 1 additions."""
    return operations(n_q, n_k, d) - n_q * n_k * h - 3 * n_q * d - 2 * n_k * d


def _fit(plan: Plan, values: Mapping[Point, int]) -> Polynomial | None:
    fitted = interpolate(plan.axes, values)
    return fitted if fitted(*plan.held_out) == values[plan.held_out] else None


def _read(fitted: Polynomial, beside: Polynomial | None = None) -> CostFinding:
    """Read the terms of a fitted law; ``beside`` is the elementwise work that is not part of it."""
    read = terms(fitted)
    wrong = [term for term in read if term.wrong]
    outgrowing = _outgrowing(beside) if beside else []
    if not wrong and not outgrowing:
        return CostFinding("holds", polynomial=fitted, elementwise=beside, terms=read)
    message = f"costs {fitted}, not {law(fitted.variables)}: {_words(wrong + outgrowing)}"
    if not wrong:
        message = f"costs {fitted} and, element by element, {beside}: {_words(outgrowing)}"
    heads = [term for term in wrong if depends_on_heads(fitted.variables, term.exponents)]
    return CostFinding("broken", message, "", fitted, beside, None, read, _words(heads))


def _outgrowing(elementwise: Polynomial) -> list[Term]:
    return [
        replace(term, role="forbidden", words=term.words or "grows faster than the products")
        for term in terms(elementwise)
        if term.coefficient and grows_too_fast(elementwise.variables, term.exponents)
    ]


def _words(wrong: Sequence[Term]) -> str:
    """Return what is wrong, the surplus first; a missing term in whose place it stands is left unsaid."""
    surplus = [term for term in wrong if term.role == "forbidden"]
    replaced = {term.exponents[:2] for term in surplus}
    rest = [term for term in wrong if term.role == "required" and term.exponents[:2] not in replaced]
    return "; ".join(map(str, (*surplus, *rest)))


def _may_be_tiled(finding: CostFinding) -> bool:
    """Whether padding to tiles would explain a finding: no polynomial, or no growth within the first tile."""
    if finding.verdict == "broken" and finding.polynomial is not None:
        return finding.polynomial[(2, 1, 0)] == 0 and not finding.heads
    return finding.reason == "lawless"


def _lawless(plan: Plan, values: Mapping[Point, int]) -> str:
    at = ", ".join(f"{axis.name}={n}" for axis, n in zip(plan.axes, plan.held_out, strict=True))
    expected = interpolate(plan.axes, values)(*plan.held_out)
    return (
        f"the count follows no polynomial: {values[plan.held_out]} operations at {at}, "
        f"where the other sizes foretell {expected}"
    )


def _blind(sizes: Sizes, counted: int) -> str:
    n_q, n_k, d, h = sizes
    at = f"n={n_q}" if n_q == n_k else f"n_q={n_q}, n_k={n_k}"
    return (
        f"the counter is blind: it saw {counted} operations at {at}, d={d}, h={h}, "
        f"where attention takes {operations(n_q, n_k, d)}"
    )
