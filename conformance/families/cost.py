"""Cost: what h heads cost is what one head costs, decided by counting operations and not by a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from headcheck.adapters.counting import Count
from headcheck.adapters.protocol import Build, Call, Mask
from headcheck.reference.configuration import Configuration, advice
from headcheck.reference.cost_model import compare, operations
from headcheck.reference.parameters import Parameters
from headcheck.reference.polynomial import Polynomial

from ..attend import Attend
from ..cases import Case, most_precise
from ..costing import CostFinding, Counter, backward_law, but_for_show, follows, judge_batch, judge_cost
from ..observation import Broken, Failure, NotMet, Shown, Undecided
from ..specification import INFO, MUST, requirement, situated
from ..timing import Unmeasured, laws, measure
from ..worker import Crashed, TimedOut

TABLE, TABLE_LENGTH = Build(512, 8), 10  # sizes of the comparison
SHOWN = 64  # length and width at which a script counts
LAWFUL = 1.1  # times the formula: what a script counts may hold some elementwise work
CAUSAL = "under the causal flag"  # where keys that nobody may see need not be multiplied with
CUBIC = 2.6  # the exponents in n of right implementations reach that by the clock

_findings: WeakKeyDictionary[Attend, CostFinding] = WeakKeyDictionary()


def counter(
    attend: Attend,
    case: Case,
    *,
    variant: str = "",
    batch: int = 1,
    masked: bool = False,
    causal: bool = False,
    gradients: bool = False,
    for_show: bool = False,
) -> Counter:
    """Return the function that counts the operations of one call at given sizes.

    A mask, where one is asked for, lets every query see every key, so that nothing may be left out.
    With ``for_show`` the weights that a path returns may be computed once more beside a fused kernel.
    """
    paths = attend.declaration.variants
    shown = for_show and next(path.weights for path in paths if variant in {"", path.name})
    written = attend.offers("parameters")

    @cache
    def parameters(d: int) -> Parameters:
        return replace(case, num_heads=1, d_k=d).parameters

    def rows(n: int, d: int) -> np.ndarray:
        return np.random.default_rng(n).integers(-8, 9, (batch, n, d)) / 8.0  # every dtype represents them

    def count(n_q: int, n_k: int, d: int, h: int) -> Count:
        nonlocal written
        query, key = rows(n_q, d), rows(n_k, d)
        query, key, value = (query, query, query) if n_q == n_k else (query, key, key + 0.0)
        build = Build(d, h, bias=case.bias, dtype=case.dtype)
        call = Call(build, query, key, value, parameters(d) if written else None)
        call = replace(call, variant=variant, causal=causal)
        if masked:
            call = replace(call, mask=Mask(np.ones((batch, h, n_q, n_k), dtype=bool)))
        if gradients:
            call = replace(call, cotangent=np.ones_like(query))
        try:
            counted = Count.from_mapping(attend.count(call))
            return but_for_show(counted, 2 * batch * n_q * n_k * d) if shown else counted
        except Broken as broken:
            if not written:
                return Count(unknown=(str(broken),))
            written = False  # weights that do not fit are no reason not to count
            return count(n_q, n_k, d, h)

    return count


def output_is_right(attend: Attend, case: Case) -> bool | None:
    """Return whether the oracle agrees with the output, None where there is no oracle."""
    try:
        [seen] = attend(case.call)
        return seen.departs_from_oracle() is None
    except Broken:
        return False
    except NotMet:
        return None


def finding(attend: Attend, case: Case) -> CostFinding:
    """Return what the subject's operations amount to, counted once for all requirements."""
    if attend not in _findings:
        found = _on_every_path(attend, case, counter)
        bare = any(not path.weights and not path.eager for path in attend.declaration.variants[1:])
        if found.verdict == "broken" and bare:  # judged there too, where the law must hold as it is
            other = _on_every_path(attend, case, partial(counter, for_show=True))
            found = replace(other, for_show=True) if other.verdict == "holds" else found
        _findings[attend] = found
    return _findings[attend]


