from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from headcheck.adapters.protocol import Adapter, Call
from headcheck.adapters.subjects import adapt, load

from .attention import call, expected, perform

torch = pytest.importorskip("torch")

LAYER = "torch.nn:MultiheadAttention"
OPERATION = "torch.nn.functional:scaled_dot_product_attention"
ADAPTERS = {name: load(name) for name in (LAYER, OPERATION)}
VARIANTS = [(name, variant) for name, adapter in ADAPTERS.items() for variant in adapter.declare().variants]
RNG = np.random.default_rng(4)
PAIRS = RNG.random((3, 5)) < 0.6
HEADS = RNG.random((2, 2, 3, 5)) < 0.6
PADDING = RNG.random((2, 5)) < 0.6
for some in (PAIRS, HEADS, PADDING):
    some[..., 0] = True
CAUSAL = np.tri(3, 5, dtype=bool)


def itself(made: Call) -> Call:
    """Return the call with the first three keys and values replaced by the query."""
    mask = made.mask and replace(made.mask, allowed=made.mask.allowed[..., :3])
    padding = None if made.padding is None else made.padding[:, :3]
    return replace(made, key=made.query, value=made.query, mask=mask, padding=padding)


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=lambda value: getattr(value, "name", value))
def test_every_path_with_every_mask_gives_the_formula(name: str, variant: object) -> None:
    adapter = ADAPTERS[name]
    declaration = adapter.declare()
    can = declaration.capabilities
    masks = [None, PAIRS, HEADS]
    paddings = [None, PADDING] if "padding" in can else [None]
    for mask, padding, causal, form, bias in product(
        masks, paddings, (False, True), declaration.conventions.mask_forms, (True, False)
    ):
        made = call(mask=mask, form=form, padding=padding, causal=causal, bias=bias, variant=variant.name)  # type: ignore[attr-defined]
        made = itself(made) if variant.self_attention else made  # type: ignore[attr-defined]
        n_k = made.key.shape[1]
        allowed = np.ones((2, 2, 3, n_k), dtype=bool)
        allowed = allowed if mask is None else allowed & mask[..., :n_k]
        allowed = allowed if padding is None else allowed & padding[:, None, None, :n_k]
        allowed = allowed & CAUSAL[:, :n_k] if causal else allowed
        output, weights = expected(made, allowed)
        result = perform(adapter, made)
        np.testing.assert_allclose(result.output, output, atol=1e-12)
        assert (result.weights is not None) == variant.weights  # type: ignore[attr-defined]
        if result.weights is not None:
            np.testing.assert_allclose(result.weights, weights, atol=1e-12)
        assert result.written_to == ()


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_dtypes(name: str, dtype: str) -> None:
    result = perform(ADAPTERS[name], call(dtype=dtype, mask=PAIRS))
    assert result.dtype == dtype
    np.testing.assert_allclose(result.output, expected(call(), PAIRS)[0], atol=0.5 if "16" in dtype else 1e-4)


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=lambda value: getattr(value, "name", value))
def test_the_script_agrees(name: str, variant: object) -> None:
    made = call(mask=PAIRS, causal=True, variant=variant.name)  # type: ignore[attr-defined]
    made = itself(made) if variant.self_attention else made  # type: ignore[attr-defined]
    enabled = torch.backends.mha.get_fastpath_enabled()
    names: dict[str, np.ndarray] = {}
    try:
        exec("\n".join(ADAPTERS[name].script(made)), names)
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
    result = perform(ADAPTERS[name], made)
    np.testing.assert_allclose(names["output"], result.output, atol=1e-14)
    assert ("weights" in names and names["weights"] is not None) == (result.weights is not None)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_row_without_a_key_is_zeros_where_no_weights_are_wanted(name: str) -> None:
    mask = np.ones((3, 5), dtype=bool)
    mask[1] = False
    path = "fused" if name == LAYER else ""
    result = perform(ADAPTERS[name], call(mask=mask, variant=path, bias=False))
    assert not result.output[:, 1].any()
    np.testing.assert_allclose(result.output[:, ::2], expected(call(bias=False))[0][:, ::2], atol=1e-12)


