"""Scale: the scores are divided by the square root of the width of one head."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import isclose, log, sqrt

import numpy as np
from headcheck.adapters.protocol import Call
from headcheck.reference.dtypes import FORMATS, quantise
from headcheck.reference.oracle import split_heads
from headcheck.reference.parameters import Parameters

from ..attend import Attend
from ..cases import Case, most_precise
from ..masking import arguments, together
from ..observation import Failure, NotMet, Observation, Shown
from ..specification import MUST, requirement

# d_k, num_heads: no two of the candidates below agree at all of these sizes.
SIZES = ((3, 4), (6, 2), (5, 1), (64, 2), (16, 4))


def candidates(d_k: int, num_heads: int) -> dict[str, float]:
    """Return the scales that have been mistaken for 1 / sqrt(d_k), by name."""
    d_model = d_k * num_heads
    return {
        "1/sqrt(d_k)": 1 / sqrt(d_k),
        "1 (no scale)": 1.0,
        "1/d_k": 1 / d_k,
        "1/sqrt(d_model)": 1 / sqrt(d_model),
        "1/d_model": 1 / d_model,
        "1/sqrt(num_heads)": 1 / sqrt(num_heads),
        "1/8": 1 / 8,
        "sqrt(d_k)": sqrt(d_k),
        "d_k^(-1/4)": d_k**-0.25,
        "1/sqrt(d_k + 1)": 1 / sqrt(d_k + 1),
        "log(2)/sqrt(d_k)": log(2) / sqrt(d_k),
    }


def estimated(seen: Observation) -> tuple[float, float]:
    """Return the effective scale of an observation and its standard error.

    log A_ij = scale * (q_i . k_j) - log Z_i, so the slope of log-weights on raw dot products, both centred
    in each row, is the scale; no constant of the softmax enters.
    """
    x, rows = centred_products(seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(seen.weights.values[:, :, rows])
        y = logs - logs.mean(axis=-1, keepdims=True)
    if not np.isfinite(y).all() or not np.any(x):
        raise NotMet("a weight is zero or not finite")
    slope = float((x * y).sum() / (x * x).sum())
    spread = float(np.sqrt(((y - slope * x) ** 2).mean() / (x * x).sum()))
    return slope, spread


@requirement(
    "SCALE-DK",
    MUST,
    needs={"weights", "parameters"},
    once=True,
    formula=r"A = \mathrm{softmax}\left( Q K^T / \sqrt{d_k} \right), \quad d_k = d_{model} / h",
    why="Shipped as 1/sqrt(d_model) in vit-pytorch (issue 65), dfdx (issue 171) and set_transformer "
    "(issue 18), applied twice in maxtext (issue 3138); the model trains, only worse.",
)
def scale_dk(attend: Attend, case: Case) -> Failure | None:
    """The effective scale, measured from the attention weights, is 1/sqrt(d_k)."""
    measured = []
    failures = []
    for d_k, num_heads in SIZES:
        small = gentle(replace(case, d_k=d_k, num_heads=num_heads, n_q=6, n_k=7).fitted(attend.declaration))
        [seen] = attend(small)
        found, error = estimated(seen)
        expected = 1 / sqrt(d_k)
        measured.append(
            {"d_k": d_k, "num_heads": num_heads, "measured": found, "expected": expected, "error": error}
        )
        # The weights' own bound, carried through the regression: |d slope| <= sum |x| bound(log A) / sum x^2.
        lawful = tolerance(seen)
        if abs(found - expected) > lawful:
            failures.append((d_k, num_heads, found, expected, lawful, small))
    attend.measured["scale"] = measured
    if not failures:
        return None
    names = common(failures)
    d_k, num_heads, found, expected, lawful, call = failures[0]
    digits = next((n for n in (6, 9, 12) if f"{found:.{n}g}" != f"{expected:.{n}g}"), 17)
    failure = Failure(
        f"the scale is {found:.{digits}g} at d_k={d_k}, num_heads={num_heads}; "
        f"expected 1/sqrt(d_k) = {expected:.{digits}g}" + (f"; it is {names}" if names else ""),
        "scale",
        np.array([found]),
        np.array([expected]),
        np.array([lawful]),
        call,
        grounds="property",
    )
    return plainer(attend, failure, call)


def plainer(attend: Attend, failure: Failure, call: Call) -> Failure:
    """Return the failure of a scale on two keys and identity weights, where that call shows it too."""
    d_k, num_heads = call.build.d_k, call.build.num_heads
    closed = anchored(Case(d_k=d_k, num_heads=num_heads, bias=call.build.bias, dtype=call.build.dtype))
    if not attend.offers("cross"):
        return failure
    [seen] = attend(closed)
    gap, expected = float(closed.key[0, 1, 0]), 1 / sqrt(d_k)
    with np.errstate(all="ignore"):
        found = np.log(seen.weights.values[0, :, 0, 1] / seen.weights.values[0, :, 0, 0]) / gap
    # Two logarithms of weights of 1/4 and 3/4, each off by twelve roundings or so.
    lawful = 200.0 * FORMATS[closed.build.dtype].unit / gap
    if np.all(np.abs(found - expected) <= 2 * lawful):
        return failure
    scale = f"np.log(weights[0, :, 0, 1] / weights[0, :, 0, 0]) / {gap!r}"
    claim = f"np.abs(found - 1 / np.sqrt({d_k})).max() <= {lawful:.2g}"
    return replace(failure, call=closed, shown=Shown(claim, scale))


def gentle(case: Case) -> Call:
    """Return a call whose scores stay small, so that no weight underflows under any candidate scale."""
    call = replace(case, mask="none", causal=False, bias=False).call
    d = call.build.d_model
    rng = np.random.default_rng(7)
    small = [quantise(rng.standard_normal((d, d)) / d**0.75, case.dtype) for _ in range(2)]
    parameters = replace(case.parameters, W_q=small[0], W_k=small[1], b_q=None, b_k=None, b_v=None, b_o=None)
    return replace(call, parameters=parameters)


def centred_products(seen: Observation) -> tuple[np.ndarray, np.ndarray]:
    """Return q_i . k_j, centred in each row, of the queries that see every key, and which these are.

    That is all of them, but for an implementation that is always causal.
    """
    exact, allowed = seen.expected.exact, seen.expected.allowed
    n_q = seen.call.query.shape[1]
    rows = np.arange(n_q) if allowed is None else np.flatnonzero(allowed.all(axis=(0, 1, 3)))
    raw = exact.split_query[:, :, rows] @ exact.split_key.swapaxes(-2, -1)
    return raw - raw.mean(axis=-1, keepdims=True), rows


def tolerance(seen: Observation) -> float:
    """Return the largest lawful error of the estimated scale: the weights' bound through the regression."""
    x, rows = centred_products(seen)
    weights = seen.expected.exact.weights
    lawful = (seen.expected.bounds.weights / np.where(weights > 0.0, weights, 1.0))[:, :, rows]
    return float(2.0 * (np.abs(x) * lawful).sum() / (x * x).sum())


