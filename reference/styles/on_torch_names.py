"""Right implementations on PyTorch under the names that well-known code bases use."""

from __future__ import annotations

from torch import Tensor, nn

from ..on_torch import MultiHeadAttention


class AnnotatedTransformer(MultiHeadAttention):
    """Heads before width, four layers in a list, output alone: as "The Annotated Transformer" has it."""

    def __init__(self, h: int, d_model: int, dropout: float = 0.0) -> None:
        super().__init__(d_model, h, dropout=dropout)
        self.linears = nn.ModuleList([self.W_q, self.W_k, self.W_v, self.W_o])
        del self.W_q, self.W_k, self.W_v, self.W_o
        self.attn: Tensor | None = None

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return the output."""
        output, self.attn = super().forward(query, key, value, mask)
        return output

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project each input by its layer."""
        return self.linears[0](Q), self.linears[1](K), self.linears[2](V)

    def project_output(self, combined: Tensor) -> Tensor:
        """Project by the last layer."""
        output: Tensor = self.linears[-1](combined)
        return output


class ProjectionNames(MultiHeadAttention):
    """embed_dim; q_proj, k_proj, v_proj and out_proj."""

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__(embed_dim, num_heads, bias=bias, dropout=dropout)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = self.W_q, self.W_k, self.W_v, self.W_o
        del self.W_q, self.W_k, self.W_v, self.W_o

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the attention weights of every head."""
        return super().forward(query, key, value, attn_mask, is_causal=is_causal)

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project each input by its layer."""
        return self.q_proj(Q), self.k_proj(K), self.v_proj(V)

    def project_output(self, combined: Tensor) -> Tensor:
        """Project by the last layer."""
        output: Tensor = self.out_proj(combined)
        return output


class ToNames(MultiHeadAttention):
    """dim and heads; to_q, to_k, to_v and to_out, without biases."""

    def __init__(self, dim: int, heads: int = 8, dropout: float = 0.0) -> None:
        super().__init__(dim, heads, bias=False, dropout=dropout)
        self.to_q, self.to_k, self.to_v, self.to_out = self.W_q, self.W_k, self.W_v, self.W_o
        del self.W_q, self.W_k, self.W_v, self.W_o

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project each input by its layer."""
        return self.to_q(Q), self.to_k(K), self.to_v(V)

    def project_output(self, combined: Tensor) -> Tensor:
        """Project by the last layer."""
        output: Tensor = self.to_out(combined)
        return output


class BertNames(MultiHeadAttention):
    """hidden_size and num_attention_heads; query, key, value and dense."""

    def __init__(self, hidden_size: int, num_attention_heads: int, dropout: float = 0.0) -> None:
        super().__init__(hidden_size, num_attention_heads, dropout=dropout)
        self.query, self.key, self.value, self.dense = self.W_q, self.W_k, self.W_v, self.W_o
        del self.W_q, self.W_k, self.W_v, self.W_o

    def project(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project each input by its layer."""
        return self.query(Q), self.key(K), self.value(V)

    def project_output(self, combined: Tensor) -> Tensor:
        """Project by the last layer."""
        output: Tensor = self.dense(combined)
        return output


class KerasNames(MultiHeadAttention):
    """num_heads first; query, value, key in this order; attention_mask and use_causal_mask."""

    def __init__(self, num_heads: int, d_model: int, *, use_bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__(d_model, num_heads, bias=use_bias, dropout=dropout)

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor,
        attention_mask: Tensor | None = None,
        *,
        use_causal_mask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the attention weights of every head."""
        return super().forward(query, key, value, attention_mask, is_causal=use_causal_mask)
