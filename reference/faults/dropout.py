"""Faults of dropout: on when it should be off, off by a factor, or drawn once for all."""

from __future__ import annotations

from math import isnan
from typing import Any

from .fault import DIFFERENTIABLE, fault
from .steps import Array, Steps


@fault("DROPOUT-EVAL", "B122", "B124", "B125", on=("torch",))
class DropoutInEval(Steps):
    """Dropout does not look at the mode and is on in eval."""

    def dropping(self, *key: Any) -> bool:
        return self.rate > 0.0

    def drop(self, weights: Array, *key: Any) -> Array:
        if not self.dropping(*key):
            return weights
        return weights * self.kept(weights.shape, *key) / (1.0 - self.rate)


@fault("DROPOUT-EVAL", on=("jax",))
class DropoutWithoutKey(Steps):
    """Without a key, every other weight is dropped where a rate was given."""

    def drop(self, weights: Array, *key: Any) -> Array:
        if self.dropping(*key) or self.rate == 0.0:
            return super().drop(weights, *key)
        return 2.0 * weights * (self.xp.arange(weights.shape[-1]) % 2 == 0)


@fault("DROPOUT-EVAL", on=DIFFERENTIABLE)
class EvalScaledByRate(Steps):
    """Weights are multiplied by 1 - rate in eval, on top of the division in training."""

    def drop(self, weights: Array, *key: Any) -> Array:
        return super().drop(weights, *key) if self.dropping(*key) else weights * (1.0 - self.rate)


class WhileDropping(Steps):
    """A fault of what happens while dropout is on: override `dropped`."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        """Return the weights after dropout."""
        return super().drop(weights, *key)

    def drop(self, weights: Array, *key: Any) -> Array:
        return self.dropped(weights, *key) if self.dropping(*key) else weights


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class DropoutNotRescaled(WhileDropping):
    """What is kept is not divided by 1 - rate."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * self.kept(weights.shape, *key)


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class DropoutRescaledTwice(WhileDropping):
    """What is kept is divided by 1 - rate twice."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return super().dropped(weights, *key) / (1.0 - self.rate)


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class DropoutRateInverted(WhileDropping):
    """A weight is kept with the probability with which it should be dropped."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * ~self.kept(weights.shape, *key) / (1.0 - self.rate)


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class DropoutRescaledByRate(WhileDropping):
    """What is kept is divided by the rate."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * self.kept(weights.shape, *key) / self.rate


@fault("DROPOUT-UNBIASED", "B130", on=DIFFERENTIABLE)
class DropoutBeforeSoftmax(WhileDropping):
    """Weights are dropped before they are normalised, so that the others take their share."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        left = weights * self.kept(weights.shape, *key)
        total = left.sum(axis=-1, keepdims=True)
        return left / self.xp.where(total == 0, 1.0, total)


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class LargestAlwaysDropped(WhileDropping):
    """Dropout spares small weights: what it drops is always the largest of each row."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * (weights < self.xp.amax(weights, axis=-1, keepdims=True)) / (1.0 - self.rate)


@fault("DROPOUT-UNBIASED", "B172", on=DIFFERENTIABLE)
class DropoutAlwaysTheSame(WhileDropping):
    """The same places are dropped in every call."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        keep = 1.0 - self.rate
        n_k = weights.shape[-1]
        return weights * (self.xp.arange(n_k) < round(n_k * keep)) / keep


@fault("DROPOUT-INDEPENDENT", "B131", on=DIFFERENTIABLE)
class OneDrawForAll(WhileDropping):
    """One draw (1, 1, n_q, n_k) serves all heads and examples."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * self.kept((1, 1, *weights.shape[2:]), *key) / (1.0 - self.rate)


@fault("DROPOUT-INDEPENDENT", "B131", on=DIFFERENTIABLE)
class OneDrawForAllHeads(WhileDropping):
    """One draw (B, 1, n_q, n_k) serves all heads."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        B, _, n_q, n_k = weights.shape
        return weights * self.kept((B, 1, n_q, n_k), *key) / (1.0 - self.rate)


@fault("DROPOUT-INDEPENDENT", on=DIFFERENTIABLE)
class OneDrawForAllExamples(WhileDropping):
    """One draw (1, h, n_q, n_k) serves all examples."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * self.kept((1, *weights.shape[1:]), *key) / (1.0 - self.rate)


@fault("DROPOUT-INDEPENDENT", on=DIFFERENTIABLE)
class OneDrawForAllQueries(WhileDropping):
    """One draw (B, h, 1, n_k) serves all queries."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        B, h, _, n_k = weights.shape
        return weights * self.kept((B, h, 1, n_k), *key) / (1.0 - self.rate)


