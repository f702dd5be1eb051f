import math

import numpy as np
import pytest
from headcheck.adapters.counting_numpy import count, is_traceable

from .hand import by_hand

SIZES = (3, 5, 24, 4)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def naive(q, k, v):
    return softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v


def einsum(q, k, v):
    return np.einsum("...qk,...kd->...qd", softmax(np.einsum("bhqd,bhkd->bhqk", q, k)), v)


def optimised(q, k, v):
    weights = softmax(np.einsum("bhqd,bhkd->bhqk", q, k, optimize=True))
    return np.einsum("bhqk,bhkd->bhqd", weights, v, optimize="greedy")


def rows(q, k, v):
    output = np.zeros(q.shape)
    for b, h, i in np.ndindex(*q.shape[:3]):
        scores = np.array([np.dot(q[b, h, i], k[b, h, j]) for j in range(k.shape[2])])
        output[b, h, i] = softmax(scores) @ v[b, h]
    return output


def methods(q, k, v):
    output = np.empty(q.shape)
    for b, h in np.ndindex(*q.shape[:2]):
        output[b, h] = softmax(q[b, h].dot(k[b, h].T)).dot(v[b, h])
    return output


def projected(attend):
    def function(query, key, *W):
        h = SIZES[3]
        split = lambda x, w: (x @ w).reshape(*x.shape[:2], h, -1).swapaxes(1, 2)  # noqa: E731
        context = attend(split(query, W[0]), split(key, W[1]), split(key, W[2]))
        return np.swapaxes(context, 1, 2).reshape(query.shape) @ W[3]

    return function


def arrays(n_q, n_k, d, h):
    return np.ones((1, n_q, d)), np.ones((1, n_k, d)), *np.ones((4, d, d))


@pytest.mark.parametrize("attend", [naive, einsum, optimised, rows, methods])
def test_products_are_counted_as_by_hand(attend):
    counted = count(projected(attend), *arrays(*SIZES))
    assert counted.products == by_hand(*SIZES)
    assert counted.unknown == ()


def test_plain_inputs_do_not_blind_it_while_the_weights_trace():
    def function(query, key, *W):
        return projected(naive)(np.asarray(query), np.asarray(key), *W)

    assert count(function, *arrays(*SIZES)).products == by_hand(*SIZES)


def test_where_tracing_is_blind_numbers_count_to_the_last_addition():
    def function(*given):
        return projected(naive)(*map(np.asarray, given))

    n_q, n_k, d, h = SIZES
    seen = count(function, *arrays(*SIZES), by_number=True)
    additions_saved = n_q * n_k * h + 3 * n_q * d + 2 * n_k * d  # a sum of k terms is k - 1 additions
    work_on_scores = n_q * n_k * h * 5 - n_q * h  # scale, subtract, exp, sum, divide
    assert seen.products == 0
    assert seen.elementwise == by_hand(*SIZES) - additions_saved + work_on_scores


def test_numbers_count_into_scratch_arrays_and_are_told_the_limits_of_floats():
    def scratch(q, k):
        scores = np.empty((len(q), len(k)), q.dtype)
        np.matmul(q, k.T, out=scores)
        lowest = {np.finfo(asked).min for asked in (scores.dtype, scores.dtype.type, float, np.float64(1))}
        return np.maximum(scores, *lowest)

    q, k = np.ones((3, 4)), np.ones((5, 4))
    counted = count(scratch, q, k, by_number=True)
    assert counted.multiplications == 3 * 5 * 4
    assert not counted.unknown
    with pytest.raises(ValueError, match="not inexact"):
        np.finfo(object)


def test_tracing_is_believed_where_numbers_see_no_more_than_it_does():
    def beside_the_arrays(*given):
        output = projected(naive)(*given)
        return output + 0 * np.asarray(given[0]).sum() ** 2 * np.asarray(given[1])[0, 0, 0]

    assert is_traceable(projected(naive), *arrays(*SIZES))
    assert is_traceable(lambda *given: projected(naive)(*(x.astype(float) for x in given)), *arrays(*SIZES))
    assert not is_traceable(beside_the_arrays, *arrays(*SIZES))
    assert not is_traceable(lambda *given: projected(naive)(*map(np.asarray, given)), *arrays(*SIZES))


