"""Faults of a row with no allowed key: the formula has no answer there, and an implementation needs one."""

from __future__ import annotations

from .fault import MUTABLE, fault
from .steps import Array, Steps


@fault("MASK-EMPTY-ROW", "B001", "B013")
class EmptyRowIsNaN(Steps):
    """A row with no allowed key is 0/0."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        total = weights.sum(axis=-1, keepdims=True)
        return weights / self.xp.where(total == 0, total, 1.0)


@fault("MASK-EMPTY-ROW", "B011")
class EmptyRowSpoilsItsExample(Steps):
    """An example with an empty row attends to nothing at all."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        whole = self.xp.amin(weights.sum(axis=-1, keepdims=True), axis=2, keepdims=True)
        return weights * (whole > 0.5)


@fault("MASK-EMPTY-ROW")
class EmptyRowSeesFirstKey(Steps):
    """A row with no allowed key attends to the first."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        empty = weights.sum(axis=-1, keepdims=True) < 0.5
        return self.xp.where(empty & (self.xp.arange(scores.shape[-1]) == 0), 1.0, weights)


@fault("MASK-EMPTY-ROW")
class EmptyRowSeesEverything(Steps):
    """A row with no allowed key attends as if nothing were blocked."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        empty = weights.sum(axis=-1, keepdims=True) < 0.5
        return self.xp.where(empty, super().softmax(scores, None), weights)


@fault("MASK-EMPTY-ROW", "B065", on=MUTABLE)
class EmptyRowRefused(Steps):
    """A row with no allowed key raises from the middle of the call."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        if (weights.sum(axis=-1) < 0.5).any():
            raise RuntimeError("a row of attention weights is empty")
        return weights


@fault("MASK-EMPTY-ROW")
class EmptyRowIsNaNInHalf(Steps):
    """In half precision a row with no allowed key is 0/0."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        if "16" not in str(scores.dtype):
            return weights
        total = weights.sum(axis=-1, keepdims=True)
        return weights / self.xp.where(total == 0, total, 1.0)
