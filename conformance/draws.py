"""Draws of dropout: a call whose output shows, weight by weight, what was dropped in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Build, Call
from headcheck.reference.oracle import split_heads
from headcheck.reference.parameters import Parameters

from .attend import Attend
from .cases import most_precise
from .observation import NotMet, Observation

RATE = 0.25
BATCH, HEADS, LENGTH = 4, 2, 4
HIGH = 0.9  # another rate: one that is rounded, capped or left at some default is not this one
TOLERANCE = 0.01  # of a factor, relative: beyond the rounding of any dtype


def lawful_factors(rate: float) -> tuple[float, ...]:
    """Return what kept weights may be multiplied by: dropout in two or three places gives powers."""
    return tuple((1.0 - rate) ** -places for places in (1, 2, 3))


FACTORS = lawful_factors(RATE)


def probe(attend: Attend) -> Call:
    """Return a call in which output (b, i, head, j) is the weight that this head gives key j for query i.

    The scores are zero, so that every weight is 1 / LENGTH; value j is 1 in column j of each head, and W_v
    and W_o are the identity.
    """
    d = HEADS * LENGTH
    zero, eye = np.zeros((d, d)), np.eye(d)
    b = np.zeros(d) if attend.offers("bias") else None
    rows = np.tile(np.eye(LENGTH), (BATCH, 1, HEADS))
    build = Build(d, HEADS, bias=b is not None, dropout=RATE, dtype=most_precise(attend.declaration))
    return Call(build, rows, rows, rows, Parameters(zero, zero, eye, eye, b, b, b, b))


def steepened(attend: Attend) -> Call:
    """Return `probe`'s call in training, differentiated, its scores so that W_q and W_k have gradients."""
    call = probe(attend)
    assert call.parameters is not None
    rng, d = np.random.default_rng(13), call.build.d_model
    W_q, W_k = (rng.integers(-4, 5, (d, d)) / 4 for _ in "qk")
    parameters = replace(call.parameters, W_q=W_q, W_k=W_k)
    cotangent = rng.integers(-4, 5, call.query.shape) / 4
    return replace(call, parameters=parameters, cotangent=cotangent, training=True)


def training_paths(attend: Attend) -> list[str]:
    """Return the first path, and one on which no weights are returned: fused kernels drop by themselves."""
    first = attend.declaration.primary
    others = [
        variant.name
        for variant in attend.variants(probe(attend))
        if variant.training and not variant.eager and variant.weights != first.weights
    ]
    return ["", *others[:1]]


def factors(attend: Attend, draws: int, seed: int, path: str = "", rate: float = RATE) -> np.ndarray:
    """Return by what each weight is multiplied in training, (draws, B, h, n_q, n_k)."""
    call = probe(attend)
    call = replace(call, build=replace(call.build, dropout=rate))
    [plain] = attend(call)
    whole = slice(-1, None) if attend.declaration.always_causal else slice(None)  # queries that see all keys
    evaluated = split_heads(plain.output.values[:, whole], HEADS)
    if not (np.isfinite(evaluated) & (evaluated != 0.0)).all():
        raise NotMet("equal scores do not give equal weights in eval")
    seeds = range(seed * draws, (seed + 1) * draws)
    calls = [replace(call, training=True, seed=one, variant=path) for one in seeds]
    outputs = np.stack([seen.output.values[:, whole] for seen in attend.in_sequence(*calls)])
    return np.asarray(split_heads(outputs, HEADS) / evaluated)


def drawn(seen: Observation) -> np.ndarray:
    """Return by what each weight was multiplied in a call like `probe`'s, whatever its scores.

    Raises:
        NotMet: the output is not that of weights that are dropped or multiplied by one of `FACTORS`.
    """
    exact = seen.expected.exact.weights
    came = split_heads(seen.output.values, HEADS)
    ratio = np.divide(came, exact, out=np.zeros_like(exact), where=exact > 0.0)
    known = [0.0, *FACTORS]
    nearest = np.array(known)[np.abs(ratio[..., None] - known).argmin(axis=-1)]
    if np.abs(ratio - nearest).max() > 0.1:
        raise NotMet("the output does not show which weights were dropped")
    return np.asarray(nearest)