def _on_every_path(attend: Attend, case: Case, counter_of: Callable[..., Counter]) -> CostFinding:
    """Judge the first path in full, and another way to call it where that does not cost the same."""
    cross = attend.offers("two sequences")
    found = judge_cost(counter_of(attend, case), cross=cross, right=lambda: output_is_right(attend, case))
    if found.verdict != "holds":
        return found
    for situation, count, takes_others in _other_ways(attend, case, counter_of):
        if not follows(count, found):
            other = judge_cost(count, cross=cross and takes_others)
            if other.verdict == "broken" or (other.verdict == "inconclusive" and situation != CAUSAL):
                return replace(other, polynomial=other.polynomial or found.polynomial).where(situation)
    return judge_batch(counter_of(attend, case, batch=2), found, 2)


def _other_ways(
    attend: Attend, case: Case, counter_of: Callable[..., Counter]
) -> Iterator[tuple[str, Counter, bool]]:
    """Yield a name for each other way to call the subject, its counter, and whether keys may differ there.

    A path that compiles nothing is traced like the one that does, or is a transformation of the caller's
    own, which may make a choice of one branch a computation of both.
    """
    if attend.offers("mask"):
        yield "with a mask", counter_of(attend, case, masked=True), True
    if attend.offers("causal"):
        yield CAUSAL, counter_of(attend, case, causal=True), False
    for variant in attend.declaration.variants[1:]:
        if not variant.eager and (not variant.dtypes or case.dtype in variant.dtypes):
            count = counter_of(attend, case, variant=variant.name)
            yield f"on the path {variant.name!r}", count, not variant.self_attention


def record_finding(attend: Attend, case: Case, found: CostFinding) -> Polynomial | None:
    """Put the laws that were fitted into the record, and return that of the gradients."""
    attend.measured["polynomial"] = str(found.polynomial or "")
    if found.cross:
        attend.measured["cross-attention"] = str(found.cross)
    if found.for_show:
        attend.measured["weights recomputed for show"] = (
            "2 n^2 d more beside the fused kernel, on paths that return them; not in the polynomial"
        )
    if found.elementwise and found.elementwise.coefficients:
        attend.measured["elementwise operations"] = str(found.elementwise)
    if attend.offers("gradients"):
        gradients = backward_law(counter(attend, case, gradients=True))
        attend.measured["backward, with 2 heads"] = str(gradients or "follows no polynomial")
        if gradients and found.polynomial:
            n, d = TABLE_LENGTH, TABLE.d_model
            times = 1 + gradients(n, d) / found.polynomial(n, d, 2)
            attend.measured["forward and backward"] = f"{float(times):.3g} times the forward"
        return gradients
    return None


@requirement(
    "COST-QUADRATIC",
    MUST,
    needs={"cost"},
    once=True,
    situation=situated(mask="none", causal=False),
    formula=r"4 n_q n_k d + 8 n d^2",
    why="A hidden product over three positions, keys projected again for every query, or a linear stand-in "
    "sold as attention all give plausible outputs at the lengths of a unit test.",
)
def quadratic(attend: Attend, case: Case) -> Failure | None:
    """Attention takes 4 n_q n_k d and the projections 8 n d^2 floating-point operations, and nothing more."""
    found = finding(attend, case)
    gradients = record_finding(attend, case, found)
    if found.verdict == "inconclusive":
        raise Undecided(found.message)
    if found.verdict == "broken":
        return dear(attend, found.message)
    if gradients is not None and any(powers[0] > 2 for powers in gradients.coefficients):
        return Failure(f"its gradients take {gradients}: cubic in the length", kind="cost")
    return None


@requirement(
    "COST-HEADS",
    MUST,
    needs={"cost"},
    once=True,
    situation=situated(mask="none", causal=False),
    formula=r"\mathrm{cost}(h \text{ heads of } d / h) = \mathrm{cost}(1 \text{ head of } d)",
    why="Heads of full width look better in every comparison: they do h times the work.",
)
def heads(attend: Attend, case: Case) -> Failure | None:
    """The operations do not depend on num_heads: h heads of d / h cost what one head of d costs."""
    found = finding(attend, case)
    attend.measured["table"] = comparison(attend, case, found)
    if found.verdict == "inconclusive":
        raise Undecided(found.message)
    return dear(attend, f"costs {found.polynomial}: {found.heads}") if found.heads else None


