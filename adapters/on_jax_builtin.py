"""`jax.nn.dot_product_attention`, a core operation on split heads: the adapter adds the projections.

The projections are computed in the dtype of the call and at the highest precision of the device, so that
what is judged is the operation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .importing import source_of
from .on_jax_function import DTYPES, Arrays, FunctionalAdapter, Path, versions_of
from .on_jax_script import Source
from .protocol import Build, Call, Conventions, Declaration, DType, Variant


def compiles(dtype: DType) -> bool:
    """Return whether the operation can be compiled in this dtype.

    XLA has no float16 product with float32 sums on the CPU.  Eagerly the operation notices and does
    without them; under jit the error comes too late for that.
    """
    return dtype != "float16" or jax.default_backend() != "cpu"


class DotProductAttentionAdapter(FunctionalAdapter):
    """Drives `jax.nn.dot_product_attention`."""

    def declare(self) -> Declaration:
        """Return what the operation offers; it returns no attention weights."""
        eager = () if compiles("float16") else ("float16 runs eagerly: it cannot be compiled for the CPU",)
        return Declaration(
            framework="jax",
            compiles=True,
            capabilities=frozenset(
                {"parameters", "cross", "mask", "causal", "scale", "bias", "gradients", "cost"}
            ),
            dtypes=("float64", "float32", "bfloat16", "float16"),
            conventions=Conventions(
                mask_forms=("bool", "additive"),
                empty_row="uniform",
                causal_alignment="top-left",
                softmax_dtype="float32",
                layout="batch, sequence, head, d_k",
            ),
            variants=(
                Variant("jit", weights=False),
                Variant("eager", weights=False, eager=True),
                Variant("optimised", weights=False, eager=True),
                Variant("vmap", weights=False, eager=True),
            ),
            versions=versions_of("jax", "jaxlib"),
            source=source_of(jax.nn.dot_product_attention),
            notes=("a core operation: headcheck adds the projections", *eager),
        )

    def initialise(self, build: Build, seed: Any) -> dict[str, Any]:
        """Return Xavier-uniform weights and zero biases: the operation has none of its own."""
        d, dtype = build.d_model, DTYPES[build.dtype]
        xavier = jax.nn.initializers.xavier_uniform()
        keys = dict(zip("qkvo", jax.random.split(jax.random.key(seed), 4), strict=True))
        weights = {f"W_{name}": xavier(key, (d, d), dtype) for name, key in keys.items()}
        return weights | ({f"b_{name}": jnp.zeros(d, dtype) for name in keys} if build.bias else {})

    def path(self, module: Any, call: Call) -> Path:
        """Return the path of the call: the scale goes in as an array, so none is compiled for itself."""
        path = super().path(module, call)
        return replace(path, build=replace(path.build, scale=None))

    def runs_eagerly(self, path: Path) -> bool:
        """Return whether this path compiles every operation for itself."""
        return super().runs_eagerly(path) or not compiles(path.build.dtype)

    def inputs(self, module: Any, call: Call) -> dict[str, Any]:
        """Return the arguments of the call, its scale among them."""
        scale = call.build.scale
        return super().inputs(module, call) | ({} if scale is None else {"scale": np.float64(scale)})

    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Project, split, attend, merge, project."""

        def project(x: Any, name: str) -> Any:
            projected = jnp.matmul(x, parameters[f"W_{name}"], precision=jax.lax.Precision.HIGHEST)
            return projected + parameters[f"b_{name}"] if path.build.bias else projected

        def split(x: Any) -> Any:
            return x.reshape(*x.shape[:-1], path.build.num_heads, path.build.d_k)

        context = jax.nn.dot_product_attention(
            split(project(inputs["query"], "q")),
            split(project(inputs["key"], "k")),
            split(project(inputs["value"], "v")),
            bias=inputs.get("additive"),
            mask=inputs.get("mask"),
            scale=inputs.get("scale"),
            is_causal=path.causal,
        )
        return project(context.reshape(inputs["query"].shape), "o"), None

    def source(self, call: Call, variant: Variant) -> Source:
        """Return plain JAX that makes this call."""
        build, bias = call.build, call.build.bias
        query, key, value = (
            f"split({role} @ W_{role[0]}{f' + b_{role[0]}' if bias else ''})"
            for role in ("query", "key", "value")
        )
        additive = call.mask is not None and call.mask.additive
        mask = "" if call.mask is None else ", bias=mask" if additive else ", mask=mask"
        scale = "" if build.scale is None else f", scale={build.scale!r}"
        causal = ", is_causal=True" if call.causal else ""
        attend = [
            f"split = lambda x: x.reshape(*x.shape[:2], {build.num_heads}, {build.d_k})",
            f"context = jax.nn.dot_product_attention({query}, {key}, {value}{mask}{scale}{causal})",
            f"return context.reshape(query.shape) @ W_o{' + b_o' if bias else ''}",
        ]
        return Source(imports=[], setup=[], attend=attend)
