"""Right implementations in other styles agree with the oracle, and refuse what must be refused."""

from __future__ import annotations

import inspect
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import is_dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from headcheck.reference.styles.catalogue import STYLES, Style

from .bench import Situation, bench
from .test_right_ones import ACCURACY, SITUATIONS, WRONG, exact

LAYERS = {
    "AnnotatedTransformer": "linears.0 linears.1 linears.2 linears.3",
    "ProjectionNames": "q_proj k_proj v_proj out_proj",
    "ToNames": "to_q to_k to_v to_out",
    "BertNames": "query key value dense",
}
UNIFORM = {"FiniteFill", "UniformEmptyRows", "SoftmaxByHand", "CausalToTheLastKey", "LogDomain"}
NO_BIAS = {("torch", "ToNames"), ("numpy", "ProjectionNames")}
NO_CAUSAL = {"AnnotatedTransformer", "CausalToTheLastKey"}  # no flag, or another triangle


class Driven:
    """A style with the situation's weights, called under its own names."""

    def __init__(self, style: Style, situation: Situation, **options: Any):
        self.style, self.drive, self.situation = style, bench(style.framework), situation
        module, _, name = style.subject.partition(":")
        self.implementation = getattr(import_module(module), name)
        self.module = self.build(situation.d_model, situation.num_heads, **options)
        self.write(situation.weights())

    def build(self, d_model: int, num_heads: int, **options: Any) -> Any:
        heads_first = self.style.name in {"AnnotatedTransformer", "KerasNames"}
        sizes = (num_heads, d_model) if heads_first else (d_model, num_heads)
        return self.drive.build(self.implementation, *sizes, **options)

    def write(self, weights: dict[str, np.ndarray]) -> None:
        packed = self.style.name == "PackedProjections"
        if self.style.framework == "torch":
            import torch

            names = LAYERS.get(self.style.name, "W_q W_k W_v W_o").split()
            placed = [
                (name, weights[f"W_{r}"], weights[f"b_{r}"]) for name, r in zip(names, "qkvo", strict=True)
            ]
            if packed:
                q, k, v, o = placed
                placed = [("qkv", np.hstack([q[1], k[1], v[1]]), np.hstack([q[2], k[2], v[2]])), o]
            for name, W, b in placed:
                layer = self.module.get_submodule(name)
                layer.weight = torch.nn.Parameter(torch.tensor(W.T.copy()))
                if layer.bias is not None:
                    layer.bias = torch.nn.Parameter(torch.tensor(b))
        else:
            names = LAYERS.get(self.style.name, "W_q W_k W_v W_o").split()
            placed_arrays = {name: weights[f"W_{r}"] for name, r in zip(names, "qkvo", strict=True)}
            if self.style.name not in LAYERS:
                placed_arrays |= {name: array for name, array in weights.items() if name.startswith("b")}
            if packed:
                for letter in "Wb":
                    parts = [(weights if letter == "b" else placed_arrays)[f"{letter}_{r}"] for r in "qkv"]
                    placed_arrays[f"{letter}_qkv"] = np.concatenate(parts, axis=-1)
            for name, array in placed_arrays.items():
                setattr(self.module, name, array)

    def __call__(self) -> dict[str, np.ndarray]:
        context: Any = nullcontext()
        if self.style.framework == "jax":
            import jax

            context = jax.enable_x64(True)
        with context:
            arrays = self.drive.arrays(self.situation)
            Q, K, V = (arrays.pop(name) for name in "QKV")
            mask = [arrays["mask"]] if "mask" in arrays else [None]
            if self.style.framework == "torch":
                import torch

                self.module = self.module.to(getattr(torch, self.situation.dtype))
            order = (Q, V, K) if self.style.name == "KerasNames" else (Q, K, V)
            causal = "use_causal_mask" if self.style.name == "KerasNames" else "is_causal"
            flag = {causal: True} if self.situation.causal else {}
            result = self.module.forward(*order, *mask, **flag)
            output, weights = result if isinstance(result, tuple) else (result, result)
            found: dict[str, np.ndarray] = self.drive.plain(output, weights)
        if not isinstance(result, tuple):
            del found["weights"]
        return found


def expected(style: Style, situation: Situation) -> dict[str, np.ndarray]:
    empty_row = "uniform" if style.name in UNIFORM else "zeros"
    return exact(situation, empty_row, biases=(style.framework, style.name) not in NO_BIAS)


def can(style: Style, situation: Situation) -> bool:
    return not (situation.causal and style.name in NO_CAUSAL)


