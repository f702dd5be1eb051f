"""Classes on torch that answer, are built or are stored in another way, and those that cannot be driven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from headcheck.adapters.protocol import Build, SubjectError
from headcheck.adapters.subjects import adapt, load

from .attention import call, expected, parameters, perform

torch = pytest.importorskip("torch")
from headcheck.adapters.on_torch_call import Mode  # noqa: E402
from torch import nn  # noqa: E402

from . import strange_torch  # noqa: E402


class Base(nn.Module):  # type: ignore[misc]
    """A module of the tutorial's shape that returns something else, given by ``answer``."""

    answer: Callable[[torch.Tensor], object]

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
        return type(self).answer(Q)


def leave(Q: torch.Tensor) -> None:
    raise SystemExit(1)


def interrupt(Q: torch.Tensor) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda Q: None, "None"),
        (lambda Q: {"output": "text"}, "a dict with the keys 'output'"),
        (lambda Q: Q.detach().numpy(), "numpy.ndarray of shape (2, 3, 4)"),
        (lambda Q: (None, None), "a tuple of 2: None, None"),
        (lambda Q: "text", "an object of type str"),
        (lambda Q: (), "an empty tuple"),
    ],
)
def test_what_comes_back_is_told_in_words(answer: Callable[[torch.Tensor], object], words: str) -> None:
    adapter = adapt(type("Answering", (Base,), {"answer": staticmethod(answer)}))
    assert "mask" in adapter.declare().capabilities
    result = perform(adapter, call())
    assert (result.output, result.weights, result.returned) == (None, None, words)


@pytest.mark.parametrize("answer", [leave, interrupt, lambda Q: Q.no_such_thing])
def test_what_forward_raises_is_let_through_but_not_by_declare(
    answer: Callable[[torch.Tensor], object],
) -> None:
    adapter = adapt(type("Raising", (Base,), {"answer": staticmethod(answer)}))
    [note] = adapter.declare().notes
    assert note.startswith("a plain call raises")
    with pytest.raises((SystemExit, KeyboardInterrupt, AttributeError)):
        perform(adapter, call())


def test_wrong_shapes_and_nan_come_back_as_they_are() -> None:
    short = adapt(type("Short", (Base,), {"answer": staticmethod(lambda Q: (Q[:, :1], None))}))
    assert perform(short, call()).output.shape == (2, 1, 4)
    nan = adapt(type("NaN", (Base,), {"answer": staticmethod(lambda Q: Q * torch.nan)}))
    assert np.isnan(perform(nan, call()).output).all()


def test_the_constructor_may_fail() -> None:
    class Failing(Base):
        def __init__(self, d_model: int, num_heads: int) -> None:
            raise ValueError("never")

    with pytest.raises(SubjectError, match=r"d_model=8, num_heads=2 raised ValueError: never"):
        adapt(Failing, "m:Failing").declare()


def test_a_constructor_that_wants_large_sizes_is_given_them() -> None:
    class Large(strange_torch.ThreeAxes):  # type: ignore[misc]
        def __init__(self, d_model: int, num_heads: int) -> None:
            assert d_model // num_heads >= 16
            super().__init__(d_model, num_heads)

    assert "weights" in adapt(Large).declare().capabilities


def test_projections_that_are_missing() -> None:
    class Missing(nn.Module):  # type: ignore[misc]
        def __init__(self, d_model: int, num_heads: int) -> None:
            super().__init__()
            self.W_q, self.gamma = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            return Q

    with pytest.raises(SubjectError, match="no attribute for W_k, W_v, W_o among: W_q, gamma"):
        adapt(Missing).declare()


def test_a_module_without_forward() -> None:
    class Silent(nn.Module):  # type: ignore[misc]
        def __init__(self, d_model: int, num_heads: int) -> None:
            super().__init__()
            self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model) for _ in range(4))

    adapter = adapt(Silent)
    with pytest.raises(SubjectError, match=r"has no forward; expected forward\(Q, K, V"):
        adapter.declare()
    with pytest.raises(SubjectError, match="inside of a function"):
        adapt(type("Other", (strange_torch.ThreeAxes,), {"__qualname__": "f.<locals>.Other"})).script(
            call(bias=False)
        )


