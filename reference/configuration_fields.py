"""The sizes of an attention under the names that model configurations give them.

A field is read only where its meaning is known; what makes an attention something else than multi-head
attention over d_model / num_heads columns is named, not guessed around.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WIDTHS = (
    *("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "model_dim", "emb_dim", "hidden_dim"),
    "encoder_embed_dim",
)
HEADS = (
    "num_attention_heads",
    "n_heads",
    "n_head",
    "num_heads",
    "nhead",
    "encoder_attention_heads",
    "attention_heads",
    "num_query_heads",
    "heads",
)
DECODER = {"decoder_attention_heads": "encoder_attention_heads", "decoder_embed_dim": "encoder_embed_dim"}
KV_HEADS = (
    "num_key_value_heads",
    "n_kv_heads",
    "num_kv_heads",
    "n_head_kv",
    "kv_n_heads",
    "num_query_groups",
    "multi_query_group_num",
)
HEAD_WIDTHS = ("head_dim", "d_kv", "d_head", "kv_channels", "attention_head_size", "dim_head")
BIASES = ("attention_bias", "qkv_bias")
NESTED = (
    "text_config",
    "llm_config",
    "language_config",
    "vision_config",
    "encoder",
    "decoder",
)
LATENT = ("kv_lora_rank", "q_lora_rank")


@dataclass(frozen=True)
class Fields:
    """What a configuration says of its attention, and under which names it says so."""

    d_model: int
    num_heads: int
    num_kv_heads: int | None
    bias: bool | None
    read: Mapping[str, str]  # size -> the field it was read from
    not_covered: tuple[str, ...]  # what the specification of multi-head attention says nothing about


class UnreadableConfigurationError(ValueError):
    """A configuration without the sizes of an attention: names what was looked for and what was there."""


def read(document: Any) -> Fields:
    """Return the sizes in a parsed JSON configuration, from its top level or the first nested one with any.

    Raises UnreadableConfigurationError where width or number of heads is absent or no whole number.
    """
    if not isinstance(document, Mapping):
        raise UnreadableConfigurationError(
            f"a configuration is a JSON object with fields such as hidden_size and num_attention_heads, "
            f"not a {type(document).__name__}"
        )
    level, path = _level(document)
    own = [(path, level), (f"{path}attn_config.", level.get("attn_config"))]
    read: dict[str, str] = {}

    def size(name: str, fields: tuple[str, ...], scopes: list[tuple[str, Any]] = own) -> int | None:
        for prefix, scope in scopes:
            found = _first(scope, fields) if isinstance(scope, Mapping) else ""
            if found:
                read[name] = prefix + found
                return _whole(scope[found], prefix + found)
        return None

    d_model = size("d_model", WIDTHS, [(path, level), ("", document)])
    num_heads = size("num_heads", HEADS)
    if d_model is None or num_heads is None:
        wanted, names = ("width", WIDTHS) if d_model is None else ("number of heads", HEADS)
        there = ", ".join(sorted(map(str, document))[:12]) or "none"
        raise UnreadableConfigurationError(
            f"no {wanted} ({', '.join(names[:4])}, ...) among the fields: {there}"
        )
    kv_heads = size("num_kv_heads", KV_HEADS)
    if level.get("multi_query") is True and not level.get("new_decoder_architecture"):
        kv_heads, read["num_kv_heads"] = 1, path + "multi_query"
    elif level.get("multi_query_attention") is False:
        kv_heads = None
    width = size("head width", HEAD_WIDTHS)
    bias = _first(level, BIASES)
    if bias and isinstance(level[bias], bool):
        read["bias"] = path + bias
    return Fields(
        d_model,
        num_heads,
        kv_heads,
        level[bias] if "bias" in read else None,
        read,
        (*_not_covered(level, path, d_model, num_heads, kv_heads, width, read), *_unread(document, path)),
    )


def _level(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the object that holds the number of heads, and its path: "" or "text_config."."""
    levels = (
        (level, path)
        for level, path in _levels(document)
        if _first(level, HEADS) and _first({**document, **level}, WIDTHS)
    )
    return next(levels, (document, ""))


def _levels(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield a configuration and those nested in it, the usual names first, each with its path."""
    yield document, path
    usual = [name for name in NESTED if name in document]
    for name in (*usual, *(name for name in document if name not in NESTED)):
        if isinstance(document[name], Mapping):
            yield from _levels(document[name], f"{path}{name}.")


def _first(scope: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    return next((name for name in fields if scope.get(name) is not None), "")


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableConfigurationError(f"{name} must be a whole number, not {value!r}")
    return value


def _not_covered(
    level: Mapping[str, Any],
    path: str,
    d_model: int,
    num_heads: int,
    kv_heads: int | None,
    width: int | None,
    read: Mapping[str, str],
) -> list[str]:
    said = []
    if kv_heads is not None and kv_heads != num_heads:
        name = read["num_kv_heads"]
        said.append(f"grouped-query attention ({name}): counted here, not part of the specification")
    if width is not None and num_heads > 0 and width * num_heads != d_model:
        name = read["head width"]
        said.append(
            f"heads of a width of their own ({name} = {width}): the figures are for d_model / num_heads"
        )
    for theirs, ours in DECODER.items():
        if path + ours in read.values() and level.get(theirs) not in {None, level[ours]}:
            said.append(f"the decoder has {theirs} = {level[theirs]}: the figures are for {ours}")
    latent = _first(level, LATENT)
    if latent:
        said.append(f"latent attention ({path}{latent}): the figures are for plain multi-head attention")
    return said


def _unread(document: Mapping[str, Any], path: str) -> list[str]:
    """Name the nested configurations that hold an attention of their own."""
    own = {path, f"{path}attn_config."}
    others = [name for level, name in _levels(document) if name not in own and _first(level, HEADS)]
    return [f"{name.removesuffix('.')} has sizes of its own: not looked at" for name in others]