def test_the_fast_path_is_taken_and_its_switch_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    native, taken = torch._native_multi_head_attention, []

    def watching(*args: object) -> object:
        taken.append(args)
        return native(*args)

    monkeypatch.setattr(torch, "_native_multi_head_attention", watching)
    switch = torch.backends.mha
    made = itself(call())
    for enabled in (True, False):
        switch.set_fastpath_enabled(enabled)
        try:
            for variant, times in (("fast path", 1), ("same object, no fast path", 0), ("fused", 0)):
                taken.clear()
                perform(ADAPTERS[LAYER], replace(made, variant=variant))
                assert len(taken) == times, variant
                assert switch.get_fastpath_enabled() == enabled
        finally:
            switch.set_fastpath_enabled(True)


def test_a_callers_scale() -> None:
    adapter = ADAPTERS[OPERATION]
    made = call()
    p = made.parameters
    assert p is not None
    assert p.b_q is not None
    for scale, factor in ((0.0, 0.0), (-(0.5**0.5), -1.0), (2 * 0.5**0.5, 2.0)):
        alike = replace(made, parameters=replace(p, W_q=factor * p.W_q, b_q=factor * p.b_q))
        result = perform(adapter, call(scale=scale))
        np.testing.assert_allclose(result.output, expected(alike)[0], atol=1e-12)


@pytest.mark.parametrize("name", ADAPTERS)
def test_dropout_is_seeded(name: str) -> None:
    drop = call(dropout=0.5, training=True, seed=3)
    first = perform(ADAPTERS[name], drop)
    np.testing.assert_array_equal(first.output, perform(ADAPTERS[name], drop).output)
    assert not np.array_equal(first.output, perform(ADAPTERS[name], replace(drop, seed=4)).output)
    np.testing.assert_allclose(
        perform(ADAPTERS[name], replace(drop, training=False)).output, expected(drop)[0]
    )


@pytest.mark.parametrize("name", ADAPTERS)
def test_gradients_know_the_formula(name: str) -> None:
    made = call(cotangent=np.random.default_rng(6).integers(-2, 3, (2, 3, 4)) * 1.0)
    assert made.parameters is not None
    gradients = perform(ADAPTERS[name], made).gradients
    assert gradients.keys() == {"query", "key", "value"} | dict(made.parameters.items()).keys()
    np.testing.assert_allclose(gradients["b_o"], made.cotangent.sum(axis=(0, 1)), atol=1e-12)  # type: ignore[union-attr]
    np.testing.assert_allclose(gradients["b_k"], 0.0, atol=1e-12)
    step = 1e-6 * gradients["W_v"]
    moved = replace(made, parameters=replace(made.parameters, W_v=made.parameters.W_v + step))
    rise = ((expected(moved)[0] - expected(made)[0]) * made.cotangent).sum()
    np.testing.assert_allclose(rise, (gradients["W_v"] * step).sum(), rtol=1e-5)


def test_what_the_layer_refuses_is_let_through() -> None:
    with pytest.raises(AssertionError, match="divisible"):
        ADAPTERS[LAYER].build(call(d_model=5).build)
    with pytest.raises(RuntimeError, match="shape of the 3D attn_mask"):
        perform(ADAPTERS[LAYER], call(mask=np.ones((2, 2, 4, 5), dtype=bool)))


def test_a_class_derived_from_the_layer_is_driven_like_it() -> None:
    class Derived(torch.nn.MultiheadAttention):  # type: ignore[misc, name-defined]
        def __init__(self, width: int, heads: int) -> None:
            super().__init__(width, heads, batch_first=True)

    adapter: Adapter = adapt(Derived)
    assert len(adapter.declare().variants) == len(ADAPTERS[LAYER].declare().variants)
    np.testing.assert_allclose(
        perform(adapter, call(mask=PAIRS)).output, expected(call(), PAIRS)[0], atol=1e-12
    )