def test_heads_of_full_width_are_read_and_refused_when_written() -> None:
    class Wide(Base):
        def __init__(self, d_model: int, num_heads: int) -> None:
            super().__init__(d_model, num_heads)
            self.W_q = nn.Linear(d_model, num_heads * d_model)

        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            return Q

    adapter = adapt(Wide)
    adapter.declare()
    built = adapter.build(Build(4, 2))
    assert adapter.read(built).W_q.size == 32
    with pytest.raises(ValueError, match=r"W_q.weight has shape \(8, 4\); expected"):
        adapter.write(built, parameters(4))


def test_a_class_may_say_how_it_stores_bare_weights() -> None:
    class Said(strange_torch.BareTransposed):  # type: ignore[misc]
        headcheck = {"stored": "in out"}  # noqa: RUF012 -- and that is wrong, so it shows

    assert adapt(Said).declare().found["W_q"] == "wq (in d)"


def test_a_class_that_is_told_its_scale() -> None:
    class Scaled(strange_torch.ThreeAxes):  # type: ignore[misc]
        def __init__(self, d_model: int, num_heads: int, scale: float | None = None) -> None:
            super().__init__(d_model, num_heads)
            self.scale = scale

        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            factor = 1.0 if self.scale is None else self.scale * (Q.shape[-1] / len(self.W_Q)) ** 0.5
            return super().forward(Q * factor, K, V, mask)

    adapter = adapt(Scaled)
    assert "scale" in adapter.declare().capabilities
    made = call(bias=False, scale=0.0)
    np.testing.assert_allclose(perform(adapter, made).weights, np.full((2, 2, 3, 5), 0.2))


def test_counting() -> None:
    made = call(4, 4, d_model=8)
    fresh = load("torch")  # its trial calls are still to come, and must not be counted
    counted = fresh.count(fresh.build(made.build), made)
    assert counted["matmul"] == 2 * (4 * 2 * 4 * 8 * 8 + 2 * 2 * 4 * 4 * 8)


@dataclass
class Answered:
    """What some libraries return."""

    last_hidden_state: object
    attentions: object = None


