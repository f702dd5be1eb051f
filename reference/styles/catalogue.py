"""The catalogue of styles: right implementations that no requirement may accuse.

Importable without any framework.  `Style.subject` names the class:

    >>> from headcheck.reference.styles.catalogue import STYLES
    >>> STYLES[0].subject
    'headcheck.reference.styles.on_numpy:Einsum'
"""

from __future__ import annotations

from dataclasses import dataclass

from ..faults.steps import Framework


@dataclass(frozen=True)
class Style:
    """One right implementation in another style than the paper's formula."""

    name: str
    framework: Framework
    says: str  # what is different, in a few words
    module: str

    @property
    def subject(self) -> str:
        """Return "module:Class"."""
        return f"{__package__}.{self.module}:{self.name}"


def _styles(framework: Framework, module: str, **ideas: str) -> tuple[Style, ...]:
    return tuple(Style(name, framework, says, module) for name, says in ideas.items())


STYLES: tuple[Style, ...] = (
    *_styles(
        "numpy",
        "on_numpy",
        Einsum="einsum",
        HeadByHead="a sum over heads that concatenates nothing",
        OneQueryAtATime="a loop over queries, each with the keys it may see",
        PackedProjections="one matrix for query, key and value",
        SplitScale="half of the scale on the query and half on the key",
        UniformEmptyRows="the mean of all values where no key is allowed",
        LogDomain="exp(s - log sum exp s), uniform where no key is allowed",
        CausalToTheLastKey="a triangle that ends at the bottom right, empty rows uniform",
        UpcastSoftmax="softmax in float32 at least",
        ProjectionNames="q_proj, k_proj, v_proj, out_proj, and no biases",
    ),
    *_styles(
        "torch",
        "on_torch",
        Einsum="einsum",
        HeadByHead="a sum over heads that concatenates nothing",
        PackedProjections="one matrix for query, key and value",
        OnlineSoftmax="online softmax in tiles",
        OnlineSoftmaxInGraph="online softmax in tiles, its maxima in the graph",
        JoinedTiles="a softmax for each tile, joined at the end",
        ChunkedQueries="a few queries at a time",
        SplitScale="half of the scale on the query and half on the key",
        ScaledQuery="the scale on the query",
        CallersScale="a scale of the caller's own",
        FiniteFill="blocked scores filled with the type's least number, empty rows uniform",
        InfiniteFill="blocked scores filled with minus infinity, empty rows guarded",
        UpcastSoftmax="softmax in float32 at least",
        LogSoftmax="exp(log softmax)",
        LogSumExp="exp(s - log sum exp s)",
        SoftmaxByHand="a softmax written out, its maximum in the graph",
        CausalToTheLastKey="a triangle that ends at the bottom right, empty rows uniform",
        ShiftedLogits="a constant added to all logits",
        DoubleInside="float64 inside",
        TransposedMemory="keys and values stored column by column, heads folded into the batch",
        Fused="torch's fused kernel, no attention weights",
    ),
    *_styles(
        "torch",
        "on_torch_names",
        AnnotatedTransformer="(h, d_model), four layers in a list, output alone",
        ProjectionNames="embed_dim; q_proj, k_proj, v_proj, out_proj",
        ToNames="dim, heads; to_q, to_k, to_v, to_out, no biases",
        BertNames="hidden_size, num_attention_heads; query, key, value, dense",
        KerasNames="query, value, key; attention_mask, use_causal_mask",
    ),
    *_styles(
        "torch",
        "on_torch_shapes",
        SelfAttention="forward(x), output alone",
        CausalSelfAttention="causal in every call, by a triangle",
        SequenceFirst="the sequence before the batch",
        KeysToSee="masks (B, n_k) alone",
        HeadsApart="matrices with an axis for the heads",
        ConfiguredAndNamed="sizes from a dataclass, results in one",
    ),
    *_styles(
        "jax",
        "on_jax",
        Einsum="einsum",
        VmappedHeads="one head of one example, mapped over heads and batch",
        ScannedQueries="a scan over queries",
        ScannedKeys="a scan over keys, its maxima in the graph",
        SoftmaxByHand="a softmax written out, its maximum in the graph",
        Rematerialised="weights computed again backwards",
        OutputAlone="no attention weights",
    ),
)
