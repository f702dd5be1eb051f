"""A flax.linen module, which holds no weights, beside the weights with which it is called."""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import Any

import jax
import jax.numpy as jnp

from . import discovery
from .protocol import Build


def is_linen(value: Any) -> bool:
    """Return whether a value is a linen module; flax is not imported to find out."""
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(value, linen.Module)


def is_nnx(value: Any) -> bool:
    """Return whether a value is an nnx module; flax is not imported to find out."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Module)


class Bound:
    """A linen module and its weights; it is called as the module would be."""

    def __init__(self, module: Any, params: Any, rngs: Any = None):
        self.module = module
        self.params = params
        self.rngs = rngs

    @classmethod
    def initialised(cls, module: Any, build: Build, subject: str) -> Bound:
        """Return a module with initial weights; linen makes them, and looks at the sizes, in a first call."""
        token = jnp.zeros((1, 1, max(build.d_model, 1)))  # what it makes of a width of zero is its own affair
        values: dict[str, Any] = dict.fromkeys(("query", "key", "value", "memory"), token)
        values |= {"training": False, "deterministic": True}
        positional, keywords = discovery.forward(type(module).__call__, subject, type(module)).arguments(
            values
        )
        variables = module.init(jax.random.key(build.seed), *positional, **keywords)
        return cls(module, dict(variables["params"]))

    def keyed(self, key: Any) -> Bound:
        """Return the same with a key for its dropout."""
        return Bound(self.module, self.params, {"dropout": key})

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Apply the module."""
        return self.module.apply({"params": self.params}, *arguments, rngs=self.rngs, **keywords)

    def __deepcopy__(self, memo: dict[int, Any]) -> Bound:
        """Return a copy with weights of its own; a module is a value."""
        return Bound(self.module, deepcopy(self.params, memo), self.rngs)
