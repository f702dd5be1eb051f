"""`flax.linen.MultiHeadDotProductAttention` and `flax.nnx.MultiHeadAttention`.

Both are driven as functions of their weights, which are put in place without a call and without paying
for the initialisation that they replace.
"""

from __future__ import annotations

from functools import cache, partial
from inspect import signature
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from .importing import source_of
from .on_flax_layout import FlaxAdapter, dropout_source, matrices_of, options_source, tree_of, tree_source
from .on_jax_builtin import compiles
from .on_jax_function import DTYPES, Arrays, Path, versions_of
from .on_jax_script import Source
from .protocol import Build, Call, Capability, Conventions, Declaration, DType, Variant

CAPTURE = hasattr(nnx, "capture")  # how flax hands out what a module sows, since 0.12.5
CAUSAL = "is_causal" in signature(nnx.MultiHeadAttention.__call__).parameters  # since 0.12.1
ALL: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")
CAPABILITIES: frozenset[Capability] = frozenset(
    {"parameters", "read", "weights", "cross", "mask", "bias", "gradients", "dropout", "indivisible", "cost"}
)


def linen_module(build: Build) -> nn.MultiHeadDotProductAttention:
    """Return the module of this build; a value, without weights."""
    return nn.MultiHeadDotProductAttention(
        num_heads=build.num_heads,
        qkv_features=build.d_model,
        param_dtype=DTYPES[build.dtype],
        use_bias=build.bias,
        dropout_rate=build.dropout,
    )


def linen_tree(build: Build, seed: Any) -> dict[str, Any]:
    """Return freshly initialised weights."""
    token = jnp.zeros((1, 1, build.d_model), DTYPES[build.dtype])
    variables = linen_module(build).init(jax.random.key(seed), token, deterministic=True)
    return dict(variables["params"])


@cache
def linen_shapes(build: Build) -> Any:
    """Return the shapes of the weights, computed without initialising any."""
    return jax.eval_shape(partial(linen_tree, build), 0)


def nnx_module(build: Build, rngs: nnx.Rngs) -> nnx.MultiHeadAttention:
    """Return a module with freshly initialised weights."""
    return nnx.MultiHeadAttention(
        num_heads=build.num_heads,
        in_features=build.d_model,
        param_dtype=DTYPES[build.dtype],
        use_bias=build.bias,
        dropout_rate=build.dropout,
        decode=False,
        keep_rngs=False,
        rngs=rngs,
    )


@cache
def nnx_parts(build: Build) -> tuple[Any, Any]:
    """Return the structure of a module and the shapes of its weights, without initialising any."""
    graph, state = nnx.split(nnx.eval_shape(lambda: nnx_module(build, nnx.Rngs(0))))
    return graph, state


