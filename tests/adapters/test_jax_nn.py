"""What is particular to jax.nn.dot_product_attention."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")

from headcheck.adapters.on_jax_builtin import DotProductAttentionAdapter

from .attention import call, expected, perform

MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]], dtype=bool)
adapter = DotProductAttentionAdapter()


def test_an_additive_mask_is_its_bias() -> None:
    made = call(mask=MASK, form="additive")
    np.testing.assert_allclose(perform(adapter, made).output, expected(made, MASK)[0], atol=1e-5)


@pytest.mark.parametrize("form", ["int", "float"])
def test_masks_of_numbers_are_refused_by_the_operation(form: str) -> None:
    assert form not in adapter.declare().conventions.mask_forms
    with pytest.raises(ValueError, match="mask dtype"):
        perform(adapter, call(mask=MASK, form=form))


@pytest.mark.parametrize("scale", [0.25, 0.0, -1.0])
def test_the_scale_is_the_callers(scale: float) -> None:
    made = call(scale=scale)
    assert made.parameters is not None
    turned = call()  # 1 / sqrt(d_k) is 1 / sqrt(2): the rest goes into the queries
    factor = scale * np.sqrt(2)
    p = made.parameters
    scaled = type(p)(p.W_q * factor, p.W_k, p.W_v, p.W_o, p.b_q * factor, p.b_k, p.b_v, p.b_o)
    turned = call(parameters=scaled)
    np.testing.assert_allclose(perform(adapter, made).output, expected(turned)[0], atol=1e-5)


def test_scales_share_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    forward = adapter.forward
    monkeypatch.setattr(adapter, "forward", lambda *given: traced.append(given) or forward(*given))
    for scale in (0.1, 0.2, 0.3):
        perform(adapter, call(n_q=6, scale=scale))
    assert len(traced) == 1


def test_its_initial_weights_are_not_its_own() -> None:
    assert "read" not in adapter.declare().capabilities
