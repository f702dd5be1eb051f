from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from headcheck.adapters.protocol import Adapter, Build, SubjectError
from headcheck.adapters.subjects import adapt, load

from .attention import attention, call, expected, parameters, perform


class Twin:
    """The documented twin, in a few lines: a mask, biases, ``__call__``."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        self.num_heads = num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = np.random.randn(4, d_model, d_model)
        self.b_q, self.b_k, self.b_v, self.b_o = np.zeros((4, d_model))

    def __call__(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        q, k, v = (
            self.split(x @ W + b)
            for x, W, b in ((Q, self.W_q, self.b_q), (K, self.W_k, self.b_k), (V, self.W_v, self.b_v))
        )
        scores = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1]).astype(Q.dtype)
        if mask is not None:
            scores = np.where(mask == 0, np.finfo(Q.dtype).min, scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        combined = (weights @ v).swapaxes(1, 2).reshape(Q.shape)
        return combined @ self.W_o + self.b_o, weights

    def split(self, x: Any) -> Any:
        return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)


class Layer:
    """A layer of one's own, with its weight in (out, in)."""

    def __init__(self, d_model: int) -> None:
        self.weight, self.bias = np.random.randn(d_model, d_model), np.zeros(d_model)

    def __call__(self, x: Any) -> Any:
        return x @ self.weight.T + self.bias