def watched(module: nnx.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Call a module; return its output and what it has sown."""
    if CAPTURE:
        output, sown = nnx.capture(module, nnx.Intermediate)(*args, **kwargs)
    else:
        output, sown = module(*args, **kwargs), nnx.pop(module, nnx.Intermediate)
    return output, sown


class LinenAdapter(FlaxAdapter):
    """Drives `flax.linen.MultiHeadDotProductAttention`."""

    def declare(self) -> Declaration:
        """Return what the module offers; it has no causal flag."""
        return Declaration(
            framework="flax",
            compiles=True,
            capabilities=CAPABILITIES,
            dtypes=ALL,
            conventions=Conventions(empty_row="uniform"),
            variants=(
                Variant("weights"),
                Variant("plain", weights=False),
                Variant("query alone", self_attention=True),
                Variant("eager", eager=True),
                Variant("optimised", eager=True),
                Variant("vmap", eager=True),
            ),
            versions=versions_of("flax", "jax", "jaxlib"),
            source=source_of(nn.MultiHeadDotProductAttention),
        )

    def refuse(self, build: Build) -> None:
        """Initialise abstractly: that is when linen looks at the sizes."""
        linen_shapes(Build(build.d_model, build.num_heads, dropout=build.dropout))

    def initialise(self, build: Build, seed: Any) -> dict[str, Any]:
        """Return the initial weights."""
        return matrices_of(linen_tree(build, seed), build)

    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Apply the module."""
        others = () if path.variant.self_attention else (inputs["key"], inputs["value"])
        output, sown = linen_module(path.build).apply(
            {"params": tree_of(parameters, path.build)},
            inputs["query"],
            *others,
            mask=inputs.get("mask", inputs.get("additive")),
            deterministic=not path.training,
            dropout_rng=jax.random.key(inputs["seed"]) if path.training else None,
            sow_weights=path.variant.weights,
            mutable=["intermediates"],
        )
        return output, sown["intermediates"]["attention_weights"][0] if path.variant.weights else None

    def own(self, build: Build) -> tuple[list[str], str]:
        """Return lines that initialise a layer, which is when linen looks at the sizes."""
        made = f"num_heads={build.num_heads}, qkv_features={build.d_model}{options_source(build)}"
        token = f"jax.numpy.zeros((1, 1, {build.d_model}))"
        lines = [
            "import flax.linen as nn",
            "import jax",
            f"layer = nn.MultiHeadDotProductAttention({made})",
            f"variables = layer.init(jax.random.key({build.seed}), {token}, deterministic=True)",
        ]
        return lines, 'variables["params"]'

    def source(self, call: Call, variant: Variant) -> Source:
        """Return plain flax that makes this call."""
        build = call.build
        given = "query" if variant.self_attention else "query, key, value"
        given += ", mask=mask" + dropout_source(call, f"dropout_rng=jax.random.key({call.seed})")
        plain = [f'return layer.apply({{"params": params}}, {given})']
        sow = 'sow_weights=True, mutable=["intermediates"]'
        sown = [
            f'output, sown = layer.apply({{"params": params}}, {given}, {sow})',
            'return output, sown["intermediates"]["attention_weights"][0]',
        ]
        layer = f"layer = nn.MultiHeadDotProductAttention(num_heads={build.num_heads}{options_source(build)})"
        return Source(
            imports=["import flax.linen as nn"],
            setup=[layer, *tree_source(build)],
            attend=sown if variant.weights else plain,
        )


class NnxAdapter(FlaxAdapter):
    """Drives `flax.nnx.MultiHeadAttention`.

    Without weights it hands over to `jax.nn.dot_product_attention`, whose softmax is in float32; that
    path is the less precise one, and the precision declared is its.
    """

    def declare(self) -> Declaration:
        """Return what the module offers."""
        causal: frozenset[Capability] = frozenset({"causal"} if CAUSAL else ())
        return Declaration(
            framework="flax",
            compiles=True,
            capabilities=CAPABILITIES | causal,
            dtypes=ALL,
            conventions=Conventions(
                empty_row="uniform", causal_alignment="top-left", softmax_dtype="float32"
            ),
            variants=(
                Variant("weights"),
                Variant("plain", weights=False, dtypes=tuple(filter(compiles, ALL))),
                Variant("query alone", self_attention=True),
                Variant("eager", eager=True),
                Variant("optimised", eager=True),
                Variant("vmap", eager=True),
            ),
            versions=versions_of("flax", "jax", "jaxlib"),
            source=source_of(nnx.MultiHeadAttention),
        )

    def refuse(self, build: Build) -> None:
        """Construct abstractly."""
        nnx_parts(build)

    def initialise(self, build: Build, seed: Any) -> dict[str, Any]:
        """Return the initial weights."""
        module = nnx_module(build, nnx.Rngs(jax.random.key(seed)))
        return matrices_of(nnx.to_pure_dict(nnx.state(module, nnx.Param)), build)

    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Put the weights into a module and call it."""
        graph, abstract = nnx_parts(path.build)
        state = jax.tree.map(lambda leaf: leaf, abstract)
        nnx.replace_by_pure_dict(state, tree_of(parameters, path.build))
        module = nnx.merge(graph, state)
        others = () if path.variant.self_attention else (inputs["key"], inputs["value"])
        options: dict[str, Any] = {
            "mask": inputs.get("mask", inputs.get("additive")),
            "deterministic": not path.training,
        }
        if path.training:
            options["rngs"] = nnx.Rngs(dropout=jax.random.key(inputs["seed"]))
        if path.causal:
            options["is_causal"] = True
        if not path.variant.weights:
            return module(inputs["query"], *others, **options), None
        output, sown = watched(module, inputs["query"], *others, **options, sow_weights=True)
        return output, nnx.to_pure_dict(sown)["attention_weights"][0]

    def own(self, build: Build) -> tuple[list[str], str]:
        """Return lines that make a layer."""
        sizes = f"num_heads={build.num_heads}, in_features={build.d_model}{options_source(build)}"
        made = f"nnx.MultiHeadAttention({sizes}, decode=False, rngs=nnx.Rngs({build.seed}))"
        return ["from flax import nnx", f"layer = {made}"], "nnx.to_pure_dict(nnx.state(layer, nnx.Param))"

    def source(self, call: Call, variant: Variant) -> Source:
        """Return plain flax that makes this call."""
        build = call.build
        given = "query" if variant.self_attention else "query, key, value"
        given += ", mask=mask" + (", is_causal=True" if call.causal else "")
        given += dropout_source(call, f"rngs=nnx.Rngs(dropout=jax.random.key({call.seed}))")
        plain = [f"return layer({given})"]
        captured = [
            f"output, sown = nnx.capture(layer, nnx.Intermediate)({given}, sow_weights=True)",
            'return output, sown["attention_weights"][0]',
        ]
        if not CAPTURE:
            captured = [f"return layer({given}, sow_weights=True), layer.attention_weights.value[0]"]
        sizes = f"num_heads={build.num_heads}, in_features={build.d_model}{options_source(build)}"
        return Source(
            imports=["from flax import nnx"],
            setup=[
                f"layer = nnx.MultiHeadAttention({sizes}, decode=False, keep_rngs=False, rngs=nnx.Rngs(0))",
                *tree_source(build),
                "nnx.update(layer, params)",
                "graph, state = nnx.split(layer)",
            ],
            attend=["layer = nnx.merge(graph, state)", *(captured if variant.weights else plain)],
        )
