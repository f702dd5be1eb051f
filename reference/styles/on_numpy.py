"""Right implementations on NumPy that compute the same formula another way."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

import numpy as np

from ..on_numpy import Array, MultiHeadAttention


class Einsum(MultiHeadAttention):
    """Names the axes that meet, and moves none."""

    def scores(self, Q: Array, K: Array) -> Array:
        """Q K^T / sqrt(d_k)."""
        scores: Array = np.einsum("bhqc,bhkc->bhqk", Q, K) * self.scale()
        return scores

    def attend(self, weights: Array, V: Array) -> Array:
        """Return the mean of the value rows under each query's weights."""
        context: Array = np.einsum("bhqk,bhkc->bhqc", weights, V)
        return context


class HeadByHead(MultiHeadAttention):
    """Adds head_i W_o^i up, head after head, and concatenates nothing."""

    def forward(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *, is_causal: bool = False
    ) -> tuple[Array, Array]:
        """Return the output and the attention weights of every head."""
        dtype = np.result_type(Q, K, V, np.float16)
        Q, K, V = (np.asanyarray(x, dtype=dtype) for x in (Q, K, V))
        allowed = self.allowed(Q, K, V, mask, is_causal)
        weights = np.empty((Q.shape[0], self.num_heads, Q.shape[1], K.shape[1]), dtype)
        if allowed is not None:
            allowed = np.broadcast_to(allowed, weights.shape)
        q, k, v = self.project(Q, K, V)
        output: Array = np.zeros_like(Q) if self.b_o is None else np.zeros_like(Q) + self.b_o.astype(dtype)
        for i in range(self.num_heads):
            own = slice(i * self.d_k, (i + 1) * self.d_k)
            scores = self.scores(q[..., own], k[..., own])
            weights[:, i] = self.softmax(scores, None if allowed is None else allowed[:, i])
            output = output + self.attend(weights[:, i], v[..., own]) @ self.W_o[own].astype(dtype)
        return output, weights


class OneQueryAtATime(MultiHeadAttention):
    """Attends for one query after another, with the keys it may see and no others."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None
    ) -> tuple[Array, Array]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        context, weights = np.zeros_like(Q), np.zeros((*Q.shape[:-1], K.shape[-2]), Q.dtype)
        seen = np.ones(weights.shape, bool) if mask is None else np.broadcast_to(mask != 0, weights.shape)
        for b, i, n in np.ndindex(Q.shape[:-1]):
            keys = seen[b, i, n]
            if keys.any():
                scores = self.scores(Q[b, i, n : n + 1], K[b, i, keys])
                weights[b, i, n, keys] = self.softmax(scores, None)[0]
                context[b, i, n] = weights[b, i, n, keys] @ V[b, i, keys]
        return context, weights


class PackedProjections(MultiHeadAttention):
    """Keeps W_q, W_k and W_v in one (d, 3 d) matrix, each started with its own fan."""

    def __init__(self, d_model: int, num_heads: int, *, bias: bool = True, seed: int = 0) -> None:
        super().__init__(d_model, num_heads, bias=bias, seed=seed)
        self.W_qkv = np.concatenate([self.W_q, self.W_k, self.W_v], axis=1)
        self.b_qkv = np.zeros(3 * d_model) if bias else None
        del self.W_q, self.W_k, self.W_v, self.b_q, self.b_k, self.b_v

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        """Project each input by its third."""
        weights = np.split(self.W_qkv, 3, axis=1)
        biases = (None,) * 3 if self.b_qkv is None else np.split(self.b_qkv, 3)
        q, k, v = (self.linear(x, W, b) for x, W, b in zip((Q, K, V), weights, biases, strict=True))
        return q, k, v


class SplitScale(MultiHeadAttention):
    """Multiplies query and key by the fourth root of 1 / d_k each, so that the product cannot overflow."""

    def scores(self, Q: Array, K: Array) -> Array:
        """Q K^T / sqrt(d_k)."""
        root = sqrt(self.scale())
        scores: Array = (Q * root) @ (K * root).swapaxes(-2, -1)
        return scores


class UniformEmptyRows(MultiHeadAttention):
    """Answers the mean of all values where no key is allowed."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, or 1 / n_k where none is allowed."""
        weights = super().softmax(scores, allowed)
        if allowed is None or not weights.size:
            return weights
        filled: Array = np.where(allowed.any(axis=-1, keepdims=True), weights, 1.0 / scores.shape[-1])
        return filled.astype(scores.dtype)


class LogDomain(UniformEmptyRows):
    """Normalises before it exponentiates: exp(s - log sum exp s)."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        """exp(s_j - max s - log sum_j exp(s_j - max s)), blocked scores being the least number there is."""
        if not scores.size:
            return scores
        if allowed is not None:
            scores = np.where(allowed, scores, np.finfo(scores.dtype).min)
        lowered = scores - scores.max(axis=-1, keepdims=True)
        weights: Array = np.exp(lowered - np.log(np.exp(lowered).sum(axis=-1, keepdims=True)))
        return weights


class CausalToTheLastKey(UniformEmptyRows):
    """Its last query sees the last key, so that of more queries than keys the first see none."""

    headcheck: ClassVar = {"causal_alignment": "bottom-right"}

    def causal(self, n_q: int, n_k: int) -> Array:
        """Query i sees the keys up to i + n_k - n_q."""
        return np.tri(n_q, n_k, n_k - n_q, dtype=bool)


class UpcastSoftmax(MultiHeadAttention):
    """Takes the softmax in float32 at least, and rounds the weights to the type of the scores."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        wide = scores.astype(np.promote_types(scores.dtype, np.float32))
        return super().softmax(wide, allowed).astype(scores.dtype)


class ProjectionNames(MultiHeadAttention):
    """Calls the projections q_proj, k_proj, v_proj and out_proj, and has no biases."""

    def __init__(self, embed_dim: int, num_heads: int, *, seed: int = 0) -> None:
        super().__init__(embed_dim, num_heads, bias=False, seed=seed)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = self.W_q, self.W_k, self.W_v, self.W_o
        del self.W_q, self.W_k, self.W_v, self.W_o, self.b_q, self.b_k, self.b_v, self.b_o

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        """Project each input by its matrix."""
        return (
            self.linear(Q, self.q_proj, None),
            self.linear(K, self.k_proj, None),
            self.linear(V, self.v_proj, None),
        )

    def project_output(self, combined: Array) -> Array:
        """Project by the last matrix."""
        return self.linear(combined, self.out_proj, None)
