"""Faults of the batch: an example's answer depends on its mates or on its place."""

from __future__ import annotations

from .fault import fault
from .steps import Array, OnResult, Steps


@fault("BATCH-INDEPENDENT", "B101")
class MergedAsHeadsFirst(Steps):
    """What is (B, h, n, d_k) is merged as if it were (h, B, n, d_k): heads of different examples mix."""

    def combine_heads(self, x: Array) -> Array:
        B, h, n, d_k = x.shape
        return super().combine_heads(x.reshape(h, B, n, d_k).swapaxes(0, 1))


@fault("BATCH-INDEPENDENT", "B106")
class AttendsToNeighbour(Steps):
    """Each example averages the values of the example before."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.xp.roll(V, 1, 0))


@fault("BATCH-INDEPENDENT")
class BatchMeanAdded(Steps):
    """A hundredth of the batch's mean is added to every context."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return context + 0.01 * context.mean(axis=0, keepdims=True) if context.shape[0] else context


@fault("BATCH-INDEPENDENT")
class FirstExampleServesAll(Steps):
    """All examples read the keys of the first."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K[:1] if K.shape[0] else K)


@fault("BATCH-INDEPENDENT")
class LastExampleDropped(Steps):
    """The last example of several answers zeros."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:-1], 0.0 * context[-1:]], 0) if len(context) > 1 else context


@fault("BATCH-INDEPENDENT")
class ScoresNormalisedOverBatch(Steps):
    """The scores are brought to mean zero over the batch."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return scores - scores.mean(axis=0, keepdims=True) if scores.shape[0] > 1 else scores


@fault("BATCH-INDEPENDENT")
class OutputsOfBatchShifted(OnResult):
    """Each example is given the output of the one before."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.xp.roll(output, 1, 0), weights


@fault("BATCH-INDEPENDENT")
class PeakOfBatch(Steps):
    """One temperature serves the batch: scores are divided by the largest of them where that exceeds two."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        if 0 in scores.shape:
            return scores
        peak = self.xp.amax(abs(scores), axis=(0, 1, 2, 3), keepdims=True)
        return scores / self.xp.where(peak > 2.0, peak / 2.0, 1.0)
