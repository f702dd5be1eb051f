"""Masks as JAX takes them: True and 1 attend."""

from __future__ import annotations

from typing import Any

import numpy as np

from .protocol import Mask


def handed_over(mask: Mask, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the mask in the form asked for; ``dtype`` is that of the float forms."""
    if mask.form == "additive":
        return np.where(mask.allowed, 0.0, -np.inf).astype(dtype)
    kinds: dict[str, Any] = {"bool": bool, "int": np.int32, "float": dtype}
    return np.asarray(mask.allowed, dtype=kinds[mask.form])


def one_page_an_example(mask: Any, batch: int) -> bool:
    """Return whether jax.vmap over the batch must map the mask too."""
    return mask is not None and mask.ndim == 4 and bool(mask.shape[0] == batch)
