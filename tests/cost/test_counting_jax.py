from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from headcheck.adapters.counting_jax import apart, count  # noqa: E402

from .hand import by_hand  # noqa: E402

SIZES = (3, 5, 24, 4)


def naive(q, k, v):
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k))
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


def scanned(q, k, v):
    def row(carry, query):
        return carry, naive(query[:, None], k, v)[:, 0]

    return jnp.moveaxis(jax.lax.scan(row, 0, jnp.moveaxis(q, 1, 0))[1], 0, 1)


def counted_loop(q, k, v):
    def turn(i, output):
        row = jax.lax.dynamic_slice_in_dim(q, i, 1, 1)
        return jax.lax.dynamic_update_slice_in_dim(output, naive(row, k, v), i, 1)

    return jax.lax.fori_loop(0, q.shape[1], turn, jnp.zeros_like(q))


@jax.custom_vjp
def custom(q, k, v):
    return naive(q, k, v)


custom.defvjp(lambda q, k, v: (naive(q, k, v), (q, k, v)), lambda saved, g: jax.vjp(naive, *saved)[1](g))


def projected(attend, h, W, query, key):
    split = lambda x, w: (x @ w).reshape(*x.shape[:2], h, -1)  # noqa: E731
    context = attend(split(query, W[0]), split(key, W[1]), split(key, W[2]))
    return context.reshape(query.shape) @ W[3]


def arguments(n_q, n_k, d):
    shape = partial(jax.ShapeDtypeStruct, dtype=np.float32)
    return [shape((d, d))] * 4, shape((1, n_q, d)), shape((1, n_k, d))


@pytest.mark.parametrize(
    "attend",
    [
        naive,
        scanned,
        counted_loop,
        custom,
        jax.checkpoint(naive),
        jax.jit(naive),
        jax.nn.dot_product_attention,
        jax.jit(jax.nn.dot_product_attention),
    ],
    ids=["naive", "scan", "fori", "custom_vjp", "remat", "jit", "library", "library jitted"],
)
@pytest.mark.parametrize("jitted", [False, True])
def test_products_are_counted_as_by_hand(attend, jitted):
    n_q, n_k, d, h = SIZES
    function = partial(projected, attend, h)
    counted = count(jax.jit(function) if jitted else function, *arguments(n_q, n_k, d))
    assert counted.products == by_hand(*SIZES)
    assert counted.unknown == counted.at_most == ()


def test_a_batch_under_vmap_is_counted_whole():
    x = jax.ShapeDtypeStruct((6, 3, 8), np.float32)
    assert count(jax.vmap(lambda a: a @ a.T), x).products == 6 * 2 * 3 * 3 * 8


def test_a_loop_that_only_the_data_ends_is_unknown():
    def function(q, k, v):
        return jax.lax.while_loop(lambda x: x.sum() < 1, lambda x: naive(x, k, v), q)

    x = jax.ShapeDtypeStruct((1, 3, 2, 4), np.float32)
    [reason] = count(function, x, x, x).unknown
    assert "while loop" in reason


def test_of_a_conditional_the_dearest_branch_is_counted_and_called_a_bound():
    def function(q, k, v):
        return jax.lax.cond(q.sum() > 0, naive, lambda q, k, v: v, q, k, v)

    x = jax.ShapeDtypeStruct((1, 3, 2, 4), np.float32)
    counted = count(function, x, x, x)
    assert counted.products == count(naive, x, x, x).products
    assert counted.at_most == (f"a conditional between 0 and {counted.products} operations",)
    alike = count(lambda q, k, v: jax.lax.cond(q.sum() > 0, naive, scanned, q, k, v), x, x, x)
    assert (alike.products, alike.at_most) == (counted.products, ())


def test_an_unknown_primitive_is_named():
    x = jax.ShapeDtypeStruct((3, 3), np.float32)
    assert "jax primitive lu" in count(jnp.linalg.inv, x).unknown


def test_an_outer_product_is_a_multiplication_an_element():
    x = jax.ShapeDtypeStruct((5,), np.float32)
    counted = count(lambda x: jnp.einsum("i,j->ij", x, x), x)
    assert (counted.products, counted.elementwise) == (0, 25)


def test_gradients_are_counted_apart():
    n, _, d, h = SIZES
    W, x, _ = arguments(n, n, d)

    def forward(W, x):
        return projected(naive, h, W, x, x)

    def whole(W, x):
        output, pull_back = jax.vjp(forward, W, x)
        return pull_back(jnp.ones_like(output))

    counted = apart(count(forward, W, x), count(whole, W, x))
    assert counted.products == by_hand(n, n, d, h)
    assert counted.backward["matmul"] == 2 * by_hand(n, n, d, h)
