"""What is particular to the layers of flax: their own layout, initialisers and switches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")

import jax.numpy as jnp  # noqa: E402
from headcheck import check  # noqa: E402
from headcheck.adapters.on_flax import LinenAdapter, NnxAdapter  # noqa: E402
from headcheck.adapters.on_flax_layout import matrices_of, tree_of  # noqa: E402
from headcheck.adapters.subjects import adapt  # noqa: E402

from .attention import call, expected, parameters, perform, run  # noqa: E402

MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]], dtype=bool)
linen, nnx_adapter = LinenAdapter(), NnxAdapter()


def test_the_layout_is_that_of_flax() -> None:
    build = call().build
    shapes = jax.tree.map(
        np.shape,
        nn.MultiHeadDotProductAttention(num_heads=2).init(jax.random.key(0), np.ones((1, 1, 4)))["params"],
    )
    tree = tree_of(dict(parameters(4).items()), build)
    assert jax.tree.map(np.shape, tree) == shapes
    back = matrices_of(tree, build)
    for name, array in parameters(4).items():
        np.testing.assert_array_equal(back[name], array)


def test_linen_starts_from_its_own_initialiser() -> None:
    build = call(dtype="float32", seed=3).build
    layer = nn.MultiHeadDotProductAttention(num_heads=2)
    own = layer.init(jax.random.key(3), np.ones((1, 1, 4), np.float32))["params"]
    np.testing.assert_allclose(
        linen.read(linen.build(build)).W_q, own["query"]["kernel"].reshape(4, 4), rtol=1e-6
    )


def test_nnx_starts_from_its_own_initialiser() -> None:
    build = call(dtype="float32", seed=3).build
    layer = nnx.MultiHeadAttention(num_heads=2, in_features=4, decode=False, rngs=nnx.Rngs(3))
    own = layer.query.kernel[...].reshape(4, 4)
    np.testing.assert_allclose(nnx_adapter.read(nnx_adapter.build(build)).W_q, own, rtol=1e-6)


def test_nothing_is_initialised_where_weights_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in (linen, nnx_adapter):
        monkeypatch.setattr(adapter, "_initialise", lambda *_: pytest.fail("initialised"))
        perform(adapter, call())


@pytest.mark.parametrize("form", ["int", "float"])
def test_masks_of_numbers_are_taken(form: str) -> None:
    for adapter in (linen, nnx_adapter):
        made = call(mask=MASK, form=form)
        assert form in adapter.declare().conventions.mask_forms
        np.testing.assert_allclose(perform(adapter, made).output, expected(made, MASK)[0], atol=1e-13)


def test_causal_and_mask_intersect() -> None:
    made = call(mask=MASK, causal=True)
    allowed = MASK & np.tri(3, 5, dtype=bool)
    allowed[1] = [False, True, False, False, False]
    np.testing.assert_allclose(perform(nnx_adapter, made).output, expected(made, allowed)[0], atol=1e-13)


def test_the_plain_path_of_nnx_has_a_softmax_in_float32() -> None:
    exact = expected(call())[0]
    error = {
        path: np.abs(perform(nnx_adapter, call(variant=path)).output - exact).max()
        for path in ("weights", "plain")
    }
    assert error["weights"] < 1e-14 < 1e-9 < error["plain"]
    assert nnx_adapter.declare().conventions.softmax_dtype == "float32"


def test_linen_computes_in_the_precision_of_its_inputs() -> None:
    assert linen.declare().conventions.softmax_dtype == ""
    for path in ("weights", "plain"):
        assert np.abs(perform(linen, call(variant=path)).output - expected(call())[0]).max() < 1e-13


class Compact(nn.Module):  # type: ignore[misc]
    """A linen module of somebody's own, its layers made where they are used."""

    num_heads: int
    features: int

    @nn.compact
    def __call__(self, inputs_q: Any, inputs_k: Any, inputs_v: Any, mask: Any = None) -> Any:
        apart = (self.num_heads, self.features // self.num_heads)
        q, k, v = (
            nn.DenseGeneral(apart, name=name)(x)
            for name, x in (("query", inputs_q), ("key", inputs_k), ("value", inputs_v))
        )
        weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5)
        context = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
        return nn.DenseGeneral(self.features, axis=(-2, -1), name="out")(context), weights


class Own(nnx.Module):  # type: ignore[misc]
    """An nnx module of somebody's own."""

    def __init__(self, d_model: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.qkv = nnx.Linear(d_model, 3 * d_model, rngs=rngs)
        self.proj = nnx.Param(jnp.zeros((d_model, d_model)))

    def __call__(self, x: Any) -> Any:
        q, k, v = (y.reshape(*x.shape[:2], self.num_heads, -1) for y in jnp.split(self.qkv(x), 3, axis=-1))
        weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape) @ self.proj[...], weights


class Stateful(nnx.Module):  # type: ignore[misc]
    """An nnx module that drops by a stream of its own, switched by train() and eval(), and counts calls."""

    def __init__(self, d_model: int, num_heads: int, dropout: float = 0.1, *, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            nnx.Linear(d_model, d_model, rngs=rngs) for _ in range(4)
        )
        self.drop = nnx.Dropout(dropout, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, query: Any, key: Any, value: Any) -> Any:
        self.calls[...] = self.calls[...] + 1
        q, k, v = (
            project(x).reshape(*x.shape[:2], self.num_heads, -1)
            for project, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        weights = self.drop(jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5))
        return self.out_proj(jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(query.shape)), weights


@pytest.mark.parametrize("id", ["PROJ-ORACLE", "SHAPE-PIPELINE", "DROPOUT-EVAL", "DROPOUT-UNBIASED"])
def test_a_module_with_a_state_of_its_own_is_left_in_peace(id: str) -> None:
    run = check(Stateful, profile="smoke", only=[id], raises=False)
    assert run.verdicts[-1].status == "pass", run.verdicts[-1].message


@pytest.mark.parametrize(("implementation", "bias"), [(Compact, True), (Own, False)])
def test_modules_of_somebodys_own_are_driven(implementation: Any, bias: bool) -> None:
    adapter = adapt(implementation, f"{__name__}:{implementation.__name__}")
    alone = "cross" not in adapter.declare().capabilities
    made = call(bias=bias, itself=alone, n_k=3 if alone else 5)
    namespace = run(adapter.script(made))
    result = perform(adapter, made)
    for output, weights in ((result.output, result.weights), (namespace["output"], namespace["weights"])):
        np.testing.assert_allclose(output, expected(made)[0], atol=1e-12)
        np.testing.assert_allclose(weights, expected(made)[1], atol=1e-12)
