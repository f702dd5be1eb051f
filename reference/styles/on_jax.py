"""Right implementations on JAX that compute the same formula another way."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ..on_jax import MultiHeadAttention


class Einsum(MultiHeadAttention):
    """Names the axes that meet, and moves none."""

    def scores(self, Q: Array, K: Array) -> Array:
        """Q K^T / sqrt(d_k)."""
        return jnp.einsum("bhqc,bhkc->bhqk", Q, K) * self.scale()

    def attend(self, weights: Array, V: Array) -> Array:
        """Return the mean of the value rows under each query's weights."""
        return jnp.einsum("bhqk,bhkc->bhqc", weights, V)


class VmappedHeads(MultiHeadAttention):
    """Writes the attention of one head of one example, and maps it over heads and batch."""

    def scaled_dot_product_attention(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        dropout_key: Array | None = None,
    ) -> tuple[Array, Array]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        if mask is not None:
            mask = jnp.broadcast_to(mask != 0, (*Q.shape[:-1], K.shape[-2]))

        def one_head(q: Array, k: Array, allowed: Array | None) -> Array:
            return self.softmax(self.scores(q, k), allowed)

        axes = (0, 0, None if mask is None else 0)
        weights = jax.vmap(jax.vmap(one_head, axes), axes)(Q, K, mask)
        weights = self.drop(weights, dropout_key)
        return jax.vmap(jax.vmap(self.attend))(weights, V), weights


class ScannedQueries(MultiHeadAttention):
    """Attends for one query after another, so that the scores never exist as a whole."""

    def scaled_dot_product_attention(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        dropout_key: Array | None = None,
    ) -> tuple[Array, Array]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        shape = (*Q.shape[:-1], K.shape[-2])
        kept = self.drop(jnp.ones(shape, Q.dtype), dropout_key)
        allowed = jnp.ones(shape, bool) if mask is None else jnp.broadcast_to(mask != 0, shape)

        def step(count: Array, query: Any) -> tuple[Array, tuple[Array, Array]]:
            q, seen, keep = query
            weights = self.softmax(self.scores(q[:, :, None], K), seen[:, :, None]) * keep[:, :, None]
            return count + 1, (self.attend(weights, V)[:, :, 0], weights[:, :, 0])

        by_query = tuple(jnp.moveaxis(x, 2, 0) for x in (Q, allowed, kept))
        _, (context, weights) = jax.lax.scan(step, jnp.zeros((), int), by_query)
        return jnp.moveaxis(context, 0, 2), jnp.moveaxis(weights, 0, 2)


class ScannedKeys(MultiHeadAttention):
    """Meets one key after another, sums in float32 at least, and lets gradients pass the running maximum."""

    def scaled_dot_product_attention(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        dropout_key: Array | None = None,
    ) -> tuple[Array, Array]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        scores = self.scores(Q, K).astype(jnp.promote_types(Q.dtype, jnp.float32))
        if mask is not None:
            scores = jnp.where(mask != 0, scores, -jnp.inf)
        kept = self.drop(jnp.ones_like(scores), dropout_key)

        def step(so_far: tuple[Array, Array, Array], key: Any) -> tuple[tuple[Array, Array, Array], None]:
            peak, total, context = so_far
            s, keep, v = key
            grown = jnp.maximum(peak, s)
            level = jnp.where(jnp.isneginf(grown), 0.0, grown)  # no key was allowed yet
            rescale, power = jnp.exp(peak - level), jnp.exp(s - level)
            context = context * rescale[..., None] + (power * keep)[..., None] * v[:, :, None]
            return (grown, total * rescale + power, context), None

        nothing = jnp.zeros(Q.shape, scores.dtype)
        start = (jnp.full(Q.shape[:-1], -jnp.inf, scores.dtype), nothing[..., 0], nothing)
        by_key = (jnp.moveaxis(scores, -1, 0), jnp.moveaxis(kept, -1, 0), jnp.moveaxis(V, 2, 0))
        (peak, total, context), _ = jax.lax.scan(step, start, by_key)
        peak = jnp.where(jnp.isneginf(peak), 0.0, peak)[..., None]
        total = jnp.where(total == 0, 1.0, total)[..., None]
        weights = jnp.exp(scores - peak) / total * kept
        return (context / total).astype(Q.dtype), weights.astype(Q.dtype)


class SoftmaxByHand(MultiHeadAttention):
    """Writes the softmax out, and lets gradients pass its maximum."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        """exp(s_j - max s) / sum_j exp(s_j - max s), or 1 / n_k where no key is allowed."""
        if allowed is not None:
            scores = jnp.where(allowed, scores, jnp.finfo(scores.dtype).min)  # type: ignore[no-untyped-call]
        powers = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
        weights: Array = powers / powers.sum(axis=-1, keepdims=True)
        return weights


class Rematerialised(MultiHeadAttention):
    """Forgets scores and weights after the forward pass, and computes them again backwards."""

    def scaled_dot_product_attention(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        dropout_key: Array | None = None,
    ) -> tuple[Array, Array]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        attended: tuple[Array, Array] = jax.checkpoint(super().scaled_dot_product_attention)(
            Q, K, V, mask, dropout_key
        )
        return attended


class OutputAlone(MultiHeadAttention):
    """Returns no attention weights."""

    def forward(  # type: ignore[override]
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        *,
        is_causal: bool = False,
        dropout_key: Array | None = None,
    ) -> Array:
        """Return the output."""
        return super().forward(Q, K, V, mask, is_causal=is_causal, dropout_key=dropout_key)[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Array:  # type: ignore[override]
        """Return `forward` of the same arguments."""
        return self.forward(*args, **kwargs)
