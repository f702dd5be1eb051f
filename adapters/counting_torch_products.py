"""What torch's products cost: matrix products, and attention that is a single operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

from .counting import Tally

SOFTMAX = 4  # subtract, exp, sum, divide: operations an element
NORM = 8  # mean, subtract, square, sum, root, divide, scale, shift

_FUSED_FORWARD = {
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
    "_scaled_dot_product_attention_math_for_mps",
    "flex_attention",
}
_FUSED_BACKWARD = {f"{name}_backward" for name in _FUSED_FORWARD}
_LENGTH_FIRST = {"_flash_attention_forward", "_efficient_attention_forward"}  # (B, n, h, d_k)
_FAST_PATH = {"_native_multi_head_attention", "_triton_multi_head_attention"}


def _matmul(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    """Price mm, bmm, mv, dot and their forms with an added term; addbmm sums over its batch."""
    added = name.startswith(("add", "badd"))
    left, right = args[1:3] if added else args[:2]
    columns = right.shape[-1] if right.dim() > 1 else 1
    tally.add("matmul", 2 * left.numel() * columns)
    if added:
        tally.add("elementwise", result.numel())


def _convolution(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    weight = args[1]
    tally.add("convolution", 2 * result.numel() * prod(weight.shape[1:]))


def _fused(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    """Price attention in one operation: scores and their product with the values."""
    query, key, value = args[:3]
    if name in _LENGTH_FIRST:
        if query.dim() != 4:
            tally.give_up(f"{name} of sequences packed into one")
            return
        query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    tally.add("fused attention", 2 * pairs * (query.shape[-1] + value.shape[-1]))
    tally.add("elementwise", SOFTMAX * pairs)


def _fused_backward(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    """Price its gradient: the scores again, then one product each for weights, values, queries and keys."""
    if name == "flex_attention_backward":
        query, key, value = args[:3]
    else:
        query, key, value = args[1:4]
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    tally.add("fused attention", 2 * pairs * (3 * query.shape[-1] + 2 * value.shape[-1]))
    tally.add("elementwise", 2 * SOFTMAX * pairs)


def _fast_path(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    """Price nn.MultiheadAttention in one operation: projections (packed or not) and attention."""
    query, key, value, d, h = args[:5]
    _attention_layer(tally, query, key, value, int(d), int(h))


def _encoder_layer(tally: Tally, name: str, args: Sequence[Any], result: Any) -> None:
    """Price nn.TransformerEncoderLayer in one operation: attention, two norms, two linear layers."""
    source, d, h = args[:3]
    _attention_layer(tally, source, source, source, int(d), int(h))
    for weight in (args[14], args[16]):
        tally.add("matmul", 2 * prod(source.shape[:-1]) * weight.numel())
    tally.add("elementwise", (2 * NORM + 4) * source.numel())


def _attention_layer(
    tally: Tally, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, d: int, h: int
) -> None:
    projected = 2 * query.numel() + key.numel() + value.numel()
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    tally.add("matmul", 2 * d * projected)
    tally.add("fused attention", 4 * pairs * d)
    tally.add("elementwise", projected + SOFTMAX * h * pairs)


PRODUCTS: Mapping[str, Callable[[Tally, str, Sequence[Any], Any], None]] = {
    **dict.fromkeys(
        ("mm", "bmm", "mv", "dot", "vdot", "addmm", "addmv", "addbmm", "baddbmm", "_addmm_activation"),
        _matmul,
    ),
    **dict.fromkeys(("convolution", "_convolution", "convolution_overrideable"), _convolution),
    **dict.fromkeys(_FUSED_FORWARD | _LENGTH_FIRST, _fused),
    **dict.fromkeys(_FUSED_BACKWARD, _fused_backward),
    **dict.fromkeys(_FAST_PATH, _fast_path),
    "_transformer_encoder_layer_fwd": _encoder_layer,
}
