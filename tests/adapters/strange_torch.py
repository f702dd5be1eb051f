"""Right multi-head attentions that look strange: each has one habit seen in the wild."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Annotated(nn.Module):
    """The Annotated Transformer: four linears in a list, a mask without the heads' axis, weights kept."""

    def __init__(self, h, d_model, dropout=0.1):
        super().__init__()
        assert d_model % h == 0
        self.d_k = d_model // h
        self.h = h
        self.linears = nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])
        self.attn = None
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, query, key, value, mask=None):
        if mask is not None:
            mask = mask.unsqueeze(1)
        nbatches = query.size(0)
        query, key, value = [
            lin(x).view(nbatches, -1, self.h, self.d_k).transpose(1, 2)
            for lin, x in zip(self.linears, (query, key, value), strict=False)
        ]
        scores = query @ key.transpose(-2, -1) / math.sqrt(self.d_k)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        self.attn = scores.softmax(dim=-1)
        x = self.dropout(self.attn) @ value
        return self.linears[-1](x.transpose(1, 2).contiguous().view(nbatches, -1, self.h * self.d_k))


class Bidirectional(nn.Module):
    """minGPT without its causal mask: a configuration, a packed c_attn, one input."""

    def __init__(self, config):
        super().__init__()
        assert config.n_embd % config.n_head == 0
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)
        self.n_head = config.n_head

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = (
            part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(C, dim=2)
        )
        att = F.softmax((q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1))), dim=-1)
        y = self.attn_dropout(att) @ v
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C)))


class CausalSelfAttention(Bidirectional):
    """minGPT with it, and without the line that uses it."""

    def __init__(self, config):
        super().__init__(config)
        size = config.block_size
        self.register_buffer("mask", torch.tril(torch.ones(size, size)).view(1, 1, size, size))


class Raschka(nn.Module):
    """Two widths, a longest length, and a triangle that says causal where the name does not."""

    def __init__(self, d_in, d_out, context_length, dropout, num_heads, qkv_bias=False):
        super().__init__()
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.out_proj = nn.Linear(d_out, d_out)
        self.num_heads = num_heads
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", torch.triu(torch.ones(context_length, context_length), diagonal=1))

    def forward(self, x):
        n = x.shape[1]
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer in (self.W_query, self.W_key, self.W_value)
        )
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(self.mask.bool()[:n, :n], -torch.inf)
        return self.out_proj((self.dropout(scores.softmax(-1)) @ v).transpose(1, 2).flatten(2))


class PackedPerHead(nn.Module):
    """One qkv layer whose rows are cut head by head, as in GPT-NeoX and the Amsterdam tutorials."""

    def __init__(self, input_dim, embed_dim, num_heads):
        super().__init__()
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.qkv_proj = nn.Linear(input_dim, 3 * embed_dim)
        self.o_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x, mask=None, return_attention=False):
        B, n, _ = x.size()
        qkv = self.qkv_proj(x).reshape(B, n, self.num_heads, 3 * self.head_dim).permute(0, 2, 1, 3)
        q, k, v = qkv.chunk(3, dim=-1)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -9e15)
        attention = scores.softmax(dim=-1)
        out = self.o_proj((attention @ v).permute(0, 2, 1, 3).reshape(B, n, self.embed_dim))
        return (out, attention) if return_attention else out


class Head(nn.Module):
    """One head with projections of its own."""

    def __init__(self, d_model, d_k, bias):
        super().__init__()
        self.key = nn.Linear(d_model, d_k, bias=bias)
        self.query = nn.Linear(d_model, d_k, bias=bias)
        self.value = nn.Linear(d_model, d_k, bias=bias)

    def forward(self, q, k, v):
        weights = (self.query(q) @ self.key(k).transpose(-2, -1) * self.key.out_features**-0.5).softmax(-1)
        return weights @ self.value(v), weights


