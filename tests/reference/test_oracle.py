"""The oracle is judged by closed forms, by mpmath and by finite differences, never by itself."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import mpmath
import numpy as np
import pytest
from headcheck.reference.oracle import attend, combine_heads, softmax, split_heads, vjp
from headcheck.reference.parameters import Parameters


def parameters(d: int, seed: int = 0, *, bias: bool = True) -> Parameters:
    rng = np.random.default_rng(seed)
    matrices = [rng.standard_normal((d, d)) for _ in range(4)]
    return Parameters(*matrices, *([rng.standard_normal(d) for _ in range(4)] if bias else []))


def inputs(batch: int, n_q: int, n_k: int, d: int, seed: int = 1) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((batch, n, d)) for n in (n_q, n_k, n_k))


@pytest.mark.parametrize("d_k", [1, 2, 3, 64])
def test_a_score_gap_of_sqrt_dk_ln_3_gives_a_quarter_and_three_quarters(d_k: int) -> None:
    eye = np.eye(d_k)
    query, key = np.zeros((1, 1, d_k)), np.zeros((1, 2, d_k))
    query[..., 0], key[0, 1, 0] = 1.0, sqrt(d_k) * log(3.0)
    value = np.zeros((1, 2, d_k))
    value[0, 1] = 4.0
    stages = attend(Parameters(eye, eye, eye, eye), 1, query, key, value)
    np.testing.assert_allclose(stages.weights[0, 0, 0], [0.25, 0.75], rtol=1e-15)
    np.testing.assert_allclose(stages.output, 3.0, rtol=1e-15)


def test_equal_scores_average_the_values() -> None:
    eye = np.eye(4)
    query, key, value = np.zeros((1, 2, 4)), np.ones((1, 5, 4)), inputs(1, 2, 5, 4)[2]
    stages = attend(Parameters(eye, eye, eye, eye), 2, query, key, value)
    np.testing.assert_allclose(stages.output, np.repeat(value.mean(1, keepdims=True), 2, 1), rtol=1e-14)


def test_every_stage_agrees_with_mpmath_element_by_element() -> None:
    d, h, n_q, n_k = 4, 2, 2, 3
    p = parameters(d)
    query, key, value = inputs(1, n_q, n_k, d)
    stages = attend(p, h, query, key, value)
    d_k = d // h
    with mpmath.workdps(50):
        rows = {
            role: mpmath.matrix(x[0].tolist()) * mpmath.matrix(getattr(p, f"W_{role}").tolist())
            for role, x in (("q", query), ("k", key), ("v", value))
        }
        for role, matrix in rows.items():
            bias = getattr(p, f"b_{role}")
            for i in range(matrix.rows):
                for j in range(d):
                    matrix[i, j] += mpmath.mpf(float(bias[j]))
        context = mpmath.matrix(n_q, d)
        for head in range(h):
            columns = range(head * d_k, (head + 1) * d_k)
            for i in range(n_q):
                scores = [
                    sum(rows["q"][i, c] * rows["k"][j, c] for c in columns) / mpmath.sqrt(d_k)
                    for j in range(n_k)
                ]
                powers = [mpmath.exp(score) for score in scores]
                weights = [power / sum(powers) for power in powers]
                for j in range(n_k):
                    assert abs(weights[j] - float(stages.weights[0, head, i, j])) < 1e-14
                for c in columns:
                    context[i, c] = sum(weights[j] * rows["v"][j, c] for j in range(n_k))
        output = context * mpmath.matrix(p.W_o.tolist())
        for i in range(n_q):
            for c in range(d):
                exact = output[i, c] + mpmath.mpf(float(p.b_o[c]))
                assert abs(exact - float(stages.output[0, i, c])) < 1e-13


def test_heads_are_contiguous_blocks_of_columns() -> None:
    x = np.arange(2 * 3 * 6, dtype=float).reshape(2, 3, 6)
    split = split_heads(x, 3)
    assert split.shape == (2, 3, 3, 2)
    np.testing.assert_array_equal(split[1, 2], x[1, :, 4:6])
    np.testing.assert_array_equal(combine_heads(split), x)


@pytest.mark.parametrize(("empty_row", "answer"), [("zeros", 0.0), ("uniform", 0.25)])
def test_a_row_with_no_key_answers_as_declared(empty_row: str, answer: float) -> None:
    allowed = np.array([[False] * 4, [True, False, True, False]])
    weights = softmax(np.array([[1.0, 2.0, 3.0, 4.0]] * 2), allowed, empty_row)  # type: ignore[arg-type]
    np.testing.assert_array_equal(weights[0], [answer] * 4)
    np.testing.assert_allclose(weights[1], [1 / (1 + np.e**2), 0, np.e**2 / (1 + np.e**2), 0], rtol=1e-14)


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_large_scores_neither_overflow_nor_lose_the_row(shift: float) -> None:
    np.testing.assert_allclose(
        softmax(np.array([0.0, log(3.0)]) + shift, None, "zeros"), [0.25, 0.75], rtol=1e-11
    )


def test_empty_axes_give_empty_results() -> None:
    p = parameters(4)
    for batch, n_q in ((0, 3), (2, 0)):
        assert attend(p, 2, *inputs(batch, n_q, 5, 4)).output.shape == (batch, n_q, 4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("blocked", [True, False])
def test_the_vjp_agrees_with_central_differences(bias: bool, blocked: bool) -> None:
    d, h = 4, 2
    p = parameters(d, bias=bias)
    query, key, value = inputs(2, 3, 5, d)
    rng = np.random.default_rng(5)
    cotangent = rng.standard_normal(query.shape)
    allowed = rng.random((2, h, 3, 5)) < 0.6 if blocked else None
    if allowed is not None:
        allowed[..., 0] = True
        allowed[0, 0, 0] = False  # an empty row, uniform
    arguments = {"query": query, "key": key, "value": value, **dict(p.items())}

    def loss(**changed: np.ndarray) -> float:
        now = {**arguments, **changed}
        moved = replace(p, **{name: array for name, array in now.items() if name[1] == "_"})
        out = attend(
            moved, h, now["query"], now["key"], now["value"], allowed=allowed, empty_row="uniform"
        ).output
        return float((out * cotangent).sum())

    stages = attend(p, h, query, key, value, allowed=allowed, empty_row="uniform")
    empty = None if allowed is None else ~allowed.any(-1, keepdims=True)
    gradients = vjp(p, h, query, key, value, stages, cotangent, empty=empty)
    assert set(gradients) == set(arguments)
    for name, array in arguments.items():
        for index in ((0,) * array.ndim, (-1,) * array.ndim):
            step = np.zeros_like(array)
            step[index] = 1e-6
            slope = (loss(**{name: array + step}) - loss(**{name: array - step})) / 2e-6
            assert slope == pytest.approx(gradients[name][index], rel=1e-6, abs=1e-7), name
