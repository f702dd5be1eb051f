"""The attention of our decoder, on PyTorch."""

from __future__ import annotations

from math import inf, sqrt

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017)."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if d_model <= 0 or num_heads <= 0 or d_model % num_heads:
            raise ValueError(
                f"num_heads must divide d_model, got d_model={d_model} and num_heads={num_heads}"
            )
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model) for _ in range(4))
        for projection in (self.W_q, self.W_k, self.W_v, self.W_o):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the output and the weights of every head; a mask holds 0 where attention is blocked."""
        q, k, v = (
            projection(x).unflatten(-1, (self.num_heads, self.d_k)).transpose(1, 2)
            for projection, x in ((self.W_q, Q), (self.W_k, K), (self.W_v, V))
        )
        scores = q @ k.transpose(-2, -1) / sqrt(self.d_k)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -inf)
        weights = torch.softmax(scores, dim=-1)
        return self.W_o((weights @ v).transpose(1, 2).flatten(2)), weights
