"""Judging a cost by counting: sample a grid of sizes, find the polynomial exactly, read its terms.

Two counts are kept apart.  *Products* (matrix products, however they are done) must be 4 n^2 d + 8 n d^2 to
the last operation.  *Elementwise* work is lawful as long as it does not outgrow them: a softmax, biases, the
rescaling of an online softmax.  An implementation that multiplies and adds by hand shows no products; then
both counts together have to make up the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
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
    """Sizes at which to count: a grid, and points beside it that have to lie on the fitted law."""

    axes: tuple[Axis, ...]
    beside: tuple[Point, ...]
    sizes: Callable[..., Sizes]  # of a point

    def points(self) -> list[Point]:
        """Return the points of the grid and those beside it."""
        return [*grid(self.axes), *self.beside]


def _self(n: int, d: int, h: int) -> Sizes:
    return n, n, d, h


# h is even throughout: some fast paths are not taken for an odd number of heads.
_LENGTHS, _WIDTHS, _HEADS = Axis("n", (2, 3, 5)), Axis("d", (12, 24, 36)), Axis("h", (2, 4, 6), lowest=-1)
SELF = Plan((_LENGTHS, _WIDTHS, _HEADS), ((7, 48, 2), (4, 60, 10)), _self)
# For what is of the third power in length or width, or of the second in heads.
CUBED = Plan(
    (Axis("n", (2, 3, 5, 7)), Axis("d", (12, 24, 36, 48)), Axis("h", (2, 4, 6, 12), lowest=-1)),
    ((9, 60, 10),),
    _self,
)
# For code that works in tiles: multiples of the usual ones, so that padding adds nothing.
TILED = Plan((Axis("n", (128, 256, 384)), Axis("d", (96, 192, 288)), _HEADS), ((512, 96, 4),), _self)


def _cross(n_q: int, n_k: int, d: int) -> Sizes:
    return n_q, n_k, d, 2


CROSS = Plan((Axis("n_q", (2, 5)), Axis("n_k", (4, 7)), _WIDTHS), ((3, 9, 48),), _cross)
CROSS_SQUARED = Plan((Axis("n_q", (2, 3, 5)), Axis("n_k", (4, 7, 9)), _WIDTHS), ((6, 8, 48),), _cross)
BACKWARD = Plan((Axis("n", (2, 3, 5, 7)), _WIDTHS), ((9, 48),), lambda n, d: (n, n, d, 2))


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
    at: Point = ()  # one of the points that lie on the law of self-attention
    for_show: bool = False  # weights that are returned take a product more, which was left out

    def judged(self, counted: Count) -> int:
        """Return the operations of a count that the law is about."""
        return counted.products + (counted.elementwise if self.by_hand else 0)

    @property
    def elementwise_is_lawless(self) -> bool:
        """Whether the work beside the products follows no law that was found."""
        return self.verdict == "holds" and not self.by_hand and self.elementwise is None

    def where(self, situation: str) -> CostFinding:
        """Return the finding with the situation in which it was made."""
        heads = f"{self.heads} ({situation})" if self.heads else ""
        return replace(self, message=f"{situation}, {self.message}", heads=heads)


def judge_cost(
    count: Counter, *, cross: bool = True, right: Callable[[], bool | None] = lambda: None
) -> CostFinding:
    """Judge a cost from counts at 29 sizes or more, and where keys may differ from queries at 13 or more.

    ``count(n_q, n_k, d, h)`` gives the operations of one example; ``right()`` says whether the output is
    the oracle's, None where that is not known, and is asked only where the count is too low to be believed.
    """
    count = cache(count)
    finding = _judge(count, SELF, right)
    if finding.reason == "lawless" or finding.elementwise_is_lawless:
        finding = _judge(count, CUBED, right)
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
    """Return whether another way to call it costs what a law says that was found on the first."""
    n, d, h = finding.at
    counted = count(n, n, d, h)
    lawful = finding.polynomial is not None and finding.judged(counted) == finding.polynomial(n, d, h)
    return lawful and not counted.unknown


def judge_batch(count: Counter, finding: CostFinding, batch: int) -> CostFinding:
    """Judge whether a batch costs at most what its examples cost apart; ``count`` is of the whole batch.

    Work on the weights alone need not be done for each example, so less is lawful.
    """
    n, d, h = finding.at
    counted, law = count(n, n, d, h), finding.polynomial
    if counted.unknown or law is None or finding.judged(counted) <= batch * law(n, d, h):
        return finding
    message = (
        f"{batch} examples in one call cost {finding.judged(counted)} operations at n={n}, d={d}, h={h}, "
        f"and one by one {batch * law(n, d, h)}: examples are multiplied with each other"
    )
    return replace(finding, verdict="broken", message=message)


def but_for_show(counted: Count, product: int) -> Count:
    """Return a count without one product of queries and keys, where there is one beside a fused kernel.

    Such a kernel keeps its weights to itself: who wants to see them has to compute them once more.
    """
    kinds = dict(counted.by_kind)
    if "fused attention" in kinds and kinds.get("matmul", 0) >= product:
        kinds["matmul"] -= product
    return replace(counted, by_kind=kinds)


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
    finding = replace(finding, by_hand=by_hand, at=plan.beside[0])
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
    return fitted if all(fitted(*point) == values[point] for point in plan.beside) else None


def _read(fitted: Polynomial, beside: Polynomial | None = None) -> CostFinding:
    """Read the terms of a fitted law; ``beside`` is the elementwise work that is not part of it."""
    read = terms(fitted)
    wrong = [term for term in read if term.wrong]
    outgrowing = _outgrowing(beside) if beside else []
    if not wrong and not outgrowing:
        return CostFinding("holds", polynomial=fitted, elementwise=beside, terms=read)
    message = f"costs {fitted}, not {law(fitted.variables)}: {_words(wrong)}"
    if outgrowing:
        message = f"{message}; " if wrong else f"costs {fitted} and, "
        message += f"element by element, {beside}: {_words(outgrowing)}"
    heads = [term for term in wrong if depends_on_heads(fitted.variables, term.exponents)]
    return CostFinding("broken", message, "", fitted, beside, None, read, _words(heads))


def _outgrowing(elementwise: Polynomial) -> list[Term]:
    return [
        replace(term, role="forbidden", words=term.words or "grows faster than the products")
        for term in terms(elementwise)
        if term.coefficient and grows_too_fast(elementwise.variables, term.exponents)
    ]


def _words(wrong: Sequence[Term]) -> str:
    """Return what is wrong, the surplus first; a missing term that a surplus contains is left unsaid."""
    surplus = [term for term in wrong if term.role == "forbidden"]
    rest = [term for term in wrong if term.role == "required" and not any(map(term.is_part_of, surplus))]
    return "; ".join(map(str, (*surplus, *rest)))


def _may_be_tiled(finding: CostFinding) -> bool:
    """Whether padding to tiles would explain a finding: no polynomial, or no growth within the first tile."""
    if finding.verdict == "broken" and finding.polynomial is not None:
        return all(n < 2 for n, _, _ in finding.polynomial.coefficients) and not finding.heads
    return finding.reason == "lawless"


def _lawless(plan: Plan, values: Mapping[Point, int]) -> str:
    fitted = interpolate(plan.axes, values)
    point = next(point for point in plan.beside if fitted(*point) != values[point])
    at = ", ".join(f"{axis.name}={n}" for axis, n in zip(plan.axes, point, strict=True))
    return (
        f"the count follows no polynomial: {values[point]} operations at {at}, "
        f"where the other sizes foretell {round(fitted(*point))}"
    )


def _blind(sizes: Sizes, counted: int) -> str:
    n_q, n_k, d, h = sizes
    at = f"n={n_q}" if n_q == n_k else f"n_q={n_q}, n_k={n_k}"
    return (
        f"the counter is blind: it saw {counted} operations at {at}, d={d}, h={h}, "
        f"where attention takes {operations(n_q, n_k, d)}; what is done outside of the framework's own "
        "operations, or with values taken out of its arrays, is not seen"
    )
