"""Right implementations on PyTorch that compute the same formula another way."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..on_torch import MultiHeadAttention


class Einsum(MultiHeadAttention):
    """Names the axes that meet, and moves none."""

    def scores(self, Q: Tensor, K: Tensor) -> Tensor:
        """Q K^T / sqrt(d_k)."""
        return torch.einsum("bhqc,bhkc->bhqk", Q, K) * self.scale()

    def attend(self, weights: Tensor, V: Tensor) -> Tensor:
        """Return the mean of the value rows under each query's weights."""
        return torch.einsum("bhqk,bhkc->bhqc", weights, V)


class HeadByHead(MultiHeadAttention):
    """Adds head_i W_o^i up, head after head, and concatenates nothing."""

    def forward(
        self,
        Q: Tensor,
        K: Tensor,
        V: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the attention weights of every head."""
        allowed = self.allowed(Q, K, V, mask, is_causal)
        if allowed is not None:
            allowed = allowed.expand(Q.shape[0], self.num_heads, Q.shape[1], K.shape[1])
        projected = (torch.split(x, self.d_k, dim=-1) for x in self.project(Q, K, V))
        blocks = torch.split(self.W_o.weight.T, self.d_k)
        output, maps = torch.zeros_like(Q), []
        for i, (q, k, v, W_o) in enumerate(zip(*projected, blocks, strict=True)):
            weights = self.drop(self.softmax(self.scores(q, k), None if allowed is None else allowed[:, i]))
            output = output + self.attend(weights, v) @ W_o
            maps.append(weights)
        if self.W_o.bias is not None:
            output = output + self.W_o.bias
        return output, torch.stack(maps, dim=1)


class PackedProjections(MultiHeadAttention):
    """Keeps W_q, W_k and W_v in one matrix, each started with its own fan."""

    def __init__(self, d_model: int, num_heads: int, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__(d_model, num_heads, bias=bias, dropout=dropout)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        with torch.no_grad():
            self.qkv.weight.copy_(torch.cat([self.W_q.weight, self.W_k.weight, self.W_v.weight]))
            if bias:
                self.qkv.bias.zero_()
        del self.W_q, self.W_k, self.W_v

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project each input by its third."""
        weights = self.qkv.weight.chunk(3)
        biases = (None,) * 3 if self.qkv.bias is None else self.qkv.bias.chunk(3)
        q, k, v = (nn.functional.linear(x, W, b) for x, W, b in zip((Q, K, V), weights, biases, strict=True))
        return q, k, v


class OnlineSoftmax(MultiHeadAttention):
    """Takes the keys tile by tile, and rescales what it has where the maximum grows (Dao et al. 2022)."""

    tile = 16

    def scaled_dot_product_attention(
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        scores = self.scores(Q, K)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        context = torch.zeros_like(Q)
        total = Q.new_zeros((*Q.shape[:-1], 1))
        peak = torch.full_like(total, -torch.inf)
        powers, peaks = [], []
        for s, v in zip(
            torch.split(scores, self.tile, dim=-1), torch.split(V, self.tile, dim=-2), strict=True
        ):
            if s.shape[-1]:
                grown = torch.maximum(peak, self.largest(s))
                # A row may have met no allowed key yet: -inf - -inf would be NaN.
                level = torch.where(grown.isfinite(), grown, 0.0)
                p, rescale = torch.exp(s - level), torch.exp(peak - level)
                kept = self.drop(p)
                context = context * rescale + kept @ v
                total = total * rescale + p.sum(dim=-1, keepdim=True)
                peak = grown
                powers.append(kept)
                peaks.append(level)
        total = torch.where(total == 0, 1.0, total)
        level = torch.where(peak.isfinite(), peak, 0.0)
        weights = [p * torch.exp(own - level) / total for p, own in zip(powers, peaks, strict=True)]
        return context / total, torch.cat(weights, dim=-1) if weights else scores

    def largest(self, tile: Tensor) -> Tensor:
        """Return the largest score of each row of a tile; no gradient passes it."""
        return tile.detach().amax(dim=-1, keepdim=True)


class OnlineSoftmaxInGraph(OnlineSoftmax):
    """Leaves the running maximum in the graph, where gradients pass it once for each tile."""

    def largest(self, tile: Tensor) -> Tensor:
        """Return the largest score of each row of a tile."""
        return tile.amax(dim=-1, keepdim=True)


class JoinedTiles(MultiHeadAttention):
    """Takes a softmax of each tile of keys, and weighs the tiles by their sums (split-K, flash decoding)."""

    tile = 64

    def scaled_dot_product_attention(
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        scores = self.scores(Q, K)
        if not scores.shape[-1]:
            return torch.zeros_like(Q), scores
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        peaks, totals, contexts, powers = [], [], [], []
        for s, v in zip(
            torch.split(scores, self.tile, dim=-1), torch.split(V, self.tile, dim=-2), strict=True
        ):
            peak = s.amax(dim=-1, keepdim=True)
            power = torch.exp(s - torch.where(peak.isfinite(), peak, 0.0))
            kept = self.drop(power)
            peaks.append(peak)
            totals.append(power.sum(dim=-1, keepdim=True))
            contexts.append(kept @ v)
            powers.append(kept)
        largest = torch.cat(peaks, dim=-1).amax(dim=-1, keepdim=True)
        level = torch.where(largest.isfinite(), largest, 0.0)
        shares = [torch.exp(peak - level) for peak in peaks]
        total = torch.stack([one * share for one, share in zip(totals, shares, strict=True)]).sum(dim=0)
        total = torch.where(total == 0, 1.0, total)
        context = torch.stack([one * share for one, share in zip(contexts, shares, strict=True)]).sum(dim=0)
        weights = torch.cat([one * share for one, share in zip(powers, shares, strict=True)], dim=-1)
        return context / total, weights / total


class ChunkedQueries(MultiHeadAttention):
    """Attends for a few queries at a time, so that the scores never exist as a whole."""

    chunk = 3

    def scaled_dot_product_attention(
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        chunks = torch.split(Q, self.chunk, dim=-2)
        masks: tuple[Tensor | None, ...] = (None,) * len(chunks)
        if mask is not None:
            masks = torch.split(mask.expand(*Q.shape[:-1], K.shape[-2]), self.chunk, dim=-2)
        attended = [
            super(ChunkedQueries, self).scaled_dot_product_attention(q, K, V, m)
            for q, m in zip(chunks, masks, strict=True)
        ]
        contexts, weights = zip(*attended, strict=True)
        return torch.cat(contexts, dim=-2), torch.cat(weights, dim=-2)


class SplitScale(MultiHeadAttention):
    """Multiplies query and key by the fourth root of 1 / d_k each, so that the product cannot overflow."""

    def scores(self, Q: Tensor, K: Tensor) -> Tensor:
        """Q K^T / sqrt(d_k)."""
        root = sqrt(self.scale())
        return (Q * root) @ (K * root).swapaxes(-2, -1)


class ScaledQuery(MultiHeadAttention):
    """Scales the query before the product."""

    def scores(self, Q: Tensor, K: Tensor) -> Tensor:
        """Q K^T / sqrt(d_k)."""
        return (Q * self.scale()) @ K.swapaxes(-2, -1)


class CallersScale(MultiHeadAttention):
    """Takes another scale than 1/sqrt(d_k) from its caller: any, zero and negative ones included."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        super().__init__(d_model, num_heads, bias=bias, dropout=dropout)
        self.chosen = scale

    def scale(self) -> float:
        """Return the caller's scale where there is one."""
        return super().scale() if self.chosen is None else self.chosen


class FiniteFill(MultiHeadAttention):
    """Fills with the type's least number alone, so that a row with no allowed key is uniform."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, or over all where none is allowed."""
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=-1)


class InfiniteFill(MultiHeadAttention):
    """Fills with minus infinity, and keeps rows with no allowed key away from it."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        if allowed is None:
            return torch.softmax(scores, dim=-1)
        empty = ~allowed.any(dim=-1, keepdim=True)
        weights = torch.softmax(scores.masked_fill(~(allowed | empty), -torch.inf), dim=-1)
        return weights.masked_fill(empty, 0.0)


class UpcastSoftmax(MultiHeadAttention):
    """Takes the softmax in float32 at least, and rounds the weights to the type of the scores."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return super().softmax(wide, allowed).to(scores.dtype)


class LogSoftmax(MultiHeadAttention):
    """Keeps the logarithms of the weights, and takes their exponential last."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        if allowed is None:
            return torch.exp(torch.log_softmax(scores, dim=-1))
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return torch.exp(torch.log_softmax(scores, dim=-1)).masked_fill(~allowed, 0.0)


class LogSumExp(MultiHeadAttention):
    """Subtracts the log sum exp, whose rounding all weights of a row share, as flash kernels do backwards."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j - log sum_j exp(s_j)) over the allowed keys j, zeros where there are none."""
        if allowed is None:
            return torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        total = torch.logsumexp(scores, dim=-1, keepdim=True)
        return torch.exp(scores - total).masked_fill(~allowed, 0.0)


class SoftmaxByHand(MultiHeadAttention):
    """Writes the softmax out, and leaves its maximum in the graph, where gradients pass it."""

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        """exp(s_j - max s) / sum_j exp(s_j - max s), or 1 / n_k where no key is allowed."""
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        powers = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
        return powers / powers.sum(dim=-1, keepdim=True)


class CausalToTheLastKey(FiniteFill):
    """Its last query sees the last key, so that of more queries than keys the first see none."""

    headcheck: ClassVar = {"causal_alignment": "bottom-right"}

    def causal(self, n_q: int, n_k: int) -> Tensor:
        """Query i sees the keys up to i + n_k - n_q."""
        return torch.ones((n_q, n_k), dtype=torch.bool).tril(n_k - n_q)


class ShiftedLogits(MultiHeadAttention):
    """Adds one constant to all logits, which a softmax does not see: no fault, though it looks like one."""

    def scores(self, Q: Tensor, K: Tensor) -> Tensor:
        """Q K^T / sqrt(d_k) + 1."""
        return super().scores(Q, K) + 1.0


class DoubleInside(MultiHeadAttention):
    """Computes in float64 whatever comes in, and rounds once at the end."""

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q W_q + b_q, K W_k + b_k, V W_v + b_v."""
        return self.linear(self.W_q, Q), self.linear(self.W_k, K), self.linear(self.W_v, V)

    def project_output(self, combined: Tensor) -> Tensor:
        """Concat(head_1, ..., head_h) W_o + b_o."""
        return self.linear(self.W_o, combined).to(self.W_o.weight.dtype)

    def scaled_dot_product_attention(
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        context, weights = super().scaled_dot_product_attention(Q, K, V, mask)
        return context, weights.to(self.W_o.weight.dtype)

    def linear(self, layer: nn.Linear, x: Tensor) -> Tensor:
        """Return what a layer makes of x, in float64."""
        return nn.functional.linear(
            x.double(), layer.weight.double(), None if layer.bias is None else layer.bias.double()
        )


class TransposedMemory(MultiHeadAttention):
    """Stores keys and values column by column, and folds heads into the batch."""

    def scores(self, Q: Tensor, K: Tensor) -> Tensor:
        """Q K^T / sqrt(d_k)."""
        B, h, n_q, d_k = Q.shape
        n_k = K.shape[-2]
        columns = K.swapaxes(-2, -1).contiguous().reshape(B * h, d_k, n_k)
        return torch.bmm(Q.reshape(B * h, n_q, d_k), columns).reshape(B, h, n_q, n_k) * self.scale()

    def attend(self, weights: Tensor, V: Tensor) -> Tensor:
        """Return the mean of the value rows under each query's weights."""
        columns = V.swapaxes(-2, -1).contiguous()
        return (columns @ weights.swapaxes(-2, -1)).swapaxes(-2, -1)


class Fused(MultiHeadAttention):
    """Leaves the work to torch's fused kernel, which returns no attention weights."""

    def forward(  # type: ignore[override]
        self,
        Q: Tensor,
        K: Tensor,
        V: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the output."""
        allowed = self.allowed(Q, K, V, mask, is_causal)
        q, k, v = (self.split_heads(x) for x in self.project(Q, K, V))
        if allowed is None:
            # Without a mask, torch 2.13 answers zeros for a query of NaN where there are fewer than 16 keys.
            allowed = torch.ones((), dtype=torch.bool, device=Q.device)
        allowed = allowed.expand(*q.shape[:-1], k.shape[-2])
        empty = ~allowed.any(dim=-1, keepdim=True)  # 0 / 0 in some kernels
        rate = self.dropout.p if self.training else 0.0
        context = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=allowed | empty, dropout_p=rate
        )
        return self.project_output(self.combine_heads(context.masked_fill(empty, 0.0)))
