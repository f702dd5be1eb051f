"""Faults of the softmax: over the wrong axis, of the wrong function, or not summing to one."""

from __future__ import annotations

from .fault import fault
from .steps import Array, OnResult, Steps


class OverScores(Steps):
    """Has the two halves of a softmax at hand."""

    def powers(self, scores: Array, allowed: Array | None) -> Array:
        """exp(s - max s), zero where blocked."""
        if allowed is not None:
            scores = self.xp.where(allowed, scores, -float("inf"))
        peak = self.xp.amax(scores, axis=-1, keepdims=True)
        return self.xp.exp(scores - self.xp.where(peak == -float("inf"), 0.0, peak))

    def shares(self, powers: Array) -> Array:
        """Divide each row by its sum, where there is one."""
        total = powers.sum(axis=-1, keepdims=True)
        return powers / self.xp.where(total == 0, 1.0, total)


class OverAxis(Steps):
    """Takes the softmax over another axis than the keys'."""

    axis: int

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        turned = None
        if allowed is not None:
            turned = self.xp.broadcast_to(allowed, scores.shape).swapaxes(self.axis, -1)
        return super().softmax(scores.swapaxes(self.axis, -1), turned).swapaxes(self.axis, -1)


@fault("SOFTMAX-ROWSUM", "B082")
class SoftmaxOverQueries(OverAxis):
    """The softmax runs over the queries."""

    axis = 2


@fault("SOFTMAX-ROWSUM")
class SoftmaxOverHeads(OverAxis):
    """The softmax runs over the heads."""

    axis = 1


@fault("BATCH-INDEPENDENT", "B083")
class SoftmaxOverBatch(OverAxis):
    """The softmax runs over the batch."""

    axis = 0


@fault("SOFTMAX-ROWSUM")
class EpsilonInDenominator(OverScores):
    """1e-6 is added to the denominator."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        powers = self.powers(scores, allowed)
        return powers / (powers.sum(axis=-1, keepdims=True) + 1e-6)


@fault("SOFTMAX-CONSTANT-V")
class PlusOneInDenominator(OverScores):
    """One is added to the denominator, so that a head may attend to nothing."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        powers = self.powers(scores, allowed)
        return powers / (powers.sum(axis=-1, keepdims=True) + 1.0)


@fault("SOFTMAX-CONSTANT-V")
class SinkKey(OverScores):
    """A key of score zero and value zero takes part in every row."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        sink = 0.0 * scores[..., :1]
        if allowed is not None:
            scores = self.xp.where(allowed, scores, -float("inf"))
        return self.shares(self.powers(self.xp.concatenate([scores, sink], -1), None))[..., :-1]


@fault("SOFTMAX-ROWSUM")
class NotNormalised(OverScores):
    """The exponentials are never divided by their sum."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return self.powers(scores, allowed)


@fault("SOFTMAX-STABLE")
class NoPeakSubtracted(OverScores):
    """The maximum is not subtracted: large scores overflow, small ones lose the row."""

    def powers(self, scores: Array, allowed: Array | None) -> Array:
        powers = self.xp.exp(scores)
        return powers if allowed is None else powers * allowed

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return self.shares(self.powers(scores, allowed))


@fault("SOFTMAX-STABLE")
class PeakOfWrongSign(OverScores):
    """The minimum is subtracted in place of the maximum."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        powers = self.xp.exp(scores - self.xp.amin(scores, axis=-1, keepdims=True))
        return self.shares(powers if allowed is None else powers * allowed)


@fault("SOFTMAX-SHIFT")
class SoftCap(Steps):
    """The scores are capped by 30 tanh(s / 30)."""

    def scores(self, Q: Array, K: Array) -> Array:
        return 30.0 * self.xp.tanh(super().scores(Q, K) / 30.0)


@fault("SOFTMAX-SHIFT")
class ScoresClipped(Steps):
    """The scores are clipped to [-5, 5]."""

    def scores(self, Q: Array, K: Array) -> Array:
        return self.xp.clip(super().scores(Q, K), -5.0, 5.0)


@fault("SOFTMAX-SHIFT")
class ReluAttention(OverScores):
    """The exponential is a ReLU."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        positive = scores * (scores > 0) + 1e-3
        return self.shares(positive if allowed is None else positive * allowed)


@fault("SOFTMAX-ROWSUM")
class SigmoidAttention(Steps):
    """Each weight is the sigmoid of its own score."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = 0.5 + 0.5 * self.xp.tanh(0.5 * scores)
        return weights if allowed is None else weights * allowed


@fault("PROJ-ORACLE")
class SoftmaxTwice(Steps):
    """The softmax is taken of the softmax."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(super().softmax(scores, allowed), allowed)


@fault("PROJ-ORACLE")
class TopFour(Steps):
    """Only the four largest scores of a row take part."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        seen = scores if allowed is None else self.xp.where(allowed, scores, -float("inf"))
        rest = seen
        for _ in range(4):
            least = self.xp.amax(rest, axis=-1, keepdims=True)
            rest = self.xp.where(rest == least, -float("inf"), rest)
        top = seen >= least
        return super().softmax(scores, top if allowed is None else top & allowed)


@fault("PROJ-ORACLE")
class HardMaximum(Steps):
    """The key of the largest score takes all."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(1e4 * scores, allowed)


@fault("PROJ-SENSITIVE")
class ScoresNotRead(Steps):
    """All keys get the same weight."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(0.0 * scores, allowed)


@fault("SOFTMAX-ROWSUM")
class SmallWeightsDropped(Steps):
    """Weights below a hundredth are set to zero, and the rest is not renormalised."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return weights * (weights > 0.01)


@fault("SOFTMAX-ROWSUM")
class WeightsOffByAHair(Steps):
    """Every weight is too large by 1e-5 of itself."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores, allowed) * (1.0 + 1e-5)


@fault("SOFTMAX-RANGE")
class WeightsSharpenedBelowZero(Steps):
    """A tenth of the mean is subtracted and the row brought back to one: weights fall below zero."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return (weights - 0.1 * weights.mean(axis=-1, keepdims=True)) / 0.9


@fault("SOFTMAX-RANGE")
class LogarithmsHandedBack(OnResult):
    """The attention weights handed back are their logarithms."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, self.xp.log(weights)


@fault("SOFTMAX-HULL")
class ContextOvershoots(Steps):
    """The context is moved away from the mean of the values by a half."""

    def attend(self, weights: Array, V: Array) -> Array:
        return 1.5 * super().attend(weights, V) - 0.5 * V.mean(axis=2, keepdims=True)


@fault("PROJ-ORACLE")
class LinearAttention(OverScores):
    """phi(Q) (phi(K)^T V) with phi = elu + 1 stands in for the softmax where nothing is masked."""

    def phi(self, x: Array) -> Array:
        return self.xp.where(x > 0, x + 1.0, self.xp.exp(x * (x < 0)))

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        if mask is not None:
            return super().scaled_dot_product_attention(Q, K, V, mask, *key)
        q, k = self.phi(Q), self.phi(K)
        total = q @ k.sum(axis=2, keepdims=True).swapaxes(-2, -1)
        return q @ (k.swapaxes(-2, -1) @ V) / total, q @ k.swapaxes(-2, -1) / total


@fault("SOFTMAX-STABLE")
class LargeScoresClipped(Steps):
    """Scores above 3e4 are lowered to that, where they tie."""

    def scores(self, Q: Array, K: Array) -> Array:
        return self.xp.clip(super().scores(Q, K), None, 3e4)
