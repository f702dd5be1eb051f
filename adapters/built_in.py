"""The subjects that have a name of their own, and the module that each needs installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class BuiltIn:
    """A subject that headcheck brings an adapter or an implementation for."""

    module: str  # top-level module that must be installed
    target: str  # reference of its adapter, or of the implementation itself
    description: str


BUILT_IN = {
    "numpy": BuiltIn(
        "numpy", "headcheck.reference.on_numpy:MultiHeadAttention", "the bundled NumPy reference"
    ),
    "torch": BuiltIn(
        "torch", "headcheck.reference.on_torch:MultiHeadAttention", "the bundled PyTorch reference"
    ),
    "jax": BuiltIn("jax", "headcheck.reference.on_jax:MultiHeadAttention", "the bundled JAX reference"),
    "torch.nn:MultiheadAttention": BuiltIn(
        "torch", "headcheck.adapters.on_torch_builtin:MultiheadAttentionAdapter", "PyTorch's layer"
    ),
    "torch.nn.functional:scaled_dot_product_attention": BuiltIn(
        "torch",
        "headcheck.adapters.on_torch_sdpa:ScaledDotProductAttentionAdapter",
        "PyTorch's core operation; headcheck adds the projections",
    ),
    "jax.nn:dot_product_attention": BuiltIn(
        "jax",
        "headcheck.adapters.on_jax_builtin:DotProductAttentionAdapter",
        "JAX's core operation; headcheck adds the projections",
    ),
    "flax.linen:MultiHeadDotProductAttention": BuiltIn(
        "flax", "headcheck.adapters.on_flax:LinenAdapter", "Flax's layer, linen"
    ),
    "flax.nnx:MultiHeadAttention": BuiltIn(
        "flax", "headcheck.adapters.on_flax:NnxAdapter", "Flax's layer, nnx"
    ),
}


def installed() -> tuple[str, ...]:
    """Return the built-in subjects whose framework is installed; nothing is imported to know it."""
    return tuple(name for name, entry in BUILT_IN.items() if find_spec(entry.module))