class HeadByHead(nn.Module):
    """A list of whole heads; no mask."""

    def __init__(self, n_embd, num_heads, bias=False):
        super().__init__()
        self.heads = nn.ModuleList([Head(n_embd, n_embd // num_heads, bias) for _ in range(num_heads)])
        self.proj = nn.Linear(n_embd, n_embd, bias=bias)

    def forward(self, q, k, v):
        outs, weights = zip(*(head(q, k, v) for head in self.heads), strict=True)
        return self.proj(torch.cat(outs, dim=-1)), torch.stack(weights, dim=1)


class ListsOfLayers(nn.Module):
    """A list with one layer a head for each of query, key and value."""

    def __init__(self, d_model, heads):
        super().__init__()
        d_k = d_model // heads
        self.q_projs, self.k_projs, self.v_projs = (
            nn.ModuleList([nn.Linear(d_model, d_k) for _ in range(heads)]) for _ in range(3)
        )
        self.to_out = nn.Sequential(nn.Linear(d_model, d_model), nn.Dropout(0.0))

    def forward(self, queries, keys, values, mask=None):
        contexts = []
        for q_proj, k_proj, v_proj in zip(self.q_projs, self.k_projs, self.v_projs, strict=True):
            q, k, v = q_proj(queries), k_proj(keys), v_proj(values)
            scores = q @ k.transpose(1, 2) / math.sqrt(q.size(-1))
            if mask is not None:
                scores = scores.masked_fill(~mask, float("-inf"))
            contexts.append(scores.softmax(-1) @ v)
        return self.to_out(torch.cat(contexts, -1))


class ValuesFirst(nn.Module):
    """Value, key, query in this order, a required mask, other names, weights averaged over the heads."""

    def __init__(self, embed_size, heads):
        super().__init__()
        self.heads, self.head_dim = heads, embed_size // heads
        self.values = nn.Linear(embed_size, embed_size)
        self.keys = nn.Linear(embed_size, embed_size)
        self.queries = nn.Linear(embed_size, embed_size)
        self.fc_out = nn.Linear(embed_size, embed_size)

    def forward(self, values, keys, query, mask):
        N, q_len, k_len = query.shape[0], query.shape[1], keys.shape[1]
        v = self.values(values).reshape(N, k_len, self.heads, self.head_dim)
        k = self.keys(keys).reshape(N, k_len, self.heads, self.head_dim)
        q = self.queries(query).reshape(N, q_len, self.heads, self.head_dim)
        energy = torch.einsum("nqhd,nkhd->nhqk", [q, k]) / self.head_dim**0.5
        if mask is not None:
            energy = energy.masked_fill(mask == 0, -1e20)
        attention = torch.softmax(energy, dim=3)
        out = torch.einsum("nhql,nlhd->nqhd", [attention, v]).reshape(N, q_len, -1)
        return self.fc_out(out), attention.mean(dim=1)


class Bare(nn.Module):
    """Bare parameters in (in, out); weights before output."""

    def __init__(self, d_model, nhead):
        super().__init__()
        self.nhead = nhead
        for name in ("wq", "wk", "wv", "wo"):
            setattr(self, name, nn.Parameter(torch.randn(d_model, d_model)))
        for name in ("bq", "bk", "bv", "bo"):
            setattr(self, name, nn.Parameter(torch.zeros(d_model)))

    def forward(self, q, k, v, attn_bias=None):
        q, k, v = (
            self.project(x, name).unflatten(-1, (self.nhead, -1)).transpose(1, 2)
            for x, name in ((q, "q"), (k, "k"), (v, "v"))
        )
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        weights = (scores if attn_bias is None else scores + attn_bias).softmax(-1)
        return weights, self.project((weights @ v).transpose(1, 2).flatten(2), "o")

    def project(self, x, name):
        return x @ getattr(self, f"w{name}") + getattr(self, f"b{name}")


class BareTransposed(Bare):
    """The same in (out, in), as F.linear reads them."""

    def project(self, x, name):
        return F.linear(x, getattr(self, f"w{name}"), getattr(self, f"b{name}"))


class ThreeAxes(nn.Module):
    """Parameters with an axis for the heads: (h, d, d_k), and (h, d_k, d) for the output; no biases."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        d_k = d_model // num_heads
        self.W_Q, self.W_K, self.W_V = (nn.Parameter(torch.randn(num_heads, d_model, d_k)) for _ in range(3))
        self.W_O = nn.Parameter(torch.randn(num_heads, d_k, d_model))

    def forward(self, Q, K, V, mask=None):
        q, k, v = (
            torch.einsum("bnd,hdk->bhnk", x, W) for x, W in ((Q, self.W_Q), (K, self.W_K), (V, self.W_V))
        )
        scores = q @ k.mT * q.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        return torch.einsum("bhqk,hkd->bqd", weights @ v, self.W_O), weights


class LikeTorch(nn.Module):
    """PyTorch's own manners: sequence first unless told, True blocks, a padding mask, weights on request."""

    headcheck = {"mask_true": "block", "empty_row": "zeros"}  # noqa: RUF012

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, batch_first=False):
        super().__init__()
        self.batch_first, self.num_heads = batch_first, num_heads
        self.in_proj = nn.Linear(embed_dim, 3 * embed_dim, bias=bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, query, key, value, key_padding_mask=None, attn_mask=None, need_weights=False):
        assert self.batch_first
        W, b = self.in_proj.weight.chunk(3), (None, None, None)
        if self.in_proj.bias is not None:
            b = self.in_proj.bias.chunk(3)
        q, k, v = (
            F.linear(x, W[i], b[i]).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for i, x in enumerate((query, key, value))
        )
        blocked = torch.zeros(len(q), 1, q.shape[2], k.shape[2], dtype=torch.bool)
        if attn_mask is not None:
            blocked = blocked | attn_mask
        if key_padding_mask is not None:
            blocked = blocked | key_padding_mask[:, None, None]
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(blocked, -torch.inf)
        weights = scores.softmax(-1).nan_to_num(0.0)
        output = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return output, weights if need_weights else None


def make(d_model, num_heads):
    """A factory: what it makes is the subject."""
    return ThreeAxes(d_model, num_heads)


settings = SimpleNamespace(n_embd=8, n_head=2)
instance = ThreeAxes(8, 2)
