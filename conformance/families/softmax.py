"""Softmax: each row of attention weights is a probability distribution over the keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call
from headcheck.reference.dtypes import FORMATS, quantise

from ..attend import Attend
from ..cases import Case
from ..observation import Failure, NotMet, Observation, Shown
from ..specification import MUST, requirement, situated, unmasked

HIGH = 600.0  # a level that moves scores to about 1e5, which float16 does not reach


def precision(attend: Attend, case: Case) -> float:
    """Return the unit roundoff of the softmax: that of the inputs, or of the format it computes in."""
    own = attend.conventions.softmax_dtype
    return max(FORMATS[case.dtype].unit, FORMATS[own].unit if own else 0.0)


@requirement(
    "SOFTMAX-ROWSUM",
    MUST,
    long="any",
    needs={"weights", "parameters"},
    depends_on=("SHAPE-WEIGHTS",),
    share=1.0,
    formula=r"\sum_j A_{ij} = 1",
    why="softmax(dim=1) or dim=0 sums over queries or heads instead (labml DDPM, PyTorch-NLP issue 2); an "
    "epsilon in the denominator or a dropped key leaves rows short.",
)
def rowsum(attend: Attend, case: Case) -> Failure | None:
    """Every row of attention weights sums to 1 over the keys."""
    [seen] = attend(case.call)
    rows = ~seen.expected.empty_rows[..., 0]
    unit = precision(attend, case)
    total = seen.weights.values.sum(axis=-1)
    # Each weight carries the rounding of exp and quotient, and the row that of its sum, added up one by one,
    # or of its log sum exp, which is about its largest score.
    summed = np.sqrt(1.0 + case.n_k / 3.0)
    relevant = np.where(seen.expected.exact.weights > 0.0, np.abs(seen.expected.exact.scores), 0.0)
    largest = relevant.max(axis=-1, initial=0.0)
    bound = 12.0 * unit * (np.sqrt(np.square(seen.weights.values).sum(axis=-1)) + summed + largest)
    bad = rows & ~(np.abs(total - 1.0) <= bound)
    if not bad.any():
        return None
    row = place(bad)
    return Failure(
        f"a row sums to {number(total[bad][0], 9)}",
        "row sum of the attention weights",
        np.where(rows, total, 1.0),
        np.ones_like(total),
        bound,
        seen.call,
        shown=Shown(f"abs(found - 1) <= {bound[row]:.3g}", f"weights[{', '.join(map(str, row))}].sum()"),
    )


def number(value: float, digits: int = 6) -> str:
    """Return a number as a message has it; NaN is written as elsewhere."""
    return "NaN" if np.isnan(value) else f"{value:.{digits}g}"


def place(bad: np.ndarray) -> tuple[int, ...]:
    """Return the first place at which something is wrong."""
    return tuple(int(i) for i in np.argwhere(bad)[0])


@requirement(
    "SOFTMAX-RANGE",
    MUST,
    long="any",
    needs={"weights"},
    depends_on=("SHAPE-WEIGHTS",),
    share=1.0,
    formula=r"0 \le A_{ij} \le 1",
    why="A linear approximation, a softmax without its exponential or a weight rescaled after the softmax "
    "leaves the interval long before it leaves plausibility.",
)
def in_range(attend: Attend, case: Case) -> Failure | None:
    """Attention weights are finite and lie in [0, 1]."""
    [seen] = attend(case.call)
    weights = seen.weights.values
    rows = ~seen.expected.empty_rows
    unit = precision(attend, case)
    lawful = (weights >= 0.0) & (weights <= 1.0 + 4.0 * unit)
    bad = rows & ~lawful
    if not bad.any():
        return None
    clipped = np.clip(np.nan_to_num(weights), 0.0, 1.0)
    return Failure(
        f"a weight is {number(weights[bad][0])}",
        "attention weights",
        weights,
        clipped,
        np.full_like(weights, 4.0 * unit),
        seen.call,
        shown=Shown(f"0 <= found <= {1.0 + 4.0 * unit!r}", f"weights[{', '.join(map(str, place(bad)))}]"),
    )


@requirement(
    "SOFTMAX-SHIFT",
    MUST,
    needs={"parameters", "cross"},
    situation=situated(itself=False),
    share=0.2,
    formula=r"\mathrm{softmax}(s + c \mathbf{1}) = \mathrm{softmax}(s)",
    why="Needs no oracle. Plus-one denominators, sigmoid attention, soft caps and scores clipped to a range "
    "are not invariant, and neither is a softmax that skips the subtraction of the maximum.",
)
def shift(attend: Attend, case: Case) -> Failure | None:
    """Adding one vector to every key, so one constant to each row of scores, changes nothing."""
    call = case.call
    step = np.random.default_rng(case.seed).integers(-3, 4, call.key.shape[-1]).astype(np.float64)
    moved = quantise(call.key + step, case.dtype)
    still = quantise(moved - step, case.dtype)  # exactly representable, so that the shift is exact
    if not np.array_equal(moved - still, np.broadcast_to(step, moved.shape)):
        still = np.round(still * 8) / 8
        moved = quantise(still + step, case.dtype)
    one, two = attend(replace(call, key=still), replace(call, key=moved))
    return two.output.departs_from(one.output, "a constant added to each row of scores changes the output")


@requirement(
    "SOFTMAX-STABLE",
    MUST,
    control=unmasked,
    shapes=4,
    needs={"parameters"},
    situation=lambda case: replace(unmasked(case), recipe="normal", itself=False),
    share=0.3,
    formula=r"\mathrm{softmax}(s) = \exp(s - \max s) / \textstyle\sum \exp(s - \max s)",
    why="exp(89) overflows float32 and exp(12) float16: without the subtraction of the maximum the row is "
    "inf/inf; with all scores far below zero it is 0/0 (pytorch issue 60939, cuDNN backward).",
)
def stable(attend: Attend, case: Case) -> Failure | None:
    """Large and small logits neither overflow nor lose the row, in every dtype."""
    calls = []
    for dtype in attend.declaration.dtypes:
        small = replace(case, dtype=dtype).fitted(attend.declaration)
        high = 30.0 if dtype == "float16" else 60.0  # 500 fits float16, exp(2000) overflows in float64
        calls += [levelled(small, high), levelled(small, -high)]
        if dtype != "float16":
            calls.append(levelled(small, HIGH))
    for seen in attend.outcomes(*calls):
        _ = seen.result
        if not seen.expected.representable:
            continue
        failure = seen.departs_from_oracle()
        if failure:
            words = f"with all logits near {peak(seen):.3g} in {seen.call.build.dtype}"
            return replace(failure, message=f"{words}, {failure.message}")
    return None


def levelled(case: Case, level: float) -> Call:
    """Return a call in which one shared component of query and key moves every score by about level^2/2."""
    call, parameters = case.call, case.parameters
    query, key = (quantise(shared(x, abs(level)), case.dtype) for x in (call.query, call.key))
    W_q, W_k = parameters.W_q.copy(), parameters.W_k.copy()
    W_q[0], W_k[0] = 0.0, 0.0
    W_q[0, :: case.d_k] = 0.75  # the first column of every head carries the level
    W_k[0, :: case.d_k] = np.copysign(0.75, level)
    call = replace(call, query=query, key=key, parameters=replace(parameters, W_q=W_q, W_k=W_k))
    if case.itself:
        return replace(call, key=query, value=query)
    return replace(call, value=key) if case.shared else call


def shared(x: np.ndarray, component: float) -> np.ndarray:
    """Return the rows with one component that they all share."""
    x = x.copy()
    x[..., 0] = component
    return x


def peak(seen: Observation) -> float:
    """Return the largest logit of an observation, in magnitude."""
    scores = seen.expected.exact.scores
    return float(scores.flat[int(np.abs(scores).argmax())])


@requirement(
    "SOFTMAX-CONSTANT-V",
    MUST,
    needs={"parameters", "cross"},
    situation=situated(itself=False),
    formula=r"V = \mathbf{1} v^T \Rightarrow head_i = \mathbf{1} v^T W_v^i",
    why="Needs neither oracle nor returned weights: rows that do not sum to one show in the output, on the "
    "paths that return no weights as well.",
)
def constant_value(attend: Attend, case: Case) -> Failure | None:
    """Identical value rows come out unchanged, whatever the scores are."""
    call = case.call
    value = np.repeat(call.value[:, :1], call.value.shape[1], axis=1)
    [seen] = attend(replace(call, value=value))
    if seen.expected.empty_rows.any():
        raise NotMet("a row has no key")
    p = case.parameters
    projected = value[:, :1] @ p.W_v + (0.0 if p.b_v is None else p.b_v)
    expected = projected @ p.W_o + (0.0 if p.b_o is None else p.b_o)
    return seen.output.departs(
        np.broadcast_to(expected, seen.output.values.shape), "identical value rows come out changed"
    )


@requirement(
    "SOFTMAX-HULL",
    MUST,
    needs={"parameters", "two sequences"},
    situation=situated(itself=False, bias=False),
    share=0.3,
    formula=r"\min_j v_j \le context_i \le \max_j v_j",
    why="An average lies between the things it averages. Negative weights, weights above one and a value "
    "taken from elsewhere do not.",
)
def hull(attend: Attend, case: Case) -> Failure | None:
    """Each head's context lies in the convex hull of its value rows."""
    eye = np.eye(case.d_model)
    call = replace(case.call, parameters=replace(case.parameters, W_o=eye))
    [seen] = attend(call)
    if seen.expected.empty_rows.any():
        raise NotMet("a row has no key")
    v = call.value @ case.parameters.W_v
    low, high = v.min(axis=1, keepdims=True), v.max(axis=1, keepdims=True)
    nearest = np.clip(seen.output.values, low, high)
    return seen.output.departs(nearest, "a context lies outside the hull of its value rows")