def dear(attend: Attend, message: str) -> Failure:
    """Return the failure with the first call that shows it: plain, or called in another way."""
    for call in _shown_ways(attend):
        law = len(call.query) * operations(call.query.shape[1], call.key.shape[1], SHOWN)
        try:
            counted = Count.from_mapping(attend.count(call)).products
        except Broken:
            continue
        if counted > LAWFUL * law:
            shown = Shown(f"found <= {LAWFUL} * {law}", "operations", "operations")
            return Failure(message, call=call, shown=shown, kind="cost")
    return Failure(message, kind="cost")


def _shown_ways(attend: Attend) -> Iterator[Call]:
    """Yield calls on ones, of a module with its own weights: what is counted depends on sizes alone."""
    n, ones = SHOWN, np.ones((1, SHOWN, SHOWN))
    build = Build(n, 4, bias=attend.offers("bias"), dtype=most_precise(attend.declaration))
    plain = Call(build, ones, ones, ones)
    yield plain
    if attend.offers("two sequences"):
        yield replace(plain, key=ones[:, : n // 2], value=ones[:, : n // 2] + 0.0)
    if attend.offers("mask"):
        yield replace(plain, mask=Mask(np.ones((1, build.num_heads, n, n), dtype=bool)))
    for variant in attend.declaration.variants[1:]:
        yield replace(plain, variant=variant.name)
    both = np.ones((2, n, n))
    yield replace(plain, query=both, key=both, value=both)


def comparison(
    attend: Attend, case: Case, found: CostFinding, sizes: Build = TABLE, n: int = TABLE_LENGTH
) -> dict[str, Any]:
    """Return the article's table at one size, and beneath it what this subject has and takes."""
    d, h = sizes.d_model, sizes.num_heads
    costs = compare(d, h, n, bias=case.bias)
    rows: list[list[Any]] = [[cost.title, cost.parameters, cost.operations] for cost in costs]
    if found.polynomial:
        held = parameter_count(attend, replace(sizes, bias=case.bias, dtype=case.dtype))
        rows.append([f"counted, with {h} heads", held, int(found.polynomial(n, d, h))])
    rows = [[*row, f"{row[-1] / costs[0].operations:.3g}"] for row in rows]
    return {"columns": [f"at length {n}", "parameters", "operations", "times one head"], "rows": rows}


def parameter_count(attend: Attend, build: Build) -> int | str:
    """Return how many parameters a module of this build has, or that they cannot be read."""
    try:
        return sum(attend.sizes(build).values())
    except (Crashed, TimedOut):
        raise
    except Exception:  # whether they have to be readable is judged elsewhere
        return "not readable"


@requirement(
    "COST-TIME",
    INFO,
    needs={"cost"},
    once=True,
    deep=True,
    formula=r"t(n) \propto n^{\alpha}, \quad t(d) \propto d^{\beta}",
    why="What the clock says, beside what was counted: the constant in front of the law is the machine's.",
)
def time(attend: Attend, case: Case) -> Failure | None:
    """Time and peak memory are measured against length and width, and their exponents fitted."""
    if not attend.reference:
        raise NotMet("timed in a process of its own, which needs a subject with a name")
    try:
        fitted = laws(list(measure(attend.reference)))
    except Unmeasured as reason:
        raise NotMet(str(reason)) from None
    for law in fitted:
        attend.measured[f"{law.quantity} against {law.axis}"] = str(law)
    attend.measured["plots"] = [law.plot() for law in fitted]
    steep = [f"{law.quantity} {law}" for law in fitted if law.axis == "n" and law.interval[0] > CUBIC]
    return Failure(f"grows faster than the square of the length: {', '.join(steep)}") if steep else None


@requirement(
    "CONFIG-HEAD-DIM",
    INFO,
    depends_on=(),
    once=True,
    formula=r"64 \le d_k \le 128",
    why="The common rule of thumb: narrower heads see too little, wider ones are too few.",
)
def head_width(attend: Attend, case: Case) -> Failure | None:
    """A head width outside 64 to 128 is noted for the sizes that the subject is used with."""
    for d_model, num_heads in attend.declaration.sizes:
        advised = advice(Configuration(d_model, num_heads)).text
        attend.measured[f"d_model={d_model}, num_heads={num_heads}"] = advised
    if not attend.declaration.sizes:
        attend.measured["sizes it is used with"] = "not declared; `headcheck config` takes any"
    return None
