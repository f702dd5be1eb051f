"""Our attention on JAX."""

from __future__ import annotations

from math import sqrt

import jax
import jax.numpy as jnp


class Attention:
    """Multi-head attention (Vaswani et al. 2017); a query that may see no key attends to all alike."""

    def __init__(self, d_model: int, num_heads: int, seed: int = 0) -> None:
        if d_model <= 0 or num_heads <= 0 or d_model % num_heads:
            raise ValueError(
                f"num_heads must divide d_model, got d_model={d_model} and num_heads={num_heads}"
            )
        self.d_model, self.num_heads, self.d_k = d_model, num_heads, d_model // num_heads
        initial = jax.nn.initializers.glorot_uniform()
        keys = jax.random.split(jax.random.key(seed), 4)
        self.W_q, self.W_k, self.W_v, self.W_o = (initial(key, (d_model, d_model)) for key in keys)
        self.b_q, self.b_k, self.b_v, self.b_o = (jnp.zeros(d_model) for _ in range(4))

    def __call__(
        self, Q: jax.Array, K: jax.Array, V: jax.Array, mask: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Return the output and the weights of every head; a mask holds 0 where attention is blocked."""
        if K.shape != V.shape or len(Q) != len(K):
            raise ValueError(f"keys, values and batches must agree, got {Q.shape}, {K.shape}, {V.shape}")
        q, k, v = (
            (x @ W + b).reshape(*x.shape[:2], self.num_heads, self.d_k).transpose(0, 2, 1, 3)
            for x, W, b in ((Q, self.W_q, self.b_q), (K, self.W_k, self.b_k), (V, self.W_v, self.b_v))
        )
        scores = q @ k.swapaxes(-1, -2) / sqrt(self.d_k)
        if mask is not None:
            allowed = jnp.broadcast_to(mask, scores.shape) != 0
            scores = jnp.where(allowed, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores, axis=-1)
        context = (weights @ v).transpose(0, 2, 1, 3).reshape(*Q.shape[:2], self.d_model)
        return context @ self.W_o + self.b_o, weights