def common(failures: list[tuple[int, int, float, float, float, Call]]) -> str:
    """Return the candidate scale, or its power, that explains every measurement."""
    fits = [
        name
        for name in candidates(2, 1)
        if name != "1/sqrt(d_k)"  # too far from it for its bound, and of no other scale
        and all(isclose(candidates(f[0], f[1])[name], f[2], rel_tol=1e-3) for f in failures)
    ]
    if all(isclose(f[3] ** 2, f[2], rel_tol=1e-3) for f in failures):
        fits.append("1/sqrt(d_k) applied twice")
    if all(isclose(f[2], 0.0, abs_tol=1e-6) for f in failures):
        fits.append("0: the weights do not depend on the scores")
    return " or ".join(dict.fromkeys(fits))


@requirement(
    "SCALE-USER",
    MUST,
    needs={"scale", "parameters"},
    once=True,
    formula=r"A = \mathrm{softmax}(c\, Q K^T + M)",
    why="A fused path used its default scale where the caller had given another (pytorch pull 174361); "
    "splitting sqrt(c) over query and key turns a negative scale into NaN (ONNX reference).",
)
def scale_user(attend: Attend, case: Case) -> Failure | None:
    """A caller's scale is used as given, zero and negative included, and never touches a mask."""
    small = replace(case, batch=1, n_q=2, n_k=3, num_heads=2, d_k=2)
    plain = [gentle(one.fitted(attend.declaration)) for one in (small, replace(case, n_q=4, n_k=6))]
    for scale, one in product((0.25, 1.0, 0.0, -0.5), plain):
        call = replace(one, build=replace(one.build, scale=scale))
        [seen] = attend(call)
        failure = seen.output.departs(
            seen.expected.exact.output, f"with scale={scale} the output is not the oracle's", grounds="oracle"
        )
        if failure:
            return failure
    smallest = replace(case, batch=1, n_q=3, n_k=3, num_heads=1, d_k=1)
    others = (smallest, replace(case, n_q=4, n_k=6))
    found = (beside_others(attend, one.fitted(attend.declaration), -0.5) for one in others)
    return next(filter(None, found), None)


