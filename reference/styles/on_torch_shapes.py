"""Right implementations on PyTorch whose arguments, weights or results are not shaped as the tutorial's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..on_torch import MultiHeadAttention


class SelfAttention(MultiHeadAttention):
    """Takes one array, which is query, key and value, and returns the output alone."""

    def forward(  # type: ignore[override]
        self, x: Tensor, mask: Tensor | None = None, *, is_causal: bool = False
    ) -> Tensor:
        """Return the output."""
        return super().forward(x, x, x, mask, is_causal=is_causal)[0]


class CausalSelfAttention(MultiHeadAttention):
    """Is causal in every call, by a triangle that it holds, and cannot be asked not to be."""

    def __init__(self, d_model: int, num_heads: int, *, bias: bool = True, block_size: int = 1024) -> None:
        super().__init__(d_model, num_heads, bias=bias)
        self.register_buffer("tril", torch.ones(block_size, block_size).tril())

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return the output."""
        tril = self.get_buffer("tril")
        return super().forward(x, x, x, tril[: x.shape[1], : x.shape[1]])[0]


class SequenceFirst(MultiHeadAttention):
    """Puts the sequence before the batch, as torch's own layer does unless told."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the output (n_q, B, d) and the attention weights (B, h, n_q, n_k)."""
        Q, K, V = (x.transpose(0, 1) for x in (query, key, value))
        output, weights = super().forward(Q, K, V, mask)
        return output.transpose(0, 1), weights


class KeysToSee(MultiHeadAttention):
    """Takes a mask (B, n_k) alone, True where a key may be seen, and adds the axes of heads and queries."""

    def forward(  # type: ignore[override]
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the attention weights."""
        if mask is not None and mask.shape != K.shape[:2]:
            raise ValueError(f"the mask has shape {tuple(mask.shape)}; expected {tuple(K.shape[:2])}")
        return super().forward(Q, K, V, None if mask is None else mask[:, None, None, :])


class HeadsApart(MultiHeadAttention):
    """Stores its matrices with an axis for the heads: (h, d, d_k), and (h, d_k, d) for the output."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__(d_model, num_heads, bias=False)
        inward = {name: getattr(self, name).weight.detach().T for name in ("W_q", "W_k", "W_v")}
        outward = self.W_o.weight.detach().T
        del self.W_q, self.W_k, self.W_v, self.W_o
        for name, W in inward.items():
            apart = W.reshape(d_model, num_heads, self.d_k).transpose(0, 1)
            self.register_parameter(name, nn.Parameter(apart.clone()))
        self.W_o = nn.Parameter(outward.reshape(num_heads, self.d_k, d_model).clone())  # type: ignore[assignment]

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project for each head, heads and columns run together."""
        q, k, v = (
            torch.einsum("bnd,hdk->bnhk", x, W).flatten(2)
            for x, W in ((Q, self.W_q), (K, self.W_k), (V, self.W_v))
        )
        return q, k, v

    def project_output(self, combined: Tensor) -> Tensor:
        """Sum head_i W_o^i over the heads."""
        apart = combined.reshape(*combined.shape[:-1], self.num_heads, self.d_k)
        return torch.einsum("bnhk,hkd->bnd", apart, self.W_o)


@dataclass
class Attended:
    """What an attention returns."""

    attentions: Tensor
    last_hidden_state: Tensor


@dataclass
class Sizes:
    """What an attention is built from."""

    hidden_size: int = 512
    num_attention_heads: int = 8
    attention_dropout: float = 0.0


class ConfiguredAndNamed(MultiHeadAttention):
    """Takes its sizes from an object, and returns its results in one."""

    def __init__(self, config: Sizes) -> None:
        super().__init__(config.hidden_size, config.num_attention_heads, dropout=config.attention_dropout)

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Attended:
        """Return the output and the attention weights."""
        output, weights = super().forward(query, key, value, mask)
        return Attended(weights, output)
