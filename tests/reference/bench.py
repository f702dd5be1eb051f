"""One face for three frameworks: build an attention, put weights in, call it, get float64 arrays back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Situation:
    """A call: its sizes, the spread of its data, its masks, its type."""

    batch: int = 2
    n_q: int = 5
    n_k: int = 7
    num_heads: int = 4
    d_k: int = 3
    spread: float = 1.0
    mask: str = ""  # a shape like "B 1 n_q n_k"
    form: str = "bool"
    empty_row: bool = False
    causal: bool = False
    dtype: str = "float64"
    changes: Mapping[str, Any] = field(default_factory=dict)  # arguments to put in place of the drawn ones

    @property
    def d_model(self) -> int:
        return self.num_heads * self.d_k

    def weights(self) -> Arrays:
        rng, d = np.random.default_rng(1), self.d_model
        drawn = {f"W_{role}": rng.standard_normal((d, d)) / np.sqrt(d) for role in "qkvo"}
        return drawn | {f"b_{role}": rng.standard_normal(d) for role in "qkvo"}

    def inputs(self) -> Arrays:
        rng, d = np.random.default_rng(2), self.d_model
        sizes = {"Q": self.n_q, "K": self.n_k, "V": self.n_k}
        drawn = {name: self.spread * rng.standard_normal((self.batch, n, d)) for name, n in sizes.items()}
        if self.mask:
            drawn["mask"] = self._mask(rng)
        return drawn | dict(self.changes)

    def _mask(self, rng: np.random.Generator) -> np.ndarray:
        sizes = {"B": self.batch, "h": self.num_heads, "n_q": self.n_q, "n_k": self.n_k}
        mask = rng.random([sizes.get(axis, 1) for axis in self.mask.split()]) < 0.5
        mask[..., 0] = True
        mask[..., -1] = False
        if self.empty_row:
            mask[0, :, 0] = False
        return mask.astype({"bool": bool, "int": np.int64, "float": np.float64}[self.form])

    def with_(self, **changes: Any) -> Situation:
        return replace(self, **changes)


class NumPy:
    """Drives a twin on NumPy."""

    name = "numpy"
    dtypes = ("float64", "float32", "float16")

    def build(self, implementation: Any, d_model: int, num_heads: int, **options: Any) -> Any:
        options.pop("dropout", None)
        return implementation(d_model, num_heads, **options)

    def write(self, module: Any, weights: Arrays) -> Any:
        for name, array in weights.items():
            setattr(module, name, array.copy())
        return module

    def read(self, module: Any) -> Arrays:
        held = {name: getattr(module, name) for r in "qkvo" for name in (f"W_{r}", f"b_{r}")}
        return {name: np.asarray(array, np.float64) for name, array in held.items() if array is not None}

    def arrays(self, situation: Situation) -> dict[str, Any]:
        return {
            name: array if name == "mask" else array.astype(situation.dtype)
            for name, array in situation.inputs().items()
        }

    def call(self, module: Any, situation: Situation, arrays: dict[str, Any] | None = None) -> Arrays:
        arrays = self.arrays(situation) if arrays is None else arrays
        with np.errstate(all="ignore"):
            output, weights = module.forward(**arrays, is_causal=situation.causal)
        return self.plain(output, weights)

    def plain(self, output: Any, weights: Any) -> Arrays:
        return {
            "output": np.asarray(output, np.float64),
            "weights": np.asarray(weights, np.float64),
            "dtype": np.array(str(output.dtype)),
        }

    def operations(self, module: Any, situation: Situation) -> int:
        from headcheck.adapters.counting_numpy import count

        arrays = self.arrays(situation)
        names = ("Q", "K", "V")
        forward = partial(module.forward, mask=arrays.get("mask"))
        return count(lambda *given: forward(*given), *(arrays[name] for name in names)).products


class Torch(NumPy):
    """Drives a module on PyTorch."""

    name = "torch"
    dtypes = ("float64", "float32", "bfloat16", "float16")

    def build(self, implementation: Any, d_model: int, num_heads: int, **options: Any) -> Any:
        import torch

        options.pop("seed", None)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return implementation(d_model, num_heads, **options).eval()

    def write(self, module: Any, weights: Arrays) -> Any:
        import torch

        for role in "qkvo":
            linear = getattr(module, f"W_{role}")
            linear.weight = torch.nn.Parameter(torch.tensor(weights[f"W_{role}"].T.copy()))
            linear.bias = torch.nn.Parameter(torch.tensor(weights[f"b_{role}"]))
        return module

    def read(self, module: Any) -> Arrays:
        held: dict[str, Any] = {}
        for role in "qkvo":
            linear = getattr(module, f"W_{role}")
            held |= {f"W_{role}": linear.weight.detach().numpy().T, f"b_{role}": linear.bias.detach().numpy()}
        return held

    def arrays(self, situation: Situation) -> dict[str, Any]:
        import torch

        return {
            name: torch.tensor(array)
            if name == "mask"
            else torch.tensor(array, dtype=getattr(torch, situation.dtype))
            for name, array in situation.inputs().items()
        }

    def call(self, module: Any, situation: Situation, arrays: dict[str, Any] | None = None) -> Arrays:
        import torch

        arrays = self.arrays(situation) if arrays is None else arrays
        output, weights = module.to(getattr(torch, situation.dtype))(**arrays, is_causal=situation.causal)
        return self.plain(output, weights)

    def plain(self, output: Any, weights: Any) -> Arrays:
        return {
            "output": output.detach().double().numpy(),
            "weights": weights.detach().double().numpy(),
            "dtype": np.array(str(output.dtype)),
        }

    def gradients(self, module: Any, situation: Situation, *, itself: bool = False) -> Arrays:
        import torch

        arrays = self.arrays(situation)
        arrays |= {"K": arrays["Q"], "V": arrays["Q"]} if itself else {}
        for name in ("Q", "K", "V"):
            arrays[name].requires_grad_(True)
        output, _ = module.double()(**arrays, is_causal=situation.causal)
        output.backward(torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape))
        found = {name: arrays[name].grad for name in ("Q", "K", "V")}
        found |= {name: parameter.grad for name, parameter in module.named_parameters()}
        return {name: np.zeros(1) if grad is None else grad.numpy() for name, grad in found.items()}

    def train(self, module: Any, situation: Situation, seed: int) -> Arrays:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.call(module.train(), situation)

    def gradients_of_draw(self, module: Any, situation: Situation, seed: int) -> Arrays:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.gradients(module.train(), situation)

    def operations(self, module: Any, situation: Situation) -> int:
        from headcheck.adapters.counting_torch import count

        arrays = self.arrays(situation)
        forward = partial(module.double(), mask=arrays.get("mask"))
        return count(forward, *(arrays[name] for name in ("Q", "K", "V"))).products


class Jax(NumPy):
    """Drives a twin on JAX."""

    name = "jax"
    dtypes = ("float64", "float32", "bfloat16", "float16")

    def build(self, implementation: Any, d_model: int, num_heads: int, **options: Any) -> Any:
        options.pop("seed", None)
        return implementation(d_model, num_heads, **options)

    def write(self, module: Any, weights: Arrays) -> Any:
        for name, array in weights.items():
            setattr(module, name, array)
        return module

    def arrays(self, situation: Situation) -> dict[str, Any]:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            return {
                name: jnp.asarray(array) if name == "mask" else jnp.asarray(array, situation.dtype)
                for name, array in situation.inputs().items()
            }

    def call(self, module: Any, situation: Situation, arrays: dict[str, Any] | None = None) -> Arrays:
        import jax

        with jax.enable_x64(True):
            arrays = self.arrays(situation) if arrays is None else arrays
            return self.plain(*module.forward(**arrays, is_causal=situation.causal))

    def jitted(self, module: Any, situation: Situation) -> Arrays:
        import jax

        with jax.enable_x64(True):
            arrays = self.arrays(situation)
            forward = jax.jit(lambda given: module.forward(**given, is_causal=situation.causal))
            return self.plain(*forward(arrays))

    def gradients(self, module: Any, situation: Situation, *, itself: bool = False, **options: Any) -> Arrays:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            arrays = self.arrays(situation)
            rest = {name: arrays.pop(name) for name in ("mask",) if name in arrays}
            weights = {name: jnp.asarray(array) for name, array in self.read(module).items()}

            def forward(weights: Any, arrays: Any) -> Any:
                for name, array in weights.items():
                    setattr(module, name, array)
                arrays = {**arrays, "K": arrays["Q"], "V": arrays["Q"]} if itself else arrays
                return module.forward(**arrays, **rest, **options, is_causal=situation.causal)[0]

            output, pullback = jax.vjp(forward, weights, arrays)
            cotangent = jnp.cos(jnp.arange(output.size, dtype=output.dtype)).reshape(output.shape)
            by_weight, by_input = pullback(cotangent)
            self.write(module, {name: np.asarray(array) for name, array in weights.items()})
            return {name: np.asarray(array) for name, array in {**by_weight, **by_input}.items()}

    def train(self, module: Any, situation: Situation, seed: int) -> Arrays:
        import jax

        with jax.enable_x64(True):
            arrays = self.arrays(situation)
            return self.plain(*module.forward(**arrays, dropout_key=jax.random.key(seed)))

    def gradients_of_draw(self, module: Any, situation: Situation, seed: int) -> Arrays:
        import jax

        return self.gradients(module, situation, dropout_key=jax.random.key(seed))

    def operations(self, module: Any, situation: Situation) -> int:
        import jax
        from headcheck.adapters.counting_jax import count

        with jax.enable_x64(True):
            return count(lambda given: module.forward(**given), self.arrays(situation)).products


BENCHES = {bench.name: bench for bench in (NumPy(), Torch(), Jax())}


def bench(framework: str) -> Any:
    """Return the bench of a framework; skip the test where it is not installed."""
    pytest.importorskip(framework)
    return BENCHES[framework]


def reference(framework: str) -> Any:
    """Return the right implementation of a framework."""
    return import_module(f"headcheck.reference.on_{framework}").MultiHeadAttention
