"""The names by which implementations call the same things.

Names are compared in lower case and without underscores: ``embed_dim``, ``embedDim`` and ``EMBED_DIM``
are one.  Only names are looked at, never what a thing computes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Synonyms = Mapping[str, str]  # role -> names, most usual first

CONSTRUCTOR: Synonyms = {
    "d_model": "d_model embed_dim embed_size emb_dim emb_size embedding_dim embedding_size hidden_size "
    "hidden_dim model_dim model_size dim n_embd n_embed num_hiddens num_hidden d d_in d_out in_dim out_dim "
    "dim_in dim_out query_dim input_dim output_dim input_size output_size query_size key_size value_size "
    "in_features out_features qkv_features features n_features channels width n_state emb k",
    "num_heads": "num_heads n_heads heads h n_head nhead num_head head num_attention_heads n_attention_heads "
    "attention_heads num_attn_heads attn_heads nh",
    "num_kv_heads": "num_kv_heads n_kv_heads kv_heads num_key_value_heads",
    "d_k": "d_k d_v d_kv d_head d_q head_dim head_size dim_head dim_heads dim_key dim_value",
    "bias": "bias use_bias qkv_bias with_bias has_bias proj_bias out_bias attention_bias biases",
    "dropout": "dropout dropout_rate dropout_p dropout_prob p_dropout attn_dropout attn_dropout_p attn_drop "
    "attn_pdrop attention_dropout attention_dropout_rate attention_probs_dropout_prob "
    "drop drop_rate p_drop p rate",
    "other dropout": "resid_dropout resid_pdrop residual_dropout proj_drop proj_dropout output_dropout "
    "out_dropout hidden_dropout_prob",
    "scale": "scale attn_scale attention_scale softmax_scale qk_scale sm_scale",
    "causal": "causal is_causal",
    "length": "block_size context_length context_size context_len max_len max_length max_seq_len "
    "max_seq_length seq_len seq_length ctx_len n_ctx max_position_embeddings",
    "batch first": "batch_first",
    "need weights": "return_weights return_attention return_attn output_attentions return_attn_weights "
    "return_attention_weights need_weights",
    "dtype": "dtype",
    "param dtype": "param_dtype",
    "seed": "seed random_seed random_state",
    "key": "key rng rng_key prng_key",
    "rngs": "rngs",
    "index": "layer_idx layer_index layer_id layer block_idx block_index",
    "config": "config cfg configuration conf args hparams",
}

FORWARD: Synonyms = {
    "query": "query queries q x_q q_x inputs_q input_q q_input query_input q_in xq",
    "key": "key keys k x_k k_x inputs_k input_k k_input key_input k_in xk",
    "value": "value values v x_v v_x inputs_v input_v v_input value_input v_in xv",
    "self": "x inputs input hidden_states hidden_state hidden tokens embeddings inp src seq sequence",
    "memory": "context memory kv x_kv inputs_kv encoder_hidden_states key_value_states encoder_output",
    "memory mask": "encoder_attention_mask context_mask memory_mask kv_mask cross_attn_mask",
    "mask": "mask attn_mask attention_mask att_mask masks src_mask tgt_mask qk_mask",
    "additive": "attn_bias attention_bias additive_mask bias",
    "padding": "key_padding_mask padding_mask pad_mask src_key_padding_mask",
    "lengths": "valid_lens valid_len valid_length valid_lengths key_lengths lengths seq_lens",
    "causal": "is_causal causal use_causal_mask",
    "scale": "scale softmax_scale sm_scale",
    "dropout key": "key dropout_key rng rng_key prng_key dropout_rng",
    "rngs": "rngs",
    "need weights": "need_weights return_weights return_attention return_attn output_attentions "
    "return_attention_scores return_attn_weights return_attention_weights with_weights",
    "average": "average_attn_weights",
    "training": "training train is_training",
    "deterministic": "deterministic inference",
}

STAGES: Synonyms = {
    "split": "split_heads split_into_heads split to_heads separate_heads transpose_qkv",
    "combined": "combine_heads merge_heads concat_heads concat join_heads transpose_output",
    "scores": "scores compute_scores attention_scores",
    "context": "scaled_dot_product_attention scaled_dot_product scaled_dot_attention dot_product_attention "
    "attention attend calculate_attention compute_attention",
}

QUERY = {"q", "query", "queries", "qs"}
KEY = {"k", "key", "keys", "ks"}
VALUE = {"v", "value", "values", "vs"}
OUT = {"o", "out", "output", "outputs"}
# Words that say "a projection" and not which one.
FILLER = (
    "w weight weights wt matrix mat kernel proj projs projection projections project projector "
    "linear linears lin fc dense conv to layer layers net transform attn att attention mha head heads "
    "multihead c self final"
)
BIAS = {"b", "bias", "biases"}
LISTS = "linears linear_layers projections proj_layers layers"


def normal(name: str) -> str:
    """Return the form in which names are compared."""
    return name.replace("_", "").lower()


def table(synonyms: Synonyms) -> dict[str, str]:
    """Return name -> role; where two roles share a name, the first."""
    roles: dict[str, str] = {}
    for role, names in synonyms.items():
        for name in names.split():
            roles.setdefault(normal(name), role)
    return roles


def usual(synonyms: Synonyms, role: str, count: int = 4) -> str:
    """Return the most usual names of a role, for a message."""
    return ", ".join(synonyms[role].split()[:count])


def projection(attribute: str) -> str | None:
    """Return what an attribute holds by its name: "W_q" .. "W_o", "b_q" .. "b_o", "W_qkv", "W_kv", "b_qkv".

    "W_q" stands for a layer with its bias as well as for a bare matrix.
    """
    words = _words(attribute)
    letter = "b" if BIAS & set(words) else "W"
    rest = [word for word in words if word not in FILLER.split() and word not in BIAS]
    if len(rest) == 1:
        core = _stripped(rest[0])
        letter = "b" if rest == [f"b{core}"] else letter
        rest = [core]
    if normal(attribute) == "cattn" or rest in (["in"], ["inproj"]):
        return f"{letter}_qkv"
    if rest in (["unifyheads"], ["unify"], ["combine"], ["concat"], ["merge"]):
        return f"{letter}_o"
    if not rest and set(words) & {"proj", "projection", "dense", "fc", "linear", "final"}:
        return f"{letter}_o"
    roles = "".join(_role(word) or "?" for word in rest)
    return f"{letter}_{roles}" if roles in {"q", "k", "v", "o", "qkv", "kv"} else None


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in spaced.lower().split("_") if word]


def _role(word: str) -> str | None:
    if word in {"qkv", "kv"}:
        return word
    for letter, words in (("q", QUERY), ("k", KEY), ("v", VALUE), ("o", OUT)):
        if word in words:
            return letter
    return None


def _stripped(word: str) -> str:
    """Return the core of wq, bq, toq, qproj: words written together with one that says "a projection"."""
    for prefix in ("", "w", "b", "to", "fc", "lin", "proj"):
        for suffix in ("", "s", "proj", "linear", "lin", "fc"):
            core = word.removeprefix(prefix).removesuffix(suffix)
            if prefix + core + suffix == word and _role(core):
                return core
    return word