# What has other arguments, weights or results is driven as whoever writes one would have it: by discovery.
BY_HAND = [style for style in STYLES if style.module != "on_torch_shapes"]
ids = [f"{style.name}-{style.framework}" for style in BY_HAND]


@pytest.mark.parametrize("style", BY_HAND, ids=ids)
def test_agrees_with_the_oracle(style: Style) -> None:
    for name, situation in SITUATIONS.items():
        if can(style, situation):
            found = Driven(style, situation)()
            for quantity in sorted({"output", "weights"} & set(found)):
                wanted = expected(style, situation)[quantity]
                np.testing.assert_allclose(
                    found[quantity], wanted, rtol=1e-10, atol=1e-10, err_msg=f"{quantity}, {name}"
                )


@pytest.mark.parametrize("style", BY_HAND, ids=ids)
def test_agrees_in_every_type(style: Style) -> None:
    for dtype in bench(style.framework).dtypes:
        for name in ("plain", "empty row"):
            situation = SITUATIONS[name].with_(dtype=dtype)
            found, wanted = Driven(style, situation)(), expected(style, SITUATIONS[name])
            assert dtype in str(found["dtype"])
            np.testing.assert_allclose(found["output"], wanted["output"], atol=3 * ACCURACY[dtype])


@pytest.mark.parametrize("style", BY_HAND, ids=ids)
def test_refuses_what_must_be_refused(style: Style) -> None:
    for changes, words in WRONG.values():
        with pytest.raises(ValueError, match=words):
            Driven(style, Situation(changes=changes))()
    driven = Driven(style, Situation())
    for sizes in ((12, 5), (8, 0), (0, 2)):
        with pytest.raises(ValueError, match=f"d_model={sizes[0]}, num_heads={sizes[1]}"):
            driven.build(*sizes)


@pytest.mark.parametrize("style", BY_HAND, ids=ids)
def test_empty_axes_give_empty_results(style: Style) -> None:
    for sizes in ((0, 5, 7), (2, 0, 7)):
        assert Driven(style, Situation(*sizes))()["output"].shape == (*sizes[:2], 12)


@pytest.mark.torch
@pytest.mark.parametrize(
    "style",
    [style for style in BY_HAND if style.framework == "torch"],
    ids=[style.name for style in BY_HAND if style.framework == "torch"],
)
def test_gradients_are_those_of_the_right_implementation(style: Style) -> None:
    import torch
    from headcheck.reference.on_torch import MultiHeadAttention

    class Right(Driven):
        def build(self, d_model: int, num_heads: int, **options: Any) -> Any:
            return self.drive.build(MultiHeadAttention, d_model, num_heads)

        def write(self, weights: dict[str, np.ndarray]) -> None:
            biased = (self.style.framework, self.style.name) not in NO_BIAS
            kept = {name: array * (biased or name.startswith("W")) for name, array in weights.items()}
            self.drive.write(self.module, kept)

    situation = Situation(mask="B h n_q n_k", empty_row=style.name not in UNIFORM)
    found = []
    for driven in (Driven(style, situation), Right(style, situation)):
        arrays = driven.drive.arrays(situation)
        Q, K, V, mask = (arrays[name] for name in ("Q", "K", "V", "mask"))
        for array in (Q, K, V):
            array.requires_grad_(True)
        keras = style.name == "KerasNames" and not isinstance(driven, Right)
        result = driven.module.double().forward(Q, *((V, K) if keras else (K, V)), mask)
        output = result[0] if isinstance(result, tuple) else result
        output.backward(torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape))
        found.append([array.grad.numpy() for array in (Q, K, V)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_there_are_enough_of_them() -> None:
    assert len(STYLES) >= 18
    assert len({style.subject for style in STYLES}) == len(STYLES)


def test_the_catalogue_names_every_class_and_needs_no_framework() -> None:
    code = (
        "import sys; from headcheck.reference.styles.catalogue import STYLES; "
        "print([name for name in ('numpy', 'torch', 'jax') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    for module in ("on_numpy", "on_torch", "on_torch_names", "on_torch_shapes", "on_jax"):
        if find_spec(module.split("_")[1]) is None:
            continue
        where = import_module(f"headcheck.reference.styles.{module}")
        classes = inspect.getmembers(where, inspect.isclass)
        held = {n for n, c in classes if c.__module__ == where.__name__ and not is_dataclass(c)}
        assert held == {style.name for style in STYLES if style.module == module}
