"""Numbers: as exact as the dtype lets it be, in every dtype that is claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call, DType

from ..attend import Attend
from ..cases import Case
from ..expectation import Expectation, causal_mask
from ..masking import arguments, in_forms, small, together
from ..observation import Failure, NotMet, Shown, worst_place
from ..pool import LARGE
from ..specification import MUST, SHOULD, requirement, situated, unmasked


@requirement(
    "NUM-BOUND",
    MUST,
    needs={"parameters"},
    every_dtype=True,
    share=0.3,
    # Small integers are exact in every dtype, large scores hide errors in a softmax that is settled, and the
    # roundings of repeated rows are not independent, as the bound has them.
    situation=situated(recipe="normal"),
    formula=r"|\hat{y} - y| \le 12\,\sigma(y), \quad \sigma \text{ from the dtype and the sizes}",
    why="A constant tolerance fails right code in bfloat16 and lets tf32 scores pass in float32; a bound "
    "for each element does neither.",
)
def bound(attend: Attend, case: Case) -> Failure | None:
    """The error against the oracle stays within the bound derived for the dtype, in every dtype claimed."""
    [seen] = attend(case.call)
    if not seen.expected.representable:
        raise NotMet(f"a stage comes near the largest number of {case.dtype}")
    judged = [seen.output] if seen.result.weights is None else [seen.weights, seen.output]
    worst = max(quantity.distance() for quantity in judged)
    if np.isfinite(worst):
        attend.ratios.setdefault(case.dtype, []).append(worst)
        attend.measured["worst ratio"] = max(worst, attend.measured.get("worst ratio", 0.0))
    failure = seen.departs_from_oracle()
    if failure is None:
        return None
    how = f"the error is {worst:.3g} times the bound" if np.isfinite(worst) else "a result is NaN or infinite"
    return replace(failure, message=f"in {case.dtype} {how}")


@requirement(
    "NUM-DTYPE",
    MUST,
    every_dtype=True,
    shapes=8,
    share=0.0,
    formula=r"\mathrm{dtype}(\mathrm{MultiHead}(Q, K, V)) = \mathrm{dtype}(Q)",
    why="A mask or a scale of float64 promotes the whole residual stream; a .float() inside takes half the "
    "digits of whoever asked for float64, and no shape or sign shows it.",
)
def keeps_dtype(attend: Attend, case: Case) -> Failure | None:
    """The result keeps the input's dtype, and float64 is not computed through float32."""
    paths = (variant.name for variant in attend.variants(case.call) if not variant.eager)
    calls = [case.call, *(replace(case.call, variant=name) for name in paths)]
    cheap = small(attend, case) or not attend.declaration.compiles
    if cheap and min(case.n_q, case.n_k) > 2 and case.n_k < LARGE:
        offered = arguments(case, attend)
        alone = [together(case.call, (name,), offered) for name in offered]
        calls += [one for call in alone for one in (call, *in_forms(attend, call))]
    for call in calls:
        [seen] = attend(call)
        if not seen.result.dtype:
            raise NotMet("the adapter does not say in which dtype the result came")
        if seen.result.dtype != case.dtype:
            where = f" on the path {call.variant!r}" if call.variant else ""
            message = f"{case.dtype} went in and {seen.result.dtype} came out{where}"
            shown = Shown(f'found == "{case.dtype}"', 'str(output.dtype).split(".")[-1]', "returned")
            return Failure(message, call=seen.call, shown=shown)
    return through_float32(attend, case) if case.dtype == "float64" else None


def through_float32(attend: Attend, case: Case) -> Failure | None:
    """Return the failure of a float64 result whose error is float32's.

    With a single key the attention weights are 1 in any dtype, so that a softmax that is declared to
    compute in float32 excuses nothing; one that was only seen to do so is not declared.
    """
    if not attend.offers("parameters"):
        return None
    calls = [replace(unmasked(case), n_q=1, n_k=1).fitted(attend.declaration).call]
    if not attend.declaration.conventions.softmax_dtype:
        calls.append(unmasked(case).call)
    for seen in attend(*calls):
        exact = seen.expected.exact.output
        error = np.abs(seen.output.values - exact)
        double, single = lawful(seen.expected, "float64"), lawful(seen.expected, "float32")
        if np.any(error > double) and np.all(error <= single):
            message = "a float64 result has the errors of float32, as if it were computed through it"
            judged = (seen.output.values, exact, double)
            shown = worst_place("output", *judged, "output")
            return Failure(message, "output", *judged, seen.call, shown=shown)
    return None


def lawful(expectation: Expectation, dtype: DType) -> np.ndarray:
    """Return the bound on the output in this dtype, without any allowance for a coarser softmax."""
    call = replace(expectation.call, build=replace(expectation.call.build, dtype=dtype))
    conventions = replace(expectation.conventions, softmax_dtype="")
    return replace(expectation, call=call, conventions=conventions).bounds.output


@requirement(
    "NUM-NAN",
    SHOULD,
    shapes=6,
    share=0.2,
    formula=r"M_{ij} = 1,\; k_j \ni \mathrm{NaN} \Rightarrow \mathrm{MultiHead}_i \ni \mathrm{NaN}",
    why="nan_to_num against empty rows also turns an overflow upstream into a plausible number, and the run "
    "goes on for days.",
)
def nan_shows(attend: Attend, case: Case) -> Failure | None:
    """A NaN at an allowed position, or an infinity in a value, shows in the result.

    Neither is turned into a plausible number.
    """
    allowed = np.ones((case.n_q, case.n_k), dtype=bool) if case.allowed is None else case.allowed[0].all(0)
    if case.causal:
        allowed = allowed & causal_mask(case.n_q, case.n_k, attend.conventions.causal_alignment)
    key = int(allowed.sum(axis=0).argmax())
    rows = np.flatnonzero(allowed[:, key])
    if not rows.size:
        raise NotMet("no query may see a key in every head")
    ways = [("query", "NaN", key if case.itself else rows[0])]
    ways += [] if case.itself else [("key", "NaN", key)]
    ways += [] if case.itself or case.shared else [("value", "NaN", key), ("value", "infinity", key)]
    for name, what, place in ways:
        [seen] = attend(spoilt(case, name, np.nan if what == "NaN" else np.inf, int(place)))
        output = seen.result.output
        if output is None or output.shape != seen.output_shape:
            raise NotMet("no output of the right shape came back")  # the family of shapes says so
        concerned = rows[:1] if name == "query" and not case.itself else rows
        shows = np.isnan(output) if what == "NaN" else ~np.isfinite(output)
        hidden = ~shows[0, concerned].any(axis=-1)
        if hidden.any():
            row = concerned[hidden.argmax()]
            return Failure(
                f"{'a NaN' if what == 'NaN' else 'an infinity'} in the {name} of position {place} does not "
                f"show in the output of query {row}, which sees it",
                "output",
                output,
                call=seen.call,
                shown=Shown(f"({SHOWS[what]}).any()", f"output[0, {row}]"),
            )
    return None


SHOWS = {"NaN": "np.isnan(found)", "infinity": "~np.isfinite(found)"}


def spoilt(case: Case, name: str, what: float, place: int) -> Call:
    """Return the call with one number of its first example replaced; in all roles, if they are one."""
    array = getattr(case.call, name).copy()
    array[0, place, case.d_model // 2] = what
    shared = ("key", "value") if case.shared and name != "query" else (name,)
    changed = ("query", "key", "value") if case.itself else shared
    return replace(case.call, **dict.fromkeys(changed, array))