def beside_others(attend: Attend, case: Case, scale: float) -> Failure | None:
    """Return the failure of a scale that is given beside a mask, or on another path."""
    plain = gentle(case)
    plain = replace(plain, build=replace(plain.build, scale=scale))
    offered = arguments(case, attend)
    ways = {f" and {attend.called(name)}": together(plain, (name,), offered) for name in offered}
    for path in attend.turns(plain):
        ways[f" on the path {path.name!r}"] = replace(plain, variant=path.name)
    for words, seen in zip(ways, attend(*ways.values()), strict=True):
        message = f"with scale={scale}{words} the output is not the oracle's"
        failure = seen.output.departs(seen.expected.exact.output, message, grounds="oracle")
        if failure:
            return failure
    return None


@requirement(
    "SCALE-ANCHOR",
    MUST,
    needs={"parameters"},
    once=True,
    formula=r"s_2 - s_1 = \sqrt{d_k} \ln 3 \;\Rightarrow\; A = \left( \tfrac14, \tfrac34 \right)",
    why="A closed form that no oracle stands behind: identity projections and two keys leave nothing but "
    "the scale and the softmax.",
)
def anchor(attend: Attend, case: Case) -> Failure | None:
    """Identity weights and two keys with a score gap of sqrt(d_k) ln 3 give the weights 1/4 and 3/4."""
    dtype = most_precise(attend.declaration)
    for d_k, num_heads in SIZES[:4]:
        small = replace(case, dtype=dtype, d_k=d_k, num_heads=num_heads)
        cross = attend.offers("cross")
        call = anchored(small) if cross else anchored_itself(small)
        asked, near, far = (0, 0, 1) if cross else (1, 1, 0)  # in self-attention the last row asks
        [seen] = attend(call)
        # Quantising the gap to the dtype moves the weights by at most its unit roundoff times the gap.
        slack = 8.0 * FORMATS[dtype].unit * sqrt(d_k)
        message = f"identity weights, d_k={d_k}: expected a quarter of the first value, three of the second"
        got, lawful = seen.output.values, seen.expected.bounds.output + slack
        expected = got.copy()  # of another query nothing is said
        expected[:, asked] = 0.25 * call.value[:, near] + 0.75 * call.value[:, far]
        if not np.all(np.abs(got - expected) <= lawful):
            return Failure(message, "output", got, expected, lawful, call, grounds="property")
    return None


def anchored(case: Case) -> Call:
    """Return the closed form's call: all heads alike, W = 1, key two scoring sqrt(d_k) ln 3 above key one."""
    d, d_k, h = case.d_model, case.d_k, case.num_heads
    eye = np.eye(d)
    zero = np.zeros(d) if case.bias else None
    parameters = Parameters(eye, eye, eye, eye, zero, zero, zero, zero)
    query = np.zeros((1, 1, d))
    query[..., ::d_k] = 1.0  # the first column of each head
    key = np.zeros((1, 2, d))
    key[:, 1, ::d_k] = sqrt(d_k) * log(3.0)
    value = np.zeros((1, 2, d))
    value[:, 0], value[:, 1] = 1.0, np.arange(d) % 5 - 1.0
    call = replace(case, batch=1, n_q=1, n_k=2, mask="none", causal=False, itself=False).call
    key, query = quantise(key, case.dtype), quantise(query, case.dtype)
    assert split_heads(key, h).shape[-1] == d_k
    return replace(call, parameters=parameters, query=query, key=key, value=quantise(value, case.dtype))


def anchored_itself(case: Case) -> Call:
    """Return the closed form's call for self-attention: keys 1 + the gap and 1, of which the second asks.

    It sees both where attention is causal too.
    """
    call = anchored(case)
    x = np.zeros((1, 2, case.d_model))
    x[..., :: case.d_k] = np.array([1.0 + sqrt(case.d_k) * log(3.0), 1.0])[:, None]
    x = quantise(x, case.dtype)
    return replace(call, query=x, key=x, value=x)
