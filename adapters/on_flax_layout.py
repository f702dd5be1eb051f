"""What `flax.linen` and `flax.nnx` have in common: the layout of the weights, in memory and in source.

Kernels are (d_model, num_heads, d_k) for the query, key and value projections and (num_heads, d_k,
d_model) for the output: reshapes of the (in, out) matrices.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .on_jax_function import Arrays, FunctionalAdapter, Holder, precision_of
from .protocol import Build, Call

ROLES: Mapping[str, str] = {"query": "q", "key": "k", "value": "v", "out": "o"}


class FlaxAdapter(FunctionalAdapter):
    """What linen and nnx have in common."""

    def build(self, build: Build) -> Holder:
        """Return a module, built abstractly so that flax can refuse the sizes; not initialised yet."""
        with precision_of(build.dtype):
            self.refuse(replace(build, seed=0))
        return Holder(build)

    @abstractmethod
    def own(self, build: Build) -> tuple[list[str], str]:
        """Return lines that make a layer with its own weights, and the source of the tree of those."""

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain flax that makes this call, and ends with what is asked for."""
        if of not in {"module", "parameters"}:
            return super().script(call, of)
        lines, tree = self.own(call.build)
        d = call.build.d_model
        read = [
            f'{kind[0]}_{name} = np.asarray(params["{role}"]["{kind[1]}"]).reshape({kind[2]})'
            for kind in (("W", "kernel", f"{d}, {d}"), ("b", "bias", f"{d}"))[: 2 if call.build.bias else 1]
            for role, name in ROLES.items()
        ]
        return [*lines, *(["import numpy as np", f"params = {tree}", *read] if of == "parameters" else [])]

    @abstractmethod
    def refuse(self, build: Build) -> None:
        """Let flax raise what it raises for these sizes."""


def tree_of(parameters: Arrays, build: Build) -> dict[str, dict[str, Any]]:
    """Return the weights in the layout of flax."""
    heads = (build.num_heads, build.d_k)
    tree: dict[str, dict[str, Any]] = {}
    for role, name in ROLES.items():
        kernel = (*heads, build.d_model) if role == "out" else (build.d_model, *heads)
        tree[role] = {"kernel": parameters[f"W_{name}"].reshape(kernel)}
        if build.bias:
            bias = parameters[f"b_{name}"]
            tree[role]["bias"] = bias if role == "out" else bias.reshape(heads)
    return tree


def matrices_of(tree: Mapping[str, Any], build: Build) -> dict[str, Any]:
    """Return the weights of a flax tree by their names in `Parameters`."""
    d = build.d_model
    parameters = {f"W_{name}": tree[role]["kernel"].reshape(d, d) for role, name in ROLES.items()}
    if build.bias:
        parameters |= {f"b_{name}": tree[role]["bias"].reshape(d) for role, name in ROLES.items()}
    return parameters


def dropout_source(call: Call, key: str) -> str:
    """Return the arguments that switch the dropout on or off, where the module has any."""
    if not call.build.dropout:
        return ""
    return f", deterministic=False, {key}" if call.training else ", deterministic=True"


def options_source(build: Build) -> str:
    """Return the constructor's arguments that are not its own defaults."""
    options = {"use_bias=False": not build.bias, f"dropout_rate={build.dropout}": build.dropout}
    return "".join(f", {option}" for option, given in options.items() if given)


def tree_source(build: Build) -> list[str]:
    """Return source that puts the weights into ``params``, in the layout of flax."""
    d, heads = build.d_model, f"{build.num_heads}, {build.d_k}"
    lines = []
    for role, name in ROLES.items():
        kernel, bias = (
            (f"{heads}, {d}", f"b_{name}")
            if role == "out"
            else (f"{d}, {heads}", f"b_{name}.reshape({heads})")
        )
        tail = f', "bias": {bias}' if build.bias else ""
        lines.append(f'    "{role}": {{"kernel": W_{name}.reshape({kernel}){tail}}},')
    return ["params = {", *lines, "}"]
