"""Multi-head attention on NumPy, as the paper writes it.

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

import numpy as np
from jaxtyping import Bool, Float

from .arguments import check_shapes, check_sizes

Array = np.ndarray


class MultiHeadAttention:
    """Multi-head attention, computed in the floating-point type of its inputs.

    Weights are stored (in, out), float64: a projected row is ``x @ W_q + b_q``.  Without `bias` the biases
    are None.

    Raises:
        ValueError: the sizes are not positive, or d_model is no multiple of num_heads.
    """

    def __init__(self, d_model: int, num_heads: int, *, bias: bool = True, seed: int = 0) -> None:
        check_sizes(d_model, num_heads)
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        random = np.random.default_rng(seed)
        self.W_q, self.W_k, self.W_v, self.W_o = (self.initial_weights(random) for _ in range(4))
        self.b_q, self.b_k, self.b_v, self.b_o = (np.zeros(d_model) if bias else None for _ in range(4))

    def initial_weights(self, random: np.random.Generator) -> Float[Array, "d d"]:
        """Xavier-uniform: U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
        a = sqrt(6.0 / (self.d_model + self.d_model))
        return random.uniform(-a, a, (self.d_model, self.d_model))

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
    ) -> tuple[Float[Array, "B n_q d"], Float[Array, "B h n_q n_k"]]:
        """Return the output and the attention weights of every head.

        Args:
            Q: what asks.
            K: what is asked.
            V: what is answered with, one row a key.
            mask: 0 (or False) blocks, 1 (or True) allows; broadcasts to (B, h, n_q, n_k).
            is_causal: query i sees the keys 0 to i alone, those of the mask among them.

        Raises:
            ValueError: shapes that do not fit, or a mask that holds something else than 0 and 1.
        """
        dtype = np.result_type(Q, K, V, np.float16)
        Q, K, V = (np.asanyarray(x, dtype=dtype) for x in (Q, K, V))
        allowed = self.allowed(Q, K, V, mask, is_causal)
        q, k, v = (self.split_heads(x) for x in self.project(Q, K, V))
        context, weights = self.scaled_dot_product_attention(q, k, v, allowed)
        return self.project_output(self.combine_heads(context)), weights

    def allowed(
        self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool
    ) -> Bool[Array, ...] | None:
        """Return where attention is allowed, or None for everywhere; refuse what does not fit."""
        mask = None if mask is None else np.asarray(mask)
        shape = None if mask is None else mask.shape
        *_, n_q, n_k = check_shapes(self.d_model, self.num_heads, Q.shape, K.shape, V.shape, shape)
        if mask is not None and not ((mask == 0) | (mask == 1)).all():
            raise ValueError("mask must hold 0 (blocked) and 1 (allowed) alone; additive masks are not taken")
        allowed = None if mask is None else mask != 0
        if not is_causal:
            return allowed
        causal = self.causal(n_q, n_k)
        return causal if allowed is None else causal & allowed

    def causal(self, n_q: int, n_k: int) -> Bool[Array, "n_q n_k"]:
        """Query i sees the keys 0 to i: the diagonal starts at the top left, whatever the lengths."""
        return np.tril(np.ones((n_q, n_k), dtype=bool))

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
        y: Array = x @ W.astype(x.dtype)
        if b is not None:
            y = y + b.astype(x.dtype)
        return y

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
    ) -> tuple[Float[Array, "B h n_q d_k"], Float[Array, "B h n_q n_k"]]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        weights = self.softmax(self.scores(Q, K), None if mask is None else mask != 0)
        return self.attend(weights, V), weights

    def scores(self, Q: Array, K: Array) -> Float[Array, "B h n_q n_k"]:
        """Q K^T / sqrt(d_k)."""
        scores: Array = (Q @ K.swapaxes(-2, -1)) * self.scale()
        return scores

    def scale(self) -> float:
        """1 / sqrt(d_k): keeps the scores of independent unit normals at unit variance."""
        return 1.0 / sqrt(self.d_k)

    def softmax(self, scores: Array, allowed: Array | None) -> Float[Array, "B h n_q n_k"]:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf)
        peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
        powers = np.exp(scores - np.where(np.isneginf(peak), 0.0, peak))
        total = powers.sum(axis=-1, keepdims=True)
        weights: Array = powers / np.where(total == 0, 1.0, total)
        return weights

    def attend(self, weights: Array, V: Array) -> Float[Array, "B h n_q d_k"]:
        """Return the mean of the value rows under each query's weights."""
        context: Array = weights @ V
        return context
