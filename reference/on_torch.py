"""Multi-head attention on PyTorch, as the paper writes it.

    MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W_o + b_o
    head_i = Attention(Q W_q^i + b_q^i, K W_k^i + b_k^i, V W_v^i + b_v^i)
    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V

(Vaswani et al. 2017, section 3.2.)  Head i owns the columns i d_k to (i + 1) d_k of the three projections
and the same columns of what W_o reads.  A mask holds 0 where attention is blocked and 1 where it is
allowed; a query that may see no key attends to nothing: its weights are zeros.
"""

from __future__ import annotations

from math import sqrt

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .arguments import check_shapes, check_sizes


class MultiHeadAttention(nn.Module):
    """Multi-head attention, right in float64, float32, bfloat16 and float16.

    Raises:
        ValueError: the sizes are not positive, d_model is no multiple of num_heads, or dropout lies
            outside [0, 1).
    """

    def __init__(self, d_model: int, num_heads: int, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        check_sizes(d_model, num_heads, dropout)
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.W_q = nn.Linear(d_model, d_model, bias=bias)
        self.W_k = nn.Linear(d_model, d_model, bias=bias)
        self.W_v = nn.Linear(d_model, d_model, bias=bias)
        self.W_o = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights (Glorot and Bengio 2010), zero biases."""
        for linear in (self.W_q, self.W_k, self.W_v, self.W_o):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    def forward(
        self,
        Q: Float[Tensor, "B n_q d"],
        K: Float[Tensor, "B n_k d"],
        V: Float[Tensor, "B n_k d"],
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> tuple[Float[Tensor, "B n_q d"], Float[Tensor, "B h n_q n_k"]]:
        """Return the output and the attention weights of every head, after dropout where it is on.

        Args:
            Q: what asks.
            K: what is asked.
            V: what is answered with, one row a key.
            mask: 0 (or False) blocks, 1 (or True) allows; broadcasts to (B, h, n_q, n_k).
            is_causal: query i sees the keys 0 to i alone, those of the mask among them.

        Raises:
            ValueError: shapes that do not fit, or a mask that holds something else than 0 and 1.
        """
        allowed = self.allowed(Q, K, V, mask, is_causal)
        q, k, v = (self.split_heads(x) for x in self.project(Q, K, V))
        context, weights = self.scaled_dot_product_attention(q, k, v, allowed)
        return self.project_output(self.combine_heads(context)), weights

    def allowed(
        self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, is_causal: bool
    ) -> Bool[Tensor, ...] | None:
        """Return where attention is allowed, or None for everywhere; refuse what does not fit."""
        shape = None if mask is None else mask.shape
        *_, n_q, n_k = check_shapes(self.d_model, self.num_heads, Q.shape, K.shape, V.shape, shape)
        if mask is not None and not bool(((mask == 0) | (mask == 1)).all()):
            raise ValueError("mask must hold 0 (blocked) and 1 (allowed) alone; additive masks are not taken")
        allowed = None if mask is None else mask != 0
        if not is_causal:
            return allowed
        causal = self.causal(n_q, n_k).to(Q.device)
        return causal if allowed is None else causal & allowed

    def causal(self, n_q: int, n_k: int) -> Bool[Tensor, "n_q n_k"]:
        """Query i sees the keys 0 to i: the diagonal starts at the top left, whatever the lengths."""
        return torch.tril(torch.ones((n_q, n_k), dtype=torch.bool))

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q W_q + b_q, K W_k + b_k, V W_v + b_v."""
        return self.W_q(Q), self.W_k(K), self.W_v(V)

    def project_output(self, combined: Float[Tensor, "B n_q d"]) -> Float[Tensor, "B n_q d"]:
        """Concat(head_1, ..., head_h) W_o + b_o."""
        output: Tensor = self.W_o(combined)
        return output

    def split_heads(self, x: Float[Tensor, "B n d"]) -> Float[Tensor, "B h n d_k"]:
        """Give each head its d_k columns."""
        B, n, _ = x.shape
        return x.reshape(B, n, self.num_heads, self.d_k).swapaxes(1, 2)

    def combine_heads(self, x: Float[Tensor, "B h n d_k"]) -> Float[Tensor, "B n d"]:
        """Concat(head_1, ..., head_h)."""
        B, _, n, _ = x.shape
        return x.swapaxes(1, 2).reshape(B, n, self.d_model)

    def scaled_dot_product_attention(
        self,
        Q: Float[Tensor, "B h n_q d_k"],
        K: Float[Tensor, "B h n_k d_k"],
        V: Float[Tensor, "B h n_k d_k"],
        mask: Tensor | None = None,
    ) -> tuple[Float[Tensor, "B h n_q d_k"], Float[Tensor, "B h n_q n_k"]]:
        """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
        weights = self.softmax(self.scores(Q, K), None if mask is None else mask != 0)
        weights = self.drop(weights)
        return self.attend(weights, V), weights

    def scores(self, Q: Tensor, K: Tensor) -> Float[Tensor, "B h n_q n_k"]:
        """Q K^T / sqrt(d_k)."""
        return (Q @ K.swapaxes(-2, -1)) * self.scale()

    def scale(self) -> float:
        """1 / sqrt(d_k): keeps the scores of independent unit normals at unit variance."""
        return 1.0 / sqrt(self.d_k)

    def softmax(self, scores: Tensor, allowed: Tensor | None) -> Float[Tensor, "B h n_q n_k"]:
        """exp(s_j) / sum_j exp(s_j) over the allowed keys j, zeros where there are none."""
        if allowed is None:
            return torch.softmax(scores, dim=-1)
        # The type's own least number: -1e9 is beyond float16, and -inf would make a row without any
        # allowed key 0 / 0.  The second fill makes such a row zeros, and its gradient zeros too.
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=-1).masked_fill(~allowed, 0.0)

    def drop(self, weights: Tensor) -> Float[Tensor, "B h n_q n_k"]:
        """In training, set each weight to zero with probability p, and divide the others by 1 - p."""
        dropped: Tensor = self.dropout(weights)
        return dropped

    def attend(self, weights: Tensor, V: Tensor) -> Float[Tensor, "B h n_q d_k"]:
        """Return the mean of the value rows under each query's weights."""
        return weights @ V
