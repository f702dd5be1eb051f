"""JAX classes of many styles: found by their names, driven without an adapter of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from headcheck.adapters.on_jax import ClassAdapter  # noqa: E402
from headcheck.adapters.protocol import SubjectError  # noqa: E402

from .attention import call, expected, perform, run  # noqa: E402

MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]], dtype=bool)


def attend(q: Any, k: Any, v: Any, heads: int, blocked: Any = None) -> tuple[Any, Any]:
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for x in (q, k, v))
    scores = q @ k.swapaxes(-2, -1) / jnp.sqrt(q.shape[-1]).astype(q.dtype)
    if blocked is not None:
        scores = jnp.where(blocked, jnp.finfo(scores.dtype).min, scores)
    weights = jax.nn.softmax(scores)
    context = (weights @ v).swapaxes(1, 2)
    return context.reshape(*context.shape[:2], -1), weights


class Plain:
    """Bare matrices, drawn from a key."""

    def __init__(self, d_model: int, num_heads: int, key: Any = None) -> None:
        if d_model % num_heads:
            raise ValueError("d_model must be a multiple of num_heads")
        self.heads = num_heads
        keys = jax.random.split(jax.random.key(0) if key is None else key, 4)
        self.W_q, self.W_k, self.W_v, self.W_o = (jax.random.normal(k, (d_model, d_model)) for k in keys)

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        blocked = None if mask is None else mask == 0
        context, weights = attend(Q @ self.W_q, K @ self.W_k, V @ self.W_v, self.heads, blocked)
        return context @ self.W_o, weights


class Outward(Plain):
    """Stores (out, in)."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        blocked = None if mask is None else mask == 0
        context, weights = attend(Q @ self.W_q.T, K @ self.W_k.T, V @ self.W_v.T, self.heads, blocked)
        return context @ self.W_o.T, weights


class Blocks(Plain):
    """Its mask is True where attention is blocked."""

    headcheck: ClassVar[dict[str, str]] = {"mask_true": "block"}

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        blocked = None if mask is None else mask != 0
        context, weights = attend(Q @ self.W_q, K @ self.W_k, V @ self.W_v, self.heads, blocked)
        return context @ self.W_o, weights


