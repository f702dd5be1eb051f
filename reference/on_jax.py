"""Multi-head attention on JAX, as the paper writes it.

    MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W_o + b_o
    head_i = Attention(Q W_q^i + b_q^i, K W_k^i + b_k^i, V W_v^i + b_v^i)
    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V

(Vaswani et al. 2017, section 3.2.)  Head i owns the columns i d_k to (i + 1) d_k of W_q, W_k and W_v and
the same rows of W_o.  A mask holds 0 where attention is blocked and 1 where it is allowed; a query that
may see no key attends to nothing: its weights are zeros.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from .arguments import check_shapes, check_sizes


class MultiHeadAttention:
    """Multi-head attention, computed in the floating-point type of its inputs.

    Weights are stored (in, out): a projected row is ``x @ W_q + b_q``.  Without `bias` the biases are
    None.  `forward` is pure and can be jitted, mapped and differentiated; dropout is on exactly where it
    is given a key.

    Raises:
        ValueError: the sizes are not positive, d_model is no multiple of num_heads, or dropout lies
            outside [0, 1).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        key: Array | None = None,
    ) -> None:
        check_sizes(d_model, num_heads, dropout)
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.rate = dropout
        keys = jax.random.split(jax.random.key(0) if key is None else key, 4)
        self.W_q, self.W_k, self.W_v, self.W_o = (self.initial_weights(one) for one in keys)
        self.b_q, self.b_k, self.b_v, self.b_o = (jnp.zeros(d_model) if bias else None for _ in range(4))

    def initial_weights(self, key: Array) -> Float[Array, "d d"]:
        """Xavier-uniform: U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
        a = sqrt(6.0 / (self.d_model + self.d_model))
        return jax.random.uniform(key, (self.d_model, self.d_model), minval=-a, maxval=a)

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Array, Array]:
        """Return `forward` of the same arguments."""
        return self.forward(*args, **kwargs)

    def forward(
        self,
        Q: Float[Array, "B n_q d"],
        K: Float[Array, "B n_k d"],
        V: Float[Array, "B n_k d"],
        mask: Array | None = None,
        *,
        is_causal: bool = False,
        dropout_key: Array | None = None,
    ) -> tuple[Float[Array, "B n_q d"], Float[Array, "B h n_q n_k"]]:
        """Return the output and the attention weights of every head, after dropout where it is on.

        Args:
            Q: what asks.
            K: what is asked.
            V: what is answered with, one row a key.
            mask: 0 (or False) blocks, 1 (or True) allows; broadcasts to (B, h, n_q, n_k).
            is_causal: query i sees the keys 0 to i alone, those of the mask among them.
            dropout_key: turns dropout on.

        Raises:
            ValueError: shapes that do not fit, or a mask that holds something else than 0 and 1 (the
                values of a mask that is being traced cannot be looked at: there, what is not 0 allows).
        """
        allowed = self.allowed(Q, K, V, mask, is_causal)
        with jax.default_matmul_precision("highest"):  # some accelerators round the factors otherwise
            q, k, v = (self.split_heads(x) for x in self.project(Q, K, V))
            context, weights = self.scaled_dot_product_attention(q, k, v, allowed, dropout_key)
            return self.project_output(self.combine_heads(context)), weights

    def allowed(
        self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool
    ) -> Bool[Array, ...] | None:
        """Return where attention is allowed, or None for everywhere; refuse what does not fit."""
        shape = None if mask is None else np.shape(mask)
        *_, n_q, n_k = check_shapes(self.d_model, self.num_heads, Q.shape, K.shape, V.shape, shape)
        if (
            mask is not None
            and not isinstance(mask, jax.core.Tracer)
            and not ((mask == 0) | (mask == 1)).all()
        ):
            raise ValueError("mask must hold 0 (blocked) and 1 (allowed) alone; additive masks are not taken")
        allowed = None if mask is None else mask != 0
        if not is_causal:
            return allowed
        causal = self.causal(n_q, n_k)
        return causal if allowed is None else causal & allowed

    def causal(self, n_q: int, n_k: int) -> Bool[Array, "n_q n_k"]:
        """Query i sees the keys 0 to i: the diagonal starts at the top left, whatever the lengths."""
        return jnp.tril(jnp.ones((n_q, n_k), dtype=bool))

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        """Q W_q + b_q, K W_k + b_k, V W_v + b_v."""
        return (
            self.linear(Q, self.W_q, self.b_q),
            self.linear(K, self.W_k, self.b_k),
            self.linear(V, self.W_v, self.b_v),
        )

    def project_output(self, combined: Float[Array, "B n_q d"]) -> Float[Array, "B n_q d"]:
        """Concat(head_1, ..., head_h) W_o + b_o."""
        return self.linear(combined, self.W_o, self.b_o)

    def linear(self, x: Array, W: Array, b: Array | None) -> Array:
        """Return x W + b in the type of x."""
        y = x @ W.astype(x.dtype)
        return y if b is None else y + b.astype(x.dtype)

    def split_heads(self, x: Float[Array, "B n d"]) -> Float[Array, "B h n d_k"]:
        """Give each head its d_k columns."""
        B, n, _ = x.shape
        return x.reshape(B, n, self.num_heads, self.d_k).swapaxes(1, 2)

    def combine_heads(self, x: Float[Array, "B h n d_k"]) -> Float[Array, "B n d"]:
        """Concat(head_1, ..., head_h)."""
        B, _, n, _ = x.shape
        return x.swapaxes(1, 2).reshape(B, n, self.d_model)

    def scaled_dot_product_attention(
        self,
        Q: Float[Array, "B h n_q d_k"],
        K: Float[Array, "B h n_k d_k"],
        V: Float[Array, "B h n_k d_k"],
        mask: Array | None = None,
        dropout_key: Array | None = None,
    ) -> tuple[Float[Array, "B h n_q d_k"], Float[Array, "B h n_q n_k"]]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        weights = self.softmax(self.scores(Q, K), None if mask is None else mask != 0)
        weights = self.drop(weights, dropout_key)
        return self.attend(weights, V), weights

    def scores(self, Q: Array, K: Array) -> Float[Array, "B h n_q n_k"]:
        """Q K^T / sqrt(d_k)."""
        return (Q @ K.swapaxes(-2, -1)) * self.scale()

    def scale(self) -> float:
        """1 / sqrt(d_k): keeps the scores of independent unit normals at unit variance."""
        return 1.0 / sqrt(self.d_k)

    def softmax(self, scores: Array, allowed: Array | None) -> Float[Array, "B h n_q n_k"]:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        if allowed is not None:
            scores = jnp.where(allowed, scores, -jnp.inf)
        peak = jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True, initial=-jnp.inf))
        powers = jnp.exp(scores - jnp.where(jnp.isneginf(peak), 0.0, peak))
        total = powers.sum(axis=-1, keepdims=True)
        return powers / jnp.where(total == 0, 1.0, total)

    def drop(self, weights: Array, key: Array | None) -> Float[Array, "B h n_q n_k"]:
        """Set each weight to zero with probability `rate`, and divide the others by 1 - rate."""
        if key is None or self.rate == 0.0:
            return weights
        kept = jax.random.bernoulli(key, 1.0 - self.rate, weights.shape)
        return jnp.where(kept, weights / (1.0 - self.rate), 0.0)

    def attend(self, weights: Array, V: Array) -> Float[Array, "B h n_q d_k"]:
        """Return the mean of the value rows under each query's weights."""
        return weights @ V
