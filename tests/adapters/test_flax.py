"""What is particular to the layers of flax: their own layout, initialisers and switches."""

from __future__ import annotations

import numpy as np
import pytest

jax = pytest.importorskip("jax")
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")

from headcheck.adapters.on_flax import LinenAdapter, NnxAdapter  # noqa: E402
from headcheck.adapters.on_flax_layout import matrices_of, tree_of  # noqa: E402

from .attention import call, expected, parameters, perform  # noqa: E402

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