class OutputAlone(Plain):
    """Is called, and returns the output alone."""

    def __call__(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        return Plain.forward(self, Q, K, V, mask)[0]

    forward = property()  # hides the method: hasattr says no


class Curious(Plain):
    """Looks at the values of its mask, which no tracer has."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        if mask is not None and mask.all():
            mask = None
        return super().forward(Q, K, V, mask)


class Forgetful(Plain):
    """Remembers the first query for ever."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        self.first = getattr(self, "first", Q)
        return super().forward(self.first, K, V, mask)


class Layer:
    """A dense layer as users write it."""

    def __init__(self, d: int) -> None:
        self.weight = jnp.zeros((d, d))
        self.bias = jnp.zeros(d)

    def __call__(self, x: Any) -> Any:
        return x @ self.weight.T + self.bias


class Layers:
    """Layers that store (out, in), under other names."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        self.heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (Layer(embed_dim) for _ in range(4))

    def __call__(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        blocked = None if mask is None else mask == 0
        context, weights = attend(
            self.q_proj(query), self.k_proj(key), self.v_proj(value), self.heads, blocked
        )
        return self.out_proj(context), weights


@dataclass(frozen=True)
class Frozen:
    """Refuses assignment."""

    d_model: int
    num_heads: int

    def __post_init__(self) -> None:
        for name in "qkvo":
            object.__setattr__(self, f"W_{name}", jnp.eye(self.d_model))
            object.__setattr__(self, f"b_{name}", jnp.zeros(self.d_model))

    forward = Plain.forward


class Split(Plain):
    """Shows its stages."""

    def split_heads(self, x: Any) -> Any:
        return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)

    def combine_heads(self, x: Any) -> Any:
        return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        q, k, v = (self.split_heads(x @ W) for x, W in ((Q, self.W_q), (K, self.W_k), (V, self.W_v)))
        weights = jax.nn.softmax(q @ k.swapaxes(-2, -1) / q.shape[-1] ** 0.5)
        return self.combine_heads(weights @ v) @ self.W_o, weights


class Dict(Plain):
    """Returns a dict."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        output, weights = super().forward(Q, K, V, mask)
        return {"said": str(output), "weights": weights}


class Packed:
    """One matrix for three projections, and one with an axis for the heads."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        self.heads = num_heads
        self.qkv = jnp.zeros((d_model, 3 * d_model))
        self.W_o = jnp.zeros((num_heads, d_model // num_heads, d_model))

    def forward(self, x: Any) -> Any:
        context, weights = attend(*jnp.split(x @ self.qkv, 3, axis=-1), self.heads)
        return jnp.einsum("bnhk,hkd->bnd", context.reshape(*x.shape[:2], self.heads, -1), self.W_o), weights


class Decoder(Plain):
    """Takes x alone, of which no position sees a later one."""

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        return super().forward(x, x, x, jnp.tril(jnp.ones((x.shape[1], x.shape[1]), dtype=bool)))


class Encoder(Plain):
    """Takes x alone, of which every position sees all."""

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        return super().forward(x, x, x)


class HeadByHead:
    """A list of heads, each a dict of its own matrices."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        d_k = d_model // num_heads
        self.heads = [{f"W_{r}": jnp.ones((d_model, d_k)) for r in "qkv"} for _ in range(num_heads)]
        self.W_o = jnp.ones((d_model, d_model))

    def __call__(self, Q: Any, K: Any, V: Any) -> Any:
        parts = [attend(Q @ head["W_q"], K @ head["W_k"], V @ head["W_v"], 1) for head in self.heads]
        return jnp.concatenate([context for context, _ in parts], -1) @ self.W_o, jnp.concatenate(
            [weights for _, weights in parts], axis=1
        )


class Four(NamedTuple):
    """All four matrices."""

    W_q: Any
    W_k: Any
    W_v: Any
    W_o: Any


class InNamedTuple(Plain):
    """Keeps its matrices in a tuple with names."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__(d_model, num_heads)
        self.params = Four(self.W_q, self.W_k, self.W_v, self.W_o)
        del self.W_q, self.W_k, self.W_v, self.W_o

    def forward(self, Q: Any, K: Any, V: Any) -> Any:
        W = self.params
        context, weights = attend(Q @ W.W_q, K @ W.W_k, V @ W.W_v, self.heads)
        return context @ W.W_o, weights


class TuplesOfHeads(Plain):
    """Keeps a tuple of one matrix a head for each of three projections."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__(d_model, num_heads)
        for name in ("W_q", "W_k", "W_v"):
            setattr(self, name, tuple(jnp.split(getattr(self, name), num_heads, axis=1)))

    def forward(self, Q: Any, K: Any, V: Any) -> Any:
        heads = zip(self.W_q, self.W_k, self.W_v, strict=True)
        each = [attend(Q @ W_q, K @ W_k, V @ W_v, 1) for W_q, W_k, W_v in heads]
        context, weights = (
            jnp.concatenate(parts, i) for parts, i in zip(zip(*each, strict=True), (-1, 1), strict=True)
        )
        return context @ self.W_o, weights


class Strict(Plain):
    """Carries a sum whose dtype must stay what it is, and is not written in float16."""

    def forward(self, Q: Any, K: Any, V: Any) -> Any:
        if self.W_q.dtype == jnp.float16:
            raise ValueError("no float16")
        context, weights = attend(Q @ self.W_q, K @ self.W_k, V @ self.W_v, self.heads)
        added, _ = jax.lax.scan(lambda sum, x: (sum + x, None), jnp.zeros_like(Q), (context @ self.W_o)[None])
        return added, weights


class OneExample(Plain):
    """Knows no batch, as equinox has it."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
        if Q.ndim != 2:
            raise ValueError("one example, please")
        output, weights = super().forward(Q[None], K[None], V[None], mask)
        return output[0], weights[0]


class Nameless(Plain):
    """Nothing to recognise."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        self.first = self.second = jnp.zeros((d_model, d_model))


class Uncopied(Plain):
    """Can be made, and not copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("one of a kind")


class Fussy(Plain):
    """Cannot be made."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        raise RuntimeError("not today")


def driven(implementation: Any) -> ClassAdapter:
    return ClassAdapter(implementation, f"tests:{implementation.__name__}")


@pytest.mark.parametrize("implementation", [Plain, Outward, Blocks, OutputAlone, Curious, Layers])
def test_styles(implementation: Any) -> None:
    adapter = driven(implementation)
    made = call(mask=MASK, bias="bias" in adapter.declare().capabilities)
    result = perform(adapter, made)
    output, weights = expected(made, MASK)
    np.testing.assert_allclose(result.output, output, atol=1e-13)
    assert (result.weights is None) == (implementation is OutputAlone)
    if result.weights is not None:
        np.testing.assert_allclose(result.weights, weights, atol=1e-13)


def test_frozen_objects_are_filled_in_a_copy() -> None:
    adapter = driven(Frozen)
    module = adapter.write(adapter.build(call().build), call().parameters)
    np.testing.assert_array_equal(adapter.read(module).b_v, call().parameters.b_v)
    assert "object.__setattr__(module, 'W_q', W_q)" in "\n".join(adapter.script(call()))


def test_a_class_without_biases_offers_none() -> None:
    assert "bias" not in driven(Plain).declare().capabilities
    assert "bias" in driven(Layers).declare().capabilities


def test_biases_that_the_parameters_lack_are_zeros() -> None:
    made = call(bias=False)
    np.testing.assert_allclose(perform(driven(Layers), made).output, expected(made)[0], atol=1e-13)


def test_what_cannot_be_traced_runs_eagerly() -> None:
    declaration = driven(Curious).declare()
    assert [variant.name for variant in declaration.variants] == ["eager"]
    assert "TracerBoolConversionError" in declaration.notes[0]
    assert not declaration.capabilities & {"gradients", "cost"}


def test_the_eager_path_calls_the_object_itself() -> None:
    adapter, made = driven(Forgetful), call(bias=False, variant="eager")
    other = replace(made, query=made.query + 1)
    module = adapter.write(adapter.build(made.build), made.parameters)
    first, second = adapter.call(module, made), adapter.call(module, other)
    np.testing.assert_array_equal(first.output, second.output)
    assert not np.allclose(perform(adapter, other).output, first.output)


def test_a_class_of_x_alone_is_asked_whether_it_looks_ahead() -> None:
    assert driven(Decoder).declare().always_causal
    assert not driven(Encoder).declare().always_causal


def test_stages_have_the_shapes_of_the_methods_that_make_them() -> None:
    result = perform(driven(Split), call(bias=False, stages=True))
    assert result.stages == {
        "projected": (2, 3, 4),
        "split": (2, 2, 3, 2),
        "combined": (2, 3, 4),
        "output": (2, 3, 4),
        "weights": (2, 2, 3, 5),
    }
    assert perform(driven(Split), call(bias=False)).stages == {}


def test_an_answer_that_is_none_is_put_in_words() -> None:
    result = perform(driven(Dict), call(bias=False))
    assert result.output is None
    assert result.returned == "a dict with the keys 'said', 'weights'"


@pytest.mark.parametrize("implementation", [Packed, HeadByHead, InNamedTuple, TuplesOfHeads, OneExample])
def test_weights_and_examples_in_other_shapes_give_the_formula(implementation: Any) -> None:
    adapter = ClassAdapter(implementation, f"{__name__}:{implementation.__name__}")
    alone = "cross" not in adapter.declare().capabilities
    made = call(bias=False, itself=alone, n_k=3 if alone else 5)
    result = perform(adapter, made)
    np.testing.assert_allclose(result.output, expected(made)[0], atol=1e-12)
    np.testing.assert_allclose(result.weights, expected(made)[1], atol=1e-12)
    namespace = run(adapter.script(made))
    np.testing.assert_allclose(namespace["output"], expected(made)[0], atol=1e-12)


def test_a_script_makes_tuples_anew() -> None:
    in_one = "\n".join(driven(InNamedTuple).script(call(bias=False)))
    assert "module.params = module.params._replace(W_k=W_k)" in in_one
    adapter = ClassAdapter(TuplesOfHeads, f"{__name__}:TuplesOfHeads")
    made = call(bias=False, num_heads=4)  # more than the trial has
    np.testing.assert_allclose(run(adapter.script(made))["output"], expected(made)[0], atol=1e-12)


def test_a_trial_has_its_weights_in_the_dtype_of_the_call() -> None:
    assert driven(Strict).declare().dtypes == ("float64", "float32", "bfloat16")


def test_what_was_found_is_declared() -> None:
    found = driven(Layers).declare().found
    assert found["W_q"] == "q_proj.weight (d in)"
    assert found["b_o"] == "out_proj.bias (out)"
    assert found["constructor d_model"] == "embed_dim"


@pytest.mark.parametrize(
    ("implementation", "message"),
    [
        (Nameless, "no attribute for W_q, W_k, W_v, W_o among: first, second"),
        (Fussy, "raised RuntimeError: not today"),
        (Uncopied, "weights cannot be put in: one of a kind"),
    ],
)
def test_what_cannot_be_driven_says_what_to_do(implementation: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message) as caught:
        driven(implementation).declare()
    assert "headcheck adapter new" in str(caught.value)


def test_a_constructor_that_refuses_does_so_when_the_module_is_built() -> None:
    with pytest.raises(ValueError, match="multiple"):
        driven(Plain).build(call(d_model=4, num_heads=3).build)


def test_random_state_of_the_module_is_passed_and_not_compiled_in() -> None:
    class Noisy(Plain):
        def __init__(self, d_model: int, num_heads: int, key: Any) -> None:
            super().__init__(d_model, num_heads, key)
            self.key = jax.random.fold_in(key, 1)

        def forward(self, Q: Any, K: Any, V: Any, mask: Any = None) -> Any:
            output, weights = super().forward(Q, K, V, mask)
            return output + jax.random.normal(self.key, ()), weights

    adapter = driven(Noisy)
    one, again, other = (perform(adapter, call(bias=False, seed=seed)).output for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
