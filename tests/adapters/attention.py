"""Multi-head attention in a few lines of float64 NumPy, and calls to compare with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from headcheck.adapters.protocol import Build, Call, Mask
from headcheck.reference.parameters import Parameters


def attention(
    p: Parameters, h: int, query: Any, key: Any, value: Any, allowed: Any = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return output and weights; a row without an allowed key is uniform."""
    q, k, v = (
        (x @ W + (0 if b is None else b)).reshape(*x.shape[:2], h, -1).swapaxes(1, 2)
        for x, W, b in ((query, p.W_q, p.b_q), (key, p.W_k, p.b_k), (value, p.W_v, p.b_v))
    )
    scores = np.where(allowed, q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1]), -1e300)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    combined = (weights @ v).swapaxes(1, 2).reshape(query.shape)
    return combined @ p.W_o + (0 if p.b_o is None else p.b_o), weights


def parameters(d: int, *, bias: bool = True, seed: int = 0) -> Parameters:
    """Return weights that bfloat16 and float16 represent exactly."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(-8, 9, (4, d, d)) / 8
    return Parameters(*matrices, *(rng.integers(-8, 9, (4, d)) / 8 if bias else [None] * 4))


def call(n_q: int = 3, n_k: int = 5, *, mask: Any = None, form: str = "bool", **changes: Any) -> Call:
    """Return a call with two heads and d_model 4; `changes` go to the build where they are its fields."""
    settings = {name: changes.pop(name) for name in Build.__dataclass_fields__ if name in changes}
    build = Build(**{"d_model": 4, "num_heads": 2, "dtype": "float64"} | settings)
    rng = np.random.default_rng(1)
    query, key, value = (rng.integers(-8, 9, (2, n, build.d_model)) / 4 for n in (n_q, n_k, n_k))
    if changes.pop("itself", False):
        key = value = query
    handed = None if mask is None else Mask(np.asarray(mask), form)  # type: ignore[arg-type]
    weights = changes.pop("parameters", parameters(build.d_model, bias=build.bias))
    return Call(build, query, key, value, weights, handed, **changes)


def expected(made: Call, allowed: Any = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the formula's answer to a call."""
    assert made.parameters is not None
    return attention(made.parameters, made.build.num_heads, made.query, made.key, made.value, allowed)


def perform(adapter: Any, made: Call) -> Any:
    """Make a call on a fresh module."""
    module = adapter.build(made.build)
    if made.parameters is not None:
        module = adapter.write(module, made.parameters)
    return adapter.call(module, made)


def run(script: Sequence[str]) -> dict[str, Any]:
    """Run a script's lines and return its names; the precision of JAX is afterwards what it was."""
    names: dict[str, Any] = {}
    jax = sys.modules.get("jax")
    before = jax.config.jax_enable_x64 if jax else False
    try:
        exec("\n".join(script), names)
    finally:
        if jax:
            jax.config.update("jax_enable_x64", before)
    return names