class Layered(Twin):
    """Projections as layers, weights in (out, in) as it says itself, output alone."""

    headcheck = {"stored": "out in", "mask_true": "block"}  # noqa: RUF012

    def __init__(self, d_model: int, num_heads: int) -> None:
        self.num_heads = num_heads
        self.query, self.key, self.value, self.out = (Layer(d_model) for _ in range(4))

    def forward(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        q, k, v = self.split(self.query(query)), self.split(self.key(key)), self.split(self.value(value))
        scores = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1])
        if mask is not None:
            scores = np.where(mask, -1e30, scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.out((weights @ v).swapaxes(1, 2).reshape(query.shape))


class PackedPerHead(Twin):
    """One array for query, key and value, cut head by head; self-attention."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        self.num_heads = num_heads
        self.W_qkv, self.W_o = np.random.randn(d_model, 3 * d_model), np.random.randn(d_model, d_model)

    def forward(self, x: Any) -> Any:
        q, k, v = np.split(self.split(x @ self.W_qkv), 3, axis=-1)
        scores = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).swapaxes(1, 2).reshape(x.shape) @ self.W_o, weights


@pytest.fixture(params=["numpy", Twin, Layered, PackedPerHead], ids=lambda one: getattr(one, "__name__", one))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return load("numpy") if request.param == "numpy" else adapt(request.param)


def test_the_formula_on_every_path(adapter: Adapter) -> None:
    declaration = adapter.declare()
    can = declaration.capabilities
    for variant in declaration.variants:
        itself = variant.self_attention or "cross" not in can
        made = call(n_k=3 if itself else 5, bias="bias" in can, variant=variant.name, itself=itself)
        result = perform(adapter, made)
        output, weights = expected(made)
        np.testing.assert_allclose(result.output, output, atol=1e-12)
        assert (result.weights is not None) == variant.weights
        if result.weights is not None:
            np.testing.assert_allclose(result.weights, weights, atol=1e-12)
        names: dict[str, Any] = {}
        script = "\n".join(adapter.script(made))
        exec(script, names)
        np.testing.assert_array_equal(names["output"], result.output)


def test_masks_and_their_meaning(adapter: Adapter) -> None:
    declaration = adapter.declare()
    if "mask" not in declaration.capabilities:
        return
    allowed = np.random.default_rng(3).random((2, 1, 3, 5)) < 0.6
    allowed[..., 0] = True
    for form in declaration.conventions.mask_forms:
        made = call(mask=allowed, form=form)
        np.testing.assert_allclose(perform(adapter, made).output, expected(made, allowed)[0], atol=1e-12)


def test_weights_are_read_back(adapter: Adapter) -> None:
    build = Build(6, 3, bias="bias" in adapter.declare().capabilities, dtype="float64")
    put = parameters(6, bias=build.bias)
    back = adapter.read(adapter.write(adapter.build(build), put))
    for name, array in put.items():
        np.testing.assert_array_equal(getattr(back, name), array)


def test_what_was_found() -> None:
    assert adapt(PackedPerHead).declare().found["W_qkv"] == "W_qkv (in h r k)"
    assert adapt(Layered).declare().found["W_q"] == "query (d in)"
    assert adapt(Twin).declare().found["stage split"] == "split"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_dtypes(dtype: str) -> None:
    for one in (load("numpy"), adapt(Twin)):
        result = perform(one, call(dtype=dtype))
        assert result.dtype == dtype
        np.testing.assert_allclose(
            result.output, expected(call())[0], atol=0.2 if dtype == "float16" else 1e-4
        )
        assert perform(one, call(dtype=dtype, parameters=None)).dtype == dtype


def test_which_memory_the_inputs_have() -> None:
    seen: list[np.ndarray] = []

    class Watching(Twin):
        def __call__(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
            seen.append(Q)
            return super().__call__(Q, K, V, mask)

    watching = adapt(Watching)
    watching.declare()
    alike = replace(call(), query=np.repeat(call().query[:1], 2, axis=0))
    for memory in ("contiguous", "transposed", "expanded", "sliced"):
        made = replace(alike, memory=memory)
        np.testing.assert_allclose(perform(watching, made).output, expected(alike)[0], atol=1e-12)
        assert seen[-1].flags.c_contiguous == (memory == "contiguous")
        assert (seen[-1].strides[0] == 0) == (memory == "expanded")


def test_writing_to_the_inputs_is_seen() -> None:
    class Writing(Twin):
        def __call__(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
            V *= -1
            return super().__call__(Q, K, V, mask)

    made = call()
    before = made.value.copy()
    assert perform(adapt(Writing), made).written_to == ("value",)
    np.testing.assert_array_equal(made.value, before)


def test_random_numbers_are_seeded_and_the_callers_left_alone() -> None:
    twin = adapt(Twin)
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    one, again, other = (twin.read(twin.build(Build(4, 2, seed=seed))).W_q for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_stages() -> None:
    assert perform(adapt(Twin), call(stages=True)).stages == {
        "projected": (2, 3, 4),
        "split": (2, 2, 3, 2),
        "weights": (2, 2, 3, 5),
        "output": (2, 3, 4),
    }


def test_counting() -> None:
    twin = adapt(Twin)
    made = call(4, 4, d_model=8)
    counted = twin.count(twin.build(made.build), made)
    assert counted["matmul"] == 2 * (4 * 2 * 4 * 8 * 8 + 2 * 2 * 4 * 4 * 8)


def test_a_class_without_weights() -> None:
    class Bare:
        def __init__(self, d_model: int, num_heads: int) -> None:
            self.alpha = np.zeros((d_model, d_model))

        def forward(self, Q: Any, K: Any, V: Any) -> Any:
            return Q

    with pytest.raises(SubjectError, match="no attribute for W_q, W_k, W_v, W_o among: alpha"):
        adapt(Bare).declare()


def test_the_expected_values_are_a_closed_form() -> None:
    """Two keys with a score gap of sqrt(d_k) ln 3 share the weight as 1 to 3."""
    eye = np.eye(2)
    key = np.array([[[0.0, 0.0], [np.sqrt(2) * np.log(3), 0.0]]])
    p = replace(parameters(2, bias=False), W_q=eye, W_k=eye, W_v=eye, W_o=eye)
    _, weights = attention(p, 1, np.array([[[1.0, 0.0]]]), key, key)
    np.testing.assert_allclose(weights, [[[[0.25, 0.75]]]])
