"""The bound is wide enough for what rounds rightly and too narrow for what does not."""

from __future__ import annotations

import numpy as np
import pytest
from headcheck.reference.bound import Noise, bounds, floors
from headcheck.reference.dtypes import FORMATS, quantise
from headcheck.reference.oracle import attend
from headcheck.reference.parameters import Parameters


def situation(dtype: str, seed: int, d: int = 12, n: int = 6):
    rng = np.random.default_rng(seed)
    p = Parameters(*(quantise(rng.standard_normal((d, d)) / np.sqrt(d), dtype) for _ in range(4)))
    return p, tuple(quantise(rng.standard_normal((2, n, d)), dtype) for _ in range(3))


def lawful(dtype: str, p: Parameters, x):
    exact = attend(p, 4, *x)
    return exact, bounds(exact, attend(p, 4, *x, arithmetic=Noise(FORMATS[dtype])), None, p.W_o, dtype)


def in_float32(p: Parameters, x, *, scale: float | None = None, drop: int = 0):
    q, k, v = (
        a.astype(np.float32) @ W.astype(np.float32) for a, W in zip(x, (p.W_q, p.W_k, p.W_v), strict=True)
    )
    q, k, v = (a.reshape(2, -1, 4, 3).swapaxes(1, 2) for a in (q, k, v))
    k, v = k[:, :, drop:], v[:, :, drop:]
    s = q @ k.swapaxes(-1, -2) * np.float32(3**-0.5 if scale is None else scale)
    e = np.exp(s - s.max(-1, keepdims=True))
    c = (e / e.sum(-1, keepdims=True)) @ v
    return c.swapaxes(1, 2).reshape(2, -1, 12) @ p.W_o.astype(np.float32)


@pytest.mark.parametrize("seed", range(50))
def test_float32_done_rightly_stays_within(seed: int) -> None:
    p, x = situation("float32", seed)
    exact, bound = lawful("float32", p, x)
    assert np.max(np.abs(in_float32(p, x) - exact.output) / bound.output) < 0.7


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "wrong", [{"scale": 4**-0.5}, {"drop": 1}], ids=["scale 1/sqrt(d_k + 1)", "a key dropped"]
)
def test_a_small_fault_in_float32_lies_outside(seed: int, wrong: dict) -> None:
    p, x = situation("float32", seed)
    exact, bound = lawful("float32", p, x)
    assert np.max(np.abs(in_float32(p, x, **wrong) - exact.output) / bound.output) > 1.0


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_floor_lies_below_the_bound(dtype: str) -> None:
    below = []
    for seed in range(20):
        p, x = situation(dtype, seed)
        exact, bound = lawful(dtype, p, x)
        floor = floors(exact, 3**-0.5, p.W_o, dtype)
        below += [np.mean(floor.output <= bound.output), np.mean(floor.weights <= bound.weights)]
    assert np.mean(below) > 0.999


def test_a_row_that_the_dtype_cannot_resolve_may_lie_anywhere_in_the_hull() -> None:
    p, (q, k, v) = situation("float16", 0)
    exact, bound = lawful("float16", p, (quantise(q * 40, "float16"), quantise(k * 40, "float16"), v))
    assert np.all(bound.weights[np.abs(exact.scores).max(-1) > 1000] >= 1.0)


@pytest.mark.parametrize(
    ("value", "expected"), [(1 + 2**-9, 1.0), (1 + 3 * 2**-9, 1 + 2**-7 - 2**-7 + 2**-7), (3.0, 3.0)]
)
def test_bfloat16_rounds_to_nearest_even(value: float, expected: float) -> None:
    assert quantise(np.array([value]), "bfloat16")[0] == expected