@pytest.mark.parametrize(
    "pack",
    [
        lambda output, weights: {"out": output, "attn": weights},
        lambda output, weights: Answered(output, weights),
        lambda output, weights: Answered(attentions=output, last_hidden_state=weights),
        lambda output, weights: [weights, output],
    ],
)
def test_results_are_found_in_whatever_holds_them(pack: Callable[..., object]) -> None:
    class Packing(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            return pack(*super().forward(Q, K, V, mask))

    made = call(bias=False)
    result = perform(adapt(Packing), made)
    assert result.output is not None
    assert result.weights is not None
    np.testing.assert_allclose(result.output, expected(made)[0], atol=1e-12)
    np.testing.assert_allclose(result.weights, expected(made)[1], atol=1e-12)


def test_a_log_sum_exp_is_not_taken_for_attention_weights() -> None:
    class Logs(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            output, weights = super().forward(Q, K, V, mask)
            return output, weights.logsumexp(-1)

    assert "weights" not in adapt(Logs).declare().capabilities


class SequenceFirst(strange_torch.ThreeAxes):  # type: ignore[misc]
    """(n, B, d), as some have it and do not say."""

    def forward(self, query, key, value, mask=None):  # type: ignore[no-untyped-def]
        if query.shape[1] != key.shape[1]:
            raise ValueError("batches differ")
        output, weights = super().forward(*(x.transpose(0, 1) for x in (query, key, value)), mask)
        return output.transpose(0, 1), weights


def test_a_class_that_is_sequence_first_is_found_out() -> None:
    adapter = adapt(SequenceFirst)
    assert adapter.declare().conventions.layout == "sequence first"
    made = call(bias=False)
    np.testing.assert_allclose(perform(adapter, made).output, expected(made)[0], atol=1e-12)
    for itself in (False, True):
        made = call(bias=False, itself=itself, n_k=3 if itself else 5)
        made = replace(made, variant="same object" if itself else "")
        np.testing.assert_allclose(perform(adapter, made).output, expected(made)[0], atol=1e-12)


@dataclass
class Sizes:
    """A configuration with more in it than anybody could guess."""

    hidden_size: int = 64
    num_attention_heads: int = 4
    window: str = "whole"


class Configured(strange_torch.ThreeAxes):  # type: ignore[misc]
    """Takes its sizes from an object of a class that it names."""

    def __init__(self, config: Sizes) -> None:
        if config.window != "whole":
            raise ValueError("no windows")
        super().__init__(config.hidden_size, config.num_attention_heads)


def test_a_configuration_is_of_the_class_that_the_constructor_names() -> None:
    adapter = adapt(Configured)
    made = call(bias=False)
    np.testing.assert_allclose(perform(adapter, made).output, expected(made)[0], atol=1e-12)
    assert any("Configured(config=Sizes(hidden_size=" in line for line in adapter.script(made))


def test_a_call_that_lacks_what_names_do_not_tell_is_nobodys_fault() -> None:
    class Rotary(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, Q, K, V, mask=None, angles=None):  # type: ignore[no-untyped-def]
            return super().forward(Q * angles.cos(), K, V, mask)

    with pytest.raises(SubjectError, match="nothing was given for angles"):
        adapt(Rotary).declare()


class Kinds(nn.Module):  # type: ignore[misc]
    """Three kinds of layers that are no plain linear ones: lazy, parametrised, convolutions."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.heads = num_heads
        self.q_proj = nn.LazyLinear(d_model, bias=False)
        self.k_proj = nn.utils.parametrizations.weight_norm(nn.Linear(d_model, d_model, bias=False))
        self.v_proj = nn.Conv1d(d_model, d_model, 1, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(d_model, d_model, bias=False), nn.Dropout(0.0)])

    def forward(self, query, memory):  # type: ignore[no-untyped-def]
        q, k = self.q_proj(query), self.k_proj(memory)
        v = self.v_proj(memory.transpose(1, 2)).transpose(1, 2)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        context = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.to_out[0](context.transpose(1, 2).flatten(2))


def test_layers_of_other_kinds_hold_weights_too() -> None:
    adapter = adapt(Kinds)
    made = call(bias=False, itself=True, n_k=3)
    assert "cross" not in adapter.declare().capabilities
    np.testing.assert_allclose(perform(adapter, made).output, expected(made)[0], atol=1e-12)


def test_a_float_mask_that_is_added_is_taken_as_additive() -> None:
    class Adding(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, query, key, value, attn_mask=None):  # type: ignore[no-untyped-def]
            q, k, v = (
                torch.einsum("bnd,hdk->bhnk", x, W)
                for x, W in ((query, self.W_Q), (key, self.W_K), (value, self.W_V))
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask)
            return torch.einsum("bhnk,hkd->bnd", y, self.W_O)

    assert adapt(Adding).declare().conventions.mask_forms == ("bool", "additive")


def test_a_mask_that_transformers_makes_is_finite() -> None:
    class AsInTransformers(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, hidden_states, attention_mask=None):  # type: ignore[no-untyped-def]
            q, k, v = (
                torch.einsum("bnd,hdk->bhnk", hidden_states, W) for W in (self.W_Q, self.W_K, self.W_V)
            )
            scores = q @ k.mT / q.shape[-1] ** 0.5
            weights = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
            return torch.einsum("bhnk,hkd->bnd", weights @ v, self.W_O)

    adapter = adapt(AsInTransformers)
    assert adapter.declare().conventions.mask_forms == ("finite",)
    for dtype, least in (("float64", -np.finfo("float64").max), ("float16", -65504.0)):
        inputs = adapter.inputs(call(mask=np.eye(3) > 0, form="finite", n_k=3, dtype=dtype), Mode())
        assert inputs.mask.tolist() == [[0.0 if i == j else least for j in range(3)] for i in range(3)]
    first_sees_nothing = np.tri(3, k=-1) > 0
    made = call(mask=first_sees_nothing, form="finite", itself=True, n_k=3, bias=False)
    np.testing.assert_allclose(
        perform(adapter, made).output, expected(made, first_sees_nothing)[0], atol=1e-12
    )


def test_lengths_that_must_be_given_are_not_said_to_be_the_query() -> None:
    class WithLengths(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, query, key, value, valid_lens):  # type: ignore[no-untyped-def]
            return super().forward(query, key, value)

    assert adapt(WithLengths).declare().notes == ()


def test_a_subclass_of_torchs_layer_with_a_call_of_its_own_is_a_class_of_its_own() -> None:
    class Narrow(nn.MultiheadAttention):  # type: ignore[misc]
        def __init__(self, embed_dim: int, num_heads: int) -> None:
            super().__init__(embed_dim, num_heads, batch_first=True)

        def forward(self, query, key, value):  # type: ignore[no-untyped-def, override]
            return super().forward(query, key, value, need_weights=True, average_attn_weights=False)

    adapter = adapt(Narrow)
    made = call()
    np.testing.assert_allclose(perform(adapter, made).output, expected(made)[0], atol=1e-12)
