"""Masks as a JAX implementation takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .protocol import Call, Mask


def handed_over(mask: Mask, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the mask in the form asked for, True and 1 where it is; ``dtype`` is that of the float forms."""
    if mask.additive:
        return mask.added(str(dtype)).astype(dtype)  # type: ignore[arg-type]
    kinds: dict[str, Any] = {"bool": bool, "int": np.int32, "float": dtype}
    return np.asarray(mask.allowed, dtype=kinds[mask.form])


def spoken(call: Call, said: Mapping[str, Any]) -> Call:
    """Return the call with True in its masks where the class says True, which may mean "block"."""
    mask, padding = call.mask, call.padding
    if mask is not None and not mask.additive and said.get("mask_true", "attend") == "block":
        mask = replace(mask, allowed=~mask.allowed)
    if padding is not None and said.get("padding_true", "block") == "block":
        padding = ~padding
    return replace(call, mask=mask, padding=padding)


def of_examples(name: str, array: Any, batch: int) -> tuple[Any, int | None] | None:
    """Return an argument as jax.vmap over the batch takes it, and the axis; None where it has no batch."""
    if name in ("query", "key", "value", "padding"):
        return array, 0
    if name in ("mask", "additive") and array.ndim > 2:
        return (array, 0) if array.shape[0] == batch else (array[0], None)
    return None


def one_page_an_example(mask: Any, batch: int) -> bool:
    """Return whether jax.vmap over the batch must map the mask too."""
    return mask is not None and mask.ndim == 4 and bool(mask.shape[0] == batch)