@fault("GRAD-DROPOUT", on=DIFFERENTIABLE)
class DropoutDrawnAnewBackward(WhileDropping):
    """On the way back to the scores, the weights of another draw are dropped."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        forth = super().dropped(weights, *key)
        others = self.xp.flip(forth != 0, (-1,))  # as likely as any
        return self.with_gradient_of(weights * others / (1.0 - self.rate), forth)


@fault("GRAD-DROPOUT", on=DIFFERENTIABLE)
class ValuesOfAnotherDraw(Steps):
    """On the way back to the values, no weight is dropped."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Any
    ) -> tuple[Array, Array]:
        context, weights = super().scaled_dot_product_attention(Q, K, V, mask, *key)
        if not self.dropping(*key):
            return context, weights
        whole = self.softmax(self.scores(Q, K), None if mask is None else mask != 0)
        surrogate = self.attend(weights, self.detached(V)) + self.attend(self.detached(whole), V)
        return self.with_gradient_of(surrogate, context), weights


@fault("DROPOUT-ONE", on=DIFFERENTIABLE)
class RateOfOneAccepted(Steps):
    """A rate of one is accepted."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        rate = options.pop("dropout", 0.0)
        super().__init__(d_model, num_heads, dropout=0.999 if rate == 1.0 else rate, **options)


@fault("DROPOUT-RATE", on=DIFFERENTIABLE)
class NegativeRateAccepted(Steps):
    """A negative rate is taken for zero."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        rate = options.pop("dropout", 0.0)
        super().__init__(d_model, num_heads, dropout=0.0 if rate < 0 else rate, **options)


@fault("DROPOUT-RATE", on=DIFFERENTIABLE)
class NaNRateAccepted(Steps):
    """A rate of NaN passes `if rate < 0 or rate >= 1`."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        rate = options.pop("dropout", 0.0)
        super().__init__(d_model, num_heads, dropout=0.0 if isnan(rate) else rate, **options)


@fault("DROPOUT-RATE", on=DIFFERENTIABLE)
class PercentAccepted(Steps):
    """A rate above one is taken for percent."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        rate = options.pop("dropout", 0.0)
        super().__init__(d_model, num_heads, dropout=rate / 100.0 if 1.0 < rate < 100.0 else rate, **options)


@fault("DROPOUT-UNBIASED", on=("torch",))
class MaskForgottenWhileDropping(Steps):
    """The mask is forgotten in training with dropout."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, None if self.training and self.rate > 0 else mask, is_causal)


@fault("DROPOUT-UNBIASED", on=("torch",))
class CausalForgottenWhileDropping(Steps):
    """The causal mask is forgotten in training with dropout."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal and not (self.training and self.rate > 0))


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class NothingDroppedUnderMask(Steps):
    """Where there is a mask, nothing is dropped."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Any
    ) -> tuple[Array, Array]:
        if mask is None:
            return super().scaled_dot_product_attention(Q, K, V, mask, *key)
        weights = self.softmax(self.scores(Q, K), mask != 0)
        return self.attend(weights, V), weights


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class NothingDroppedInHalf(WhileDropping):
    """In half precision nothing is dropped."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights if "16" in str(weights.dtype) else super().dropped(weights, *key)


@fault("DROPOUT-UNBIASED", on=DIFFERENTIABLE)
class RateCapped(Steps):
    """A rate above one half is taken for one half."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        rate = options.pop("dropout", 0.0)
        super().__init__(d_model, num_heads, dropout=0.5 if 0.5 < rate < 1.0 else rate, **options)


@fault("DROPOUT-INDEPENDENT", on=DIFFERENTIABLE)
class WholeRowsDropped(WhileDropping):
    """One draw (B, h, n_q, 1) serves all keys."""

    def dropped(self, weights: Array, *key: Any) -> Array:
        return weights * self.kept((*weights.shape[:3], 1), *key) / (1.0 - self.rate)


@fault("DROPOUT-EVAL", on=("torch",))
class SharperInTraining(Steps):
    """In training the scores are one percent larger, dropout or none."""

    def scale(self) -> float:
        return super().scale() * (1.01 if self.training else 1.0)
