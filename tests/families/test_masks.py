from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from headcheck.reference.on_numpy import MultiHeadAttention

from .verdicts import verdict_on


class NaNWhereTheFlagEmpties(MultiHeadAttention):
    """Answers NaN in a row that mask and causal flag leave no key, and zeros where the mask alone does."""

    def allowed(self, Q: Any, K: Any, V: Any, mask: Any, is_causal: bool) -> Any:
        allowed = super().allowed(Q, K, V, mask, is_causal)
        self.joined = is_causal and mask is not None
        return allowed

    def softmax(self, scores: np.ndarray, allowed: Any) -> np.ndarray:
        weights = super().softmax(scores, allowed)
        if not self.joined:
            return weights
        return np.where(np.asarray(allowed).any(axis=-1, keepdims=True), weights, np.nan)


class EmptyInOneHeadEmptyInAll(MultiHeadAttention):
    """Zeroes a query in every head where one head has no key for it."""

    def softmax(self, scores: np.ndarray, allowed: Any) -> np.ndarray:
        weights = super().softmax(scores, allowed)
        if allowed is None:
            return weights
        some = np.broadcast_to(allowed, scores.shape).any(axis=-1, keepdims=True)
        return weights * some.all(axis=1, keepdims=True)


class CausalUnlessPadded(MultiHeadAttention):
    """Drops the causal flag beside a mask of the shape (B, 1, 1, n_k)."""

    def allowed(self, Q: Any, K: Any, V: Any, mask: Any, is_causal: bool) -> Any:
        padded = mask is not None and mask.ndim == 4 and mask.shape[1:3] == (1, 1) and Q.shape[1] > 1
        return super().allowed(Q, K, V, mask, is_causal and not padded)


@pytest.mark.parametrize(
    ("wrong", "requirement", "message"),
    [
        (NaNWhereTheFlagEmpties, "MASK-EMPTY-ROW", "gives NaN, emptied by two masks together"),
        (EmptyInOneHeadEmptyInAll, "MASK-EMPTY-ROW", "a row with no key allowed"),
        (CausalUnlessPadded, "MASK-COMBINE", "mask and causal given together do not intersect"),
    ],
)
def test_masks_that_meet(wrong: type, requirement: str, message: str) -> None:
    verdict = verdict_on(wrong, requirement, profile="standard")
    assert verdict.status == "fail", verdict
    assert message in verdict.message
    assert verdict_on(MultiHeadAttention, requirement, profile="standard").status == "pass"
