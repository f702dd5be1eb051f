"""The float64 oracle: every stage of multi-head attention, and its vector-Jacobian product.

    MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W_o + b_o
    head_i = softmax(Q W_q^i (K W_k^i)^T / sqrt(d_k)) V W_v^i

(Vaswani et al. 2017, section 3.2.2.)  The same lines run exactly, or with the rounding noise of another
format: what rounds is the `Arithmetic` they are given, which is how `headcheck.reference.bound` measures
how far a right implementation may be from the exact result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from .parameters import Parameters

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

EmptyRow = Literal["zeros", "uniform"]
Array = np.ndarray


class Arithmetic:
    """Exact arithmetic, as far as float64 is exact."""

    def enter(self, x: Array) -> Array:
        """Return an argument as this arithmetic computes with it."""
        return x

    def rounded(self, y: Array) -> Array:
        """Return the result of an elementwise operation as the format would hold it."""
        return y

    def lowered(self, y: Array) -> Array:
        """Return what enters the softmax, or its derivative, where those compute in a coarser format."""
        return y

    def softened(self, y: Array) -> Array:
        """Return the result of an elementwise operation of the softmax, which may have its own format."""
        return y

    def denominator(self, x: Array) -> Array:
        """Return the sum over each row of the softmax."""
        return np.asarray(x.sum(axis=-1, keepdims=True))

    def normalised(self, weights: Array, scores: Array) -> Array:
        """Return the weights as exp(s - log sum exp s), which forward or backward may compute."""
        return weights

    def through_peaks(self, d_scores: Array, weights: Array, terms: Array, width: int) -> Array:
        """Return the gradient of the scores with what comes through the maxima that they are lowered by.

        `terms` are the sizes of what is summed there, each itself a sum over `width` columns.
        """
        return d_scores

    def matmul(self, x: Array, y: Array) -> Array:
        """Return x @ y as the format would compute it."""
        return np.asarray(x @ y)

    def total(self, x: Array, axis: int) -> Array:
        """Return the sum over an axis, which is kept, as the format would compute it."""
        return np.asarray(x.sum(axis=axis, keepdims=True))


EXACT = Arithmetic()


@dataclass(frozen=True, eq=False)
class Stages:
    """The shape pipeline.  In noisy arithmetic every array has one more, leading axis: the run."""

    projected_query: Float64[Array, "*run B n_q d"]
    projected_key: Float64[Array, "*run B n_k d"]
    projected_value: Float64[Array, "*run B n_k d"]
    split_query: Float64[Array, "*run B h n_q d_k"]
    split_key: Float64[Array, "*run B h n_k d_k"]
    split_value: Float64[Array, "*run B h n_k d_k"]
    scores: Float64[Array, "*run B h n_q n_k"]  # scaled, before any mask
    weights: Float64[Array, "*run B h n_q n_k"]
    context: Float64[Array, "*run B h n_q d_k"]
    combined: Float64[Array, "*run B n_q d"]
    output: Float64[Array, "*run B n_q d"]


def split_heads(x: Array, num_heads: int) -> Array:
    """(..., n, d) to (..., h, n, d_k): head i takes the columns i d_k to (i + 1) d_k."""
    *lead, n, d = x.shape
    return x.reshape(*lead, n, num_heads, d // num_heads).swapaxes(-3, -2)


def combine_heads(x: Array) -> Array:
    """(..., h, n, d_k) back to (..., n, d)."""
    *lead, h, n, d_k = x.shape
    return x.swapaxes(-3, -2).reshape(*lead, n, h * d_k)


def project(x: Array, W: Array, b: Array | None, arithmetic: Arithmetic) -> Array:
    """x W + b."""
    y = arithmetic.matmul(x, W)
    return y if b is None else arithmetic.rounded(y + b)


def softmax(
    scores: Float64[Array, "... n_k"],
    allowed: Bool[Array, ...] | None,
    empty_row: EmptyRow,
    arithmetic: Arithmetic = EXACT,
) -> Float64[Array, "... n_k"]:
    """Softmax over the allowed keys; a row with none is all zeros or uniform, as declared."""
    if scores.shape[-1] == 0:
        return scores
    scores = arithmetic.lowered(scores)
    blocked = scores if allowed is None else np.where(allowed, scores, -np.inf)
    peak = blocked.max(axis=-1, keepdims=True)
    empty = np.isneginf(peak)
    with np.errstate(invalid="ignore", under="ignore"):  # -inf - -inf, in rows that are replaced below
        powers = arithmetic.softened(np.exp(blocked - np.where(empty, 0.0, peak)))
        total = arithmetic.denominator(powers)
        weights = arithmetic.normalised(powers / np.where(empty, 1.0, total), scores)
    n_k = scores.shape[-1]
    fill = np.asarray(0.0 if empty_row == "zeros" else 1.0 / n_k)
    if empty.any():  # exp(s - log sum exp s) is e^-log(n_k) where scores are alike
        fill = arithmetic.normalised(np.broadcast_to(fill, weights.shape), np.asarray(max(1.0, log(n_k))))
    return arithmetic.softened(np.where(empty, fill, weights))


def attend(
    parameters: Parameters,
    num_heads: int,
    query: Float64[Array, "B n_q d"],
    key: Float64[Array, "B n_k d"],
    value: Float64[Array, "B n_k d"],
    *,
    allowed: Bool[Array, ...] | None = None,
    additive: Float64[Array, ...] | None = None,
    scale: float | None = None,
    empty_row: EmptyRow = "zeros",
    kept: Float64[Array, ...] | None = None,
    arithmetic: Arithmetic = EXACT,
) -> Stages:
    """Run the whole pipeline.

    `allowed` (True: attend) and `additive` (a bias on the scaled scores) broadcast to (B, h, n_q, n_k);
    `scale` is 1 / sqrt(d_k) unless the caller has one.  Dropout multiplied each weight by what `kept` says.
    """
    p, a = parameters, arithmetic
    query, key, value = (a.enter(x) for x in (query, key, value))
    d_k = p.d_model // num_heads
    projected_query = project(query, p.W_q, p.b_q, a)
    projected_key = project(key, p.W_k, p.b_k, a)
    projected_value = project(value, p.W_v, p.b_v, a)
    q, k, v = (split_heads(x, num_heads) for x in (projected_query, projected_key, projected_value))
    scores = a.rounded(a.matmul(q, k.swapaxes(-2, -1)) * (1.0 / sqrt(d_k) if scale is None else scale))
    biased = scores if additive is None else a.rounded(scores + additive)
    weights = softmax(biased, allowed, empty_row, a)
    context = a.matmul(weights if kept is None else a.softened(weights * kept), v)
    combined = combine_heads(context)
    output = project(combined, p.W_o, p.b_o, a)
    return Stages(
        projected_query, projected_key, projected_value, q, k, v, scores, weights, context, combined, output
    )  # fmt: skip


def vjp(
    parameters: Parameters,
    num_heads: int,
    query: Array,
    key: Array,
    value: Array,
    stages: Stages,
    cotangent: Float64[Array, "B n_q d"],
    *,
    scale: float | None = None,
    empty: Bool[Array, "B h n_q 1"] | None = None,
    kept: Float64[Array, "B h n_q n_k"] | None = None,
    arithmetic: Arithmetic = EXACT,
) -> Mapping[str, Array]:
    """Return the vector-Jacobian product: the gradients of sum(output * cotangent), by name.

    The softmax gives dS = A * (dA - rowsum(dA * A)).  Rows marked `empty` have constant weights, so
    nothing flows to their scores.  Through dropout, dA is multiplied by what the weights were.
    """
    p, a = parameters, arithmetic
    factor = 1.0 / sqrt(p.d_model // num_heads) if scale is None else scale
    query, key, value, cotangent = (a.enter(x) for x in (query, key, value, cotangent))
    weights = a.normalised(stages.weights, stages.scores)
    d_context = split_heads(a.matmul(cotangent, p.W_o.T), num_heads)
    d_weights = a.lowered(a.matmul(d_context, stages.split_value.swapaxes(-2, -1)))
    dropped = weights
    if kept is not None:
        d_weights, dropped = a.softened(d_weights * kept), a.softened(weights * kept)
    inner = a.softened(a.total(d_weights * weights, axis=-1))
    # Or rowsum(dO * O), the same number from the context (Dao et al. 2022), with the rounding of other terms.
    terms = d_context * stages.context
    inner = inner + (a.total(terms, axis=-1) - terms.sum(axis=-1, keepdims=True))
    d_scores = a.rounded(weights * a.softened(d_weights - inner) * factor)
    summed = np.abs(factor) * weights * (np.abs(d_weights) + np.abs(inner))
    d_scores = a.through_peaks(d_scores, weights, summed, d_context.shape[-1])
    if empty is not None:
        d_scores = np.where(empty, 0.0, d_scores)
    d_query = combine_heads(a.matmul(d_scores, stages.split_key))
    d_key = combine_heads(a.matmul(d_scores.swapaxes(-2, -1), stages.split_query))
    d_value = combine_heads(a.matmul(dropped.swapaxes(-2, -1), d_context))
    gradients = {
        "query": a.matmul(d_query, p.W_q.T),
        "key": a.matmul(d_key, p.W_k.T),
        "value": a.matmul(d_value, p.W_v.T),
        "W_o": _outer(stages.combined, cotangent, a),
        "b_o": _total(cotangent, a),
    }
    for role, x, d_x in (("q", query, d_query), ("k", key, d_key), ("v", value, d_value)):
        gradients[f"W_{role}"] = _outer(x, d_x, a)
        gradients[f"b_{role}"] = _total(d_x, a)
    have = {name for name, _ in p.items()} | {"query", "key", "value"}
    return {name: gradient for name, gradient in gradients.items() if name in have}


def _outer(x: Array, d_y: Array, arithmetic: Arithmetic) -> Array:
    """Return the gradient of W in y = x W: x^T dy, summed over batch and length as one long sum."""
    flat = [z.reshape(*z.shape[:-3], z.shape[-3] * z.shape[-2], z.shape[-1]) for z in (x, d_y)]
    return arithmetic.matmul(flat[0].swapaxes(-2, -1), flat[1])


def _total(d_y: Array, arithmetic: Arithmetic) -> Array:
    """Return the gradient of b in y = x W + b: dy summed over batch and length."""
    flat = d_y.reshape(*d_y.shape[:-3], d_y.shape[-3] * d_y.shape[-2], d_y.shape[-1])
    return arithmetic.total(flat, axis=-2)[..., 0, :]
