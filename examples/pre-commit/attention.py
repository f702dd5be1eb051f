"""The attention of our encoder, on NumPy."""

from __future__ import annotations

import numpy as np


class Attention:
    """Multi-head attention (Vaswani et al. 2017); a row that may see no key attends to nothing."""

    def __init__(self, d_model: int, num_heads: int, seed: int = 0) -> None:
        if d_model <= 0 or num_heads <= 0 or d_model % num_heads:
            raise ValueError(
                f"num_heads must divide d_model, got d_model={d_model} and num_heads={num_heads}"
            )
        self.d_model, self.num_heads, self.d_k = d_model, num_heads, d_model // num_heads
        random, limit = np.random.default_rng(seed), np.sqrt(3 / d_model)
        self.W_q, self.W_k, self.W_v, self.W_o = random.uniform(-limit, limit, (4, d_model, d_model)).copy()
        self.b_q, self.b_k, self.b_v, self.b_o = (np.zeros(d_model) for _ in range(4))

    def split_heads(self, x: np.ndarray) -> np.ndarray:
        """(batch, length, d_model) to (batch, num_heads, length, d_k)."""
        batch, length, _ = x.shape
        return x.reshape(batch, length, self.num_heads, self.d_k).transpose(0, 2, 1, 3)

    def combine_heads(self, x: np.ndarray) -> np.ndarray:
        """(batch, num_heads, length, d_k) to (batch, length, d_model)."""
        batch, _, length, _ = x.shape
        return x.transpose(0, 2, 1, 3).reshape(batch, length, self.d_model)

    def forward(
        self, Q: np.ndarray, K: np.ndarray, V: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the output and the weights of every head; a mask holds 0 where attention is blocked."""
        self.check(Q, K, V)
        dtype = Q.dtype
        q, k, v = (
            self.split_heads(x @ W.astype(dtype) + b.astype(dtype))
            for x, W, b in ((Q, self.W_q, self.b_q), (K, self.W_k, self.b_k), (V, self.W_v, self.b_v))
        )
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(self.d_k).astype(dtype)
        if mask is not None:
            scores = np.where(np.broadcast_to(mask, scores.shape) != 0, scores, -np.inf).astype(dtype)
        weights = softmax(scores)
        context = self.combine_heads(weights @ v)
        return context @ self.W_o.astype(dtype) + self.b_o.astype(dtype), weights

    def check(self, Q: np.ndarray, K: np.ndarray, V: np.ndarray) -> None:
        """Refuse what does not fit, instead of broadcasting it."""
        if any(x.ndim != 3 or x.shape[-1] != self.d_model for x in (Q, K, V)):
            raise ValueError(f"expected (batch, length, {self.d_model}), got {Q.shape}, {K.shape}, {V.shape}")
        if K.shape != V.shape or len(Q) != len(K):
            raise ValueError(f"keys, values and batches must agree, got {Q.shape}, {K.shape}, {V.shape}")


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the softmax over the keys; zeros where no key is allowed."""
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isfinite(peak), peak, 0))
    total = weights.sum(axis=-1, keepdims=True)
    return weights / np.where(total == 0, 1, total).astype(weights.dtype)
