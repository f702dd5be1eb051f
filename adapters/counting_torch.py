"""Counting the operations of torch code: a dispatch mode that prices every operation it sees.

A mode of one's own sees what PyTorch's FlopCounterMode does not price: the fused attention of the CPU and
the fast path of nn.MultiheadAttention, which are single opaque operations.  Prices follow from the shapes
alone, so the meta device can be counted as well.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .counting import Count, Tally
from .counting_torch_products import NORM, PRODUCTS, SOFTMAX

# Pointwise operations without arithmetic: comparing, selecting, moving.
_SELECTING = {
    *("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isposinf", "isneginf", "isfinite", "isclose"),
    *(
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "where",
        "masked_fill",
        "clone",
        "copy",
        "fill",
    ),
    *("bitwise_and", "bitwise_or", "bitwise_not", "bitwise_xor", "clamp", "clamp_min", "clamp_max"),
    *("maximum", "minimum", "fmax", "fmin", "relu", "threshold", "nan_to_num", "sign", "abs", "neg"),
}
_MOVING = {
    *("_to_copy", "_unsafe_view", "_reshape_copy", "_reshape_alias", "_local_scalar_dense", "alias"),
    *("any", "all", "amax", "amin", "max", "min", "argmax", "argmin", "sort", "topk", "nonzero", "argsort"),
    *("arange", "linspace", "scalar_tensor", "eye", "tril", "triu", "tril_indices", "triu_indices", "detach"),
    *("bernoulli", "uniform", "normal", "rand", "randn", "randint", "randperm"),
    *(
        "cat",
        "stack",
        "index",
        "index_put",
        "_index_put_impl",
        "index_select",
        "index_copy",
        "gather",
        "scatter",
    ),
    *(
        "slice_scatter",
        "select_scatter",
        "masked_scatter",
        "masked_select",
        "slice_backward",
        "repeat",
        "flip",
    ),
    *(
        "select_backward",
        "repeat_interleave",
        "constant_pad_nd",
        "roll",
        "resize",
        "set",
        "lift_fresh",
        "equal",
    ),
    *("_masked_softmax_mask", "_fused_sdp_choice", "embedding", "_has_same_storage_numel", "is_same_size"),
}
_ALLOCATING = ("empty", "zeros", "ones", "full", "new_", "zero", "rand")
_REDUCING = {
    *("sum", "mean", "prod", "var", "std", "var_mean", "std_mean", "logsumexp", "norm", "nansum", "cumsum"),
    *("linalg_vector_norm", "cumprod", "native_dropout_backward"),
}
_PER_ELEMENT = {
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax", "_masked_softmax"), SOFTMAX),
    **dict.fromkeys(("_softmax_backward_data", "_log_softmax_backward_data"), SOFTMAX),
    **dict.fromkeys(("native_layer_norm", "_fused_rms_norm"), NORM),
    **dict.fromkeys(("native_layer_norm_backward", "_fused_rms_norm_backward"), 2 * NORM),
    **dict.fromkeys(("_transform_bias_rescale_qkv", "native_dropout", "addr"), 2),
}


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of the code that runs inside it."""

    supports_higher_order_operators = True  # flex_attention is one

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tally = Tally()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare each operation a wrapper whose first call imports torch._dynamo, which takes seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation and count it; one that is made of others is taken apart first."""
        kwargs = kwargs or {}
        name, made_of_others = _known(func)
        if made_of_others:
            with self:
                return func.decompose(*args, **kwargs)
        result = func(*args, **kwargs)
        _price(self.tally, func, name, args, result)
        return result


class _BesideCompiler(OperationCounter):  # type: ignore[no-untyped-call]
    """The same where torch._dynamo is loaded, and could take the counting for code to compile."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return True

    def __torch_dispatch__(self, *arguments: Any) -> Any:
        return super().__torch_dispatch__(*arguments)


def count(function: Callable[..., Any], *arguments: Any, backward: bool = False) -> Count:
    """Return the operations of ``function(*arguments)``, and of its gradients apart where asked for.

    What the function returns is a tensor or a sequence that starts with one; the gradients are those of
    its sum for every leaf that requires one.  Exceptions of the function are let through; one that only
    the counting brings about makes the count unknown.
    """
    counter = _BesideCompiler if _compiler_is_loaded() else OperationCounter
    forward, gradients = counter(), counter()
    with _eager():
        try:
            with forward:
                output = function(*arguments)
        except Exception as refusal:
            function(*arguments)
            forward.tally.give_up(f"the counter was refused: {type(refusal).__name__}: {refusal}")
            return forward.tally.count()
        if backward:
            first = output if isinstance(output, torch.Tensor) else output[0]
            total = first.sum()  # not counted, and its gradient is only a view
            with gradients:
                torch.autograd.backward(total)
    return forward.tally.count(gradients.tally.count())


@contextlib.contextmanager
def _eager() -> Iterator[None]:
    """Run compiled functions as they were written: what a compiler made of them shows no operations."""
    stance = _compiler_is_loaded() and hasattr(torch.compiler, "set_stance")
    with torch.compiler.set_stance("force_eager") if stance else contextlib.nullcontext():
        yield


def _compiler_is_loaded() -> bool:
    """Whether code can be compiled in the call; flex_attention loads the compiler when it is called."""
    if "torch.nn.attention.flex_attention" in sys.modules:
        import_module("torch._dynamo")
    return "torch._dynamo" in sys.modules


def _plain_name(func: Any) -> str:
    """Return an operation's name without namespace, overload and the underscore of the in-place form."""
    packet = getattr(func, "overloadpacket", func)
    name = str(getattr(packet, "__name__", packet))
    namespace = getattr(func, "namespace", "aten")
    if namespace not in {"aten", "prim", "prims", "higher_order"}:
        return f"{namespace}::{name}"
    return name if name.endswith("__") else name.rstrip("_")


@lru_cache(maxsize=4096)
def _known(func: Any) -> tuple[str, bool]:
    """Return an operation's plain name, and whether it is counted by what it is made of."""
    name = _plain_name(func)
    whole = name in PRODUCTS or name in _PER_ELEMENT
    return name, not whole and getattr(func, "_can_decompose", lambda: False)()


def _price(tally: Tally, func: Any, name: str, args: Sequence[Any], result: Any) -> None:
    if any(isinstance(argument, torch.Tensor) and argument.is_nested for argument in args):
        tally.give_up(f"{name} of nested tensors")
    elif name in PRODUCTS:
        PRODUCTS[name](tally, name, args, result)
    elif name in _PER_ELEMENT:
        tally.add("elementwise", _PER_ELEMENT[name] * _size(result))
    elif name in _REDUCING:
        tally.add("elementwise", _size(args[0]))
    elif name in _MOVING or name in _SELECTING or name.startswith(_ALLOCATING) or _is_view(func):
        pass
    elif torch.Tag.pointwise in getattr(func, "tags", ()):
        tally.add("elementwise", _size(result))
    else:
        tally.give_up(f"torch operation {name}")


def _is_view(func: Any) -> bool:
    return bool(getattr(func, "is_view", False))


def _size(result: Any) -> int:
    """Return the elements of a tensor, or of the first one among several."""
    if isinstance(result, torch.Tensor):
        return result.numel()
    return next((item.numel() for item in result if isinstance(item, torch.Tensor)), 0)