def test_a_plain_array_that_is_written_to_is_traced_from_there_on():
    def function(x, W):
        out = np.empty((3, 5))
        np.matmul(np.asarray(x), np.asarray(W), out=out)
        out += x[:, :1]
        return out @ np.ones((5, 2))

    assert count(function, np.ones((3, 4)), np.ones((4, 5))).products == 2 * 3 * 5 * 2


def test_subscripts_as_lists_are_read_as_letters():
    x = np.ones((2, 3, 4))
    assert count(lambda x: np.einsum(x, [0, 1, 2], x, [0, 3, 2], [0, 1, 3]), x).products == 2 * 2 * 3 * 3 * 4
    assert count(lambda x: np.einsum(x, [..., 1, 2], x, [..., 3, 2]), x).products == 2 * 2 * 3 * 3 * 4


def test_single_elements_in_a_loop():
    def dot(x, y):
        total = 0.0
        for i in range(len(x)):
            total = total + x[i] * y[i]
        return math.sqrt(total)

    assert count(dot, np.ones(7), np.ones(7), by_number=True).elementwise == 14


def test_code_that_makes_floats_of_everything_is_seen_by_nobody():
    def function(*given):
        return projected(naive)(*(np.array(x, float) for x in given))

    assert count(function, *arrays(*SIZES)).by_kind == {}
    assert count(function, *arrays(*SIZES), by_number=True).by_kind == {}


@pytest.mark.parametrize(
    ("function", "products", "elementwise"),
    [
        (lambda x: np.tensordot(x, x, ((0, 1), (0, 1))), 2 * 12, 0),
        (lambda x: np.inner(x, x), 2 * 3 * 3 * 4, 0),
        (lambda x: np.vdot(x, x), 2 * 12, 0),
        (lambda x: np.einsum("ij,ij->", x, x), 2 * 12, 0),
        (lambda x: np.einsum("ij,kj,kl->il", x, x, x), 3 * 3 * 4 * 3 * 4, 0),
        (lambda x: np.einsum("ij->", x), 0, 12),
        (lambda x: np.einsum("ij->ji", x), 0, 0),
        (lambda x: np.einsum("ij,k->ijk", x, x[0]), 0, 48),
        (lambda x: np.linalg.multi_dot([x, x.T, x]), 2 * 3 * 4 * 3 + 2 * 3 * 3 * 4, 0),
        (lambda x: np.outer(x, x), 0, 144),
        (lambda x: x.mean(), 0, 12),
        (lambda x: np.concatenate([x, x]) @ x.T, 2 * 6 * 4 * 3, 0),
        (lambda x: np.where(x > 0, x, 0.0) @ x.T, 2 * 3 * 4 * 3, 0),
    ],
)
def test_prices(function, products, elementwise):
    counted = count(function, np.ones((3, 4)))
    assert counted.products == products
    assert counted.elementwise == pytest.approx(elementwise, abs=1)  # a mean divides once


def test_what_has_no_price_is_named():
    assert count(np.linalg.inv, np.eye(3)).unknown == ("numpy.linalg.inv",)


def test_exceptions_are_the_functions_own_and_refusals_the_counters():
    with pytest.raises(ZeroDivisionError):
        count(lambda x: 1 // 0, np.ones(1))

    def picky(x):
        if type(x) is not np.ndarray:
            raise TypeError("plain arrays only")

    [reason] = count(picky, np.ones(1)).unknown
    assert "plain arrays only" in reason


def test_the_callers_arrays_are_not_written_to():
    x = np.ones(3)
    count(lambda y: np.add(y, 1, out=y), x)
    assert (x == 1).all()
