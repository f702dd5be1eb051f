"""Faults of the scale: the scores are divided by something else than sqrt(d_k)."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

from .fault import fault
from .steps import Array, Steps


@fault("SCALE-DK", "B067", "B068", "B070")
class ScaleByModel(Steps):
    """The scores are divided by sqrt(d_model)."""

    def scale(self) -> float:
        return 1.0 / sqrt(self.d_model)


@fault("SCALE-ANCHOR", "B071")
class NoScale(Steps):
    """The scores are not scaled."""

    def scale(self) -> float:
        return 1.0


@fault("SCALE-DK")
class ScaleByWidth(Steps):
    """The scores are divided by d_k, without the root."""

    def scale(self) -> float:
        return 1.0 / self.d_k


@fault("SCALE-DK")
class ScaleMultiplied(Steps):
    """The scores are multiplied by sqrt(d_k)."""

    def scale(self) -> float:
        return sqrt(self.d_k)


@fault("SCALE-DK")
class ScaleByHeads(Steps):
    """The scores are divided by sqrt(num_heads)."""

    def scale(self) -> float:
        return 1.0 / sqrt(self.num_heads)


@fault("SCALE-DK", "B073")
class ScaleTwice(Steps):
    """The query is scaled, and the scores once more."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q * self.scale(), K)


@fault("SCALE-DK")
class ScaleOfProduction(Steps):
    """The scale is 1/8, right for heads of width 64 alone."""

    def scale(self) -> float:
        return 0.125


@fault("SCALE-DK")
class ScaleOfOneMore(Steps):
    """The scores are divided by sqrt(d_k + 1)."""

    def scale(self) -> float:
        return 1.0 / sqrt(self.d_k + 1)


@fault("SCALE-DK")
class ScaleOfQueryAlone(Steps):
    """Of a scale split over query and key, the key's half is forgotten."""

    def scale(self) -> float:
        return 1.0 / sqrt(sqrt(self.d_k))


@fault("SCALE-ANCHOR")
class ScaleInBaseTwo(Steps):
    """The exponential is 2^x, and log2(e) is missing from the scale."""

    def scale(self) -> float:
        return log(2.0) / sqrt(self.d_k)


@fault("SCALE-DK")
class ScaleOfWholeRoot(Steps):
    """The root of d_k is cut to an integer."""

    def scale(self) -> float:
        return 1.0 / int(sqrt(self.d_k))


@fault("SCALE-DK")
class ScaleOfPaddedWidth(Steps):
    """The scale is that of d_k rounded up to a multiple of eight, as a kernel pads it."""

    def scale(self) -> float:
        return 1.0 / sqrt(-(-self.d_k // 8) * 8)


@fault("SCALE-DK")
class TemperatureOffByOnePercent(Steps):
    """The temperature of the softmax is 1.01."""

    def scale(self) -> float:
        return super().scale() / 1.01


@fault("SCALE-DK")
class ScaleByLength(Steps):
    """The scores are divided by the root of the number of keys."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K) / (self.scale() * sqrt(max(K.shape[-2], 1)))


@fault("PROJ-ORACLE")
class ScaleGrowsWithLength(Steps):
    """The scores grow with the logarithm of the number of keys beyond eight."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K) * max(log(K.shape[-2] + 1, 9), 1.0)


@fault("MASK-ALLOW-ALL")
class ScaleTwiceWithMask(Steps):
    """A mask leads through another branch, in which the scores are scaled once more."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores if allowed is None else scores * self.scale(), allowed)


@fault("SOFTMAX-ROWSUM")
class ScaleAfterSoftmax(Steps):
    """The weights are scaled in place of the scores."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K) / self.scale()

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores, allowed) * self.scale()


class CallersScale(Steps):
    """Takes a scale from the caller, and uses it as given: what the faults below get wrong."""

    def __init__(self, d_model: int, num_heads: int, *, scale: float | None = None, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        self.chosen = scale

    def scale(self) -> float:
        return super().scale() if self.chosen is None else self.chosen


@fault("SCALE-USER", "B076", "B077")
class CallersScaleIgnored(CallersScale):
    """The scale that the caller gives is not used."""

    def scale(self) -> float:
        return super(CallersScale, self).scale()


@fault("SCALE-USER")
class CallersScaleOfZeroIgnored(CallersScale):
    """`scale or default` takes a scale of zero for none."""

    def scale(self) -> float:
        return self.chosen or super(CallersScale, self).scale()


@fault("SCALE-USER")
class CallersScaleOnTop(CallersScale):
    """The caller's scale comes on top of 1/sqrt(d_k) in place of it."""

    def scale(self) -> float:
        return super(CallersScale, self).scale() * (1.0 if self.chosen is None else self.chosen)


@fault("SCALE-USER", "B080")
class CallersScaleWithoutSign(CallersScale):
    """Split over query and key as sqrt(|scale|) each, a negative scale loses its sign."""

    def scale(self) -> float:
        return abs(super().scale())


@fault("SCALE-USER")
class CallersScaleIgnoredUnderMask(CallersScale):
    """Where there is a mask, the scale that the caller gives is not used."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None and self.chosen:
            scores = scores * (super(CallersScale, self).scale() / self.chosen)
        return super().softmax(scores, allowed)
