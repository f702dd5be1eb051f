"""Faults of the numbers: the formula is right and its arithmetic is not."""

from __future__ import annotations

from .fault import fault
from .softmax import OverScores
from .steps import Array, OnArguments, OnResult, Steps


@fault("NUM-DTYPE")
class SinglePrecisionInside(OnArguments):
    """float64 is computed in float32, and handed back as float64."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        q, k, v = (self.cast(self.cast(x, "float32"), x.dtype) for x in (Q, K, V))
        return q, k, v, mask

    def scores(self, Q: Array, K: Array) -> Array:
        single = super().scores(self.cast(Q, "float32"), self.cast(K, "float32"))
        return self.cast(single, Q.dtype)


@fault("NUM-DTYPE")
class AlwaysSingle(OnResult):
    """The result is float32 whatever came in."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.cast(output, "float32"), self.cast(weights, "float32")


@fault("NUM-DTYPE")
class HalfWidened(OnResult):
    """What comes in as half precision goes out as float32."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        half = "16" in str(output.dtype)
        return (self.cast(output, "float32"), self.cast(weights, "float32")) if half else (output, weights)


@fault("NUM-BOUND")
class WeightsInHalf(Steps):
    """The attention weights are kept in half precision."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return self.cast(self.cast(super().softmax(scores, allowed), "float16"), scores.dtype)


@fault("NUM-BOUND", "B088", "B089", "B092")
class ScoresInHalf(Steps):
    """The scores are kept in half precision before the softmax, and overflow there."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return self.cast(self.cast(scores, "float16"), scores.dtype)


@fault("NUM-BOUND")
class SoftmaxInHalf(Steps):
    """The whole softmax runs in half precision."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return self.cast(super().softmax(self.cast(scores, "float16"), allowed), scores.dtype)


@fault("NUM-BOUND", on=("torch", "jax"))
class ScoresInBfloat(Steps):
    """Query and key are rounded to bfloat16 before they are multiplied."""

    def scores(self, Q: Array, K: Array) -> Array:
        q, k = (self.cast(self.cast(x, "bfloat16"), x.dtype) for x in (Q, K))
        return super().scores(q, k)


class Mantissa(Steps):
    """Rounds to fewer bits."""

    def rounded(self, x: Array, bits: int) -> Array:
        """Round x to this many bits: adding and subtracting a large multiple of x loses the others."""
        split = x * (2.0 ** (24 - bits) + 1.0)
        return split - (split - x)


@fault("NUM-BOUND")
class ScoresInElevenBits(Mantissa):
    """The factors of the scores are rounded to eleven bits, as tensor cores do with float32."""

    def scores(self, Q: Array, K: Array) -> Array:
        if "32" not in str(Q.dtype):
            return super().scores(Q, K)
        return super().scores(self.rounded(Q, 11), self.rounded(K, 11))


@fault("NUM-BOUND")
class ValuesInElevenBits(Mantissa):
    """Weights and values are rounded to eleven bits before they are multiplied."""

    def attend(self, weights: Array, V: Array) -> Array:
        if "32" not in str(V.dtype):
            return super().attend(weights, V)
        return super().attend(self.rounded(weights, 11), self.rounded(V, 11))


@fault("NUM-BOUND")
class ExponentialApproximated(OverScores):
    """exp(x) is (1 + x / 1024)^1024."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            scores = self.xp.where(allowed, scores, -float("inf"))
        peak = self.xp.amax(scores, axis=-1, keepdims=True)
        x = scores - self.xp.where(peak == -float("inf"), 0.0, peak)
        return self.shares(self.xp.where(x > -1024.0, (1.0 + x / 1024.0) ** 1024, 0.0))


@fault("NUM-BOUND")
class WeightsInEightBits(Steps):
    """The attention weights are quantised to 255 steps."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return self.xp.round(super().softmax(scores, allowed) * 255.0) / 255.0


@fault("NUM-BOUND")
class OutputRounded(OnResult):
    """The output is rounded to four decimals."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.xp.round(output * 1e4) / 1e4, weights


@fault("NUM-NAN")
class NaNTurnedIntoZero(OnResult):
    """nan_to_num makes a number of every NaN in the output."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.xp.nan_to_num(output), self.xp.nan_to_num(weights)


@fault("NUM-NAN")
class InfinityCutOff(OnArguments):
    """Values are cut off at the largest number, so that an infinity is one number among others."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        infinite = abs(V) == float("inf")
        return Q, K, self.xp.where(infinite, self.xp.sign(V) * 1e4, V), mask


@fault("NUM-NAN")
class NaNInputsZeroed(OnArguments):
    """NaN in an input is replaced by zero before anything is computed."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        q, k, v = (self.xp.where(self.xp.isnan(x), 0.0, x) for x in (Q, K, V))
        return q, k, v, mask


@fault("NUM-NAN")
class NaNScoresBlocked(Steps):
    """A score that is NaN is taken for one that is blocked."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k, self.xp.nan_to_num(v)

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        number = ~self.xp.isnan(scores)
        return super().softmax(self.xp.nan_to_num(scores), number if allowed is None else number & allowed)


@fault("NUM-DTYPE", on=("numpy",))
class CausalPromotes(Steps):
    """The causal mask is float64, and so is what comes of it."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        causal = allowed is not None and allowed.ndim == 2
        return super().softmax(self.cast(scores, "float64") if causal else scores, allowed)
