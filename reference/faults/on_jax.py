"""The faults on JAX: ``on_jax:ScaleByModel`` is the right implementation with that one step wrong."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .. import on_jax
from .catalogue import FAULTS
from .fault import classes
from .steps import Role


class Binding:
    """What faults call by one name, in JAX's words."""

    xp = jnp

    def weight(self, role: Role) -> Any:
        """Return a projection's weights, (in, out)."""
        return getattr(self, f"W_{role}")

    def bias(self, role: Role) -> Any:
        """Return a projection's bias, or None."""
        return getattr(self, f"b_{role}")

    def assign(self, role: Role, weight: Any, bias: Any = None) -> None:
        """Put weights in, and a bias where one is given."""
        setattr(self, f"W_{role}", weight)
        if bias is not None:
            setattr(self, f"b_{role}", bias)

    def cast(self, x: Any, dtype: Any) -> Any:
        """Return x in another type, by its object or its name."""
        return x.astype(dtype)

    def detached(self, x: Any) -> Any:
        """Return x as a constant, through which no gradient flows."""
        return jax.lax.stop_gradient(x)

    def traced(self) -> bool:
        """Return whether a call is being compiled."""
        return bool(isinstance(jnp.zeros(()) + 0, jax.core.Tracer))

    def dropping(self, *key: Any) -> bool:
        """Return whether dropout is on in this call."""
        return any(one is not None for one in key) and self.rate > 0.0  # type: ignore[attr-defined]

    def kept(self, shape: tuple[int, ...], *key: Any) -> Any:
        """Draw True with probability 1 - rate."""
        return jax.random.bernoulli(key[0], 1.0 - self.rate, shape)  # type: ignore[attr-defined]


globals().update(classes(FAULTS, "jax", Binding, on_jax.MultiHeadAttention))
