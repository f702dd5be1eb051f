"""Right implementations that do something else on the way than most, and are not accused for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from headcheck import check
from headcheck.reference.on_numpy import MultiHeadAttention
from headcheck.verdicts import Status


class TileAfterTile(MultiHeadAttention):
    """Takes the scores of four keys at a time."""

    def scaled_dot_product_attention(
        self, Q: np.ndarray, K: np.ndarray, V: np.ndarray, mask: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        tiles = [K[:, :, start : start + 4] for start in range(0, max(K.shape[2], 1), 4)]
        weights = self.softmax(np.concatenate([self.scores(Q, tile) for tile in tiles], -1), mask)
        return self.attend(weights, V), weights


class PaddedToATile(MultiHeadAttention):
    """Fills the last tile of eight keys up with zeros, which no query may see."""

    def scaled_dot_product_attention(
        self, Q: np.ndarray, K: np.ndarray, V: np.ndarray, mask: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        n_k = K.shape[2]
        K, V = (np.pad(x, ((0, 0), (0, 0), (0, -n_k % 8), (0, 0))) for x in (K, V))
        allowed = np.zeros((len(Q), self.num_heads, Q.shape[2], K.shape[2]), dtype=bool)
        allowed[..., :n_k] = True if mask is None else mask
        weights = self.softmax(self.scores(Q, K), allowed)
        return self.attend(weights, V), weights[..., :n_k]


class DropsMasksThatBlockNothing(MultiHeadAttention):
    """Makes None of a mask that blocks nothing, and refuses what has neither two nor four axes."""

    def allowed(self, Q: np.ndarray, K: np.ndarray, V: np.ndarray, mask: Any, is_causal: bool) -> Any:
        if mask is not None and mask.all():
            mask = None
        if mask is not None and mask.ndim not in {2, 4}:
            raise ValueError(f"expected a mask of two or four axes, got {mask.shape}")
        return super().allowed(Q, K, V, mask, is_causal)


@pytest.mark.parametrize("right", [TileAfterTile, PaddedToATile, DropsMasksThatBlockNothing])
def test_is_left_in_peace(right: type) -> None:
    run = check(right, profile="standard", only=["SHAPE-*", "MASK-*", "PURE-*"], raises=False)
    broken = {one.requirement: one.message for one in run.verdicts if one.status is Status.FAIL}
    assert broken == {}


def test_only_shapes_that_are_read_are_found() -> None:
    [subject] = check(DropsMasksThatBlockNothing, only=["SHAPE-OUTPUT"], raises=False).subjects
    assert "(B, n_k)" not in subject.declared["mask shapes"]
    assert "(n_q, n_k)" in subject.declared["mask shapes"]


class TakesASecondMask(MultiHeadAttention):
    """Takes a bias beside its mask, which headcheck gives to nobody that has a mask."""

    def forward(self, Q: Any, K: Any, V: Any, mask: Any = None, attn_bias: Any = None) -> Any:
        return super().forward(Q, K, V, mask)


def test_what_is_never_given_is_said() -> None:
    [subject] = check(TakesASecondMask, only=["SHAPE-OUTPUT"], raises=False).subjects
    assert subject.notes == ("never given, and so not judged: attn_bias",)
