"""Faults of the gradients: the forward pass is right, what flows back is not."""

from __future__ import annotations

from .fault import DIFFERENTIABLE, fault
from .softmax import OverScores
from .steps import Array, OnArguments, Steps


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class ScoresDetached(Steps):
    """No gradient reaches queries and keys."""

    def scores(self, Q: Array, K: Array) -> Array:
        return self.detached(super().scores(Q, K))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class KeysDetached(Steps):
    """No gradient reaches keys."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, self.detached(K))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class KeysDetachedBeyond512(Steps):
    """No gradient reaches the keys from the 512th on."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, self.xp.concatenate([K[:, :, :512], self.detached(K[:, :, 512:])], 2))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class KeysDetachedInSelfAttention(OnArguments):
    """No gradient reaches keys where they are the same object as the queries."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return Q, self.detached(K) if K is Q else K, V, mask


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class QueriesDetached(Steps):
    """No gradient reaches queries."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(self.detached(Q), K)


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class ValuesDetached(Steps):
    """No gradient reaches values."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.detached(V))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class ContextDetached(Steps):
    """No gradient passes W_o."""

    def combine_heads(self, x: Array) -> Array:
        return self.detached(super().combine_heads(x))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class OutputWeightsDetached(Steps):
    """W_o gets no gradient, and lets one pass."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        surrogate = combined @ self.detached(self.cast(self.weight("o"), combined.dtype))
        return self.with_gradient_of(surrogate, output)


@fault("GRAD-ORACLE", "B145", on=DIFFERENTIABLE)
class ValueBiasDetached(Steps):
    """b_v gets no gradient."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        b = self.bias("v")
        if b is not None:
            v = self.with_gradient_of(v - self.cast(b, v.dtype), v)
        return q, k, v


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class ValueGradientDoubled(Steps):
    """The gradient of values is twice what it is."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.with_gradient_of(2.0 * V, V))


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class ScaleForgottenBackwards(Steps):
    """The gradient of the scores is not scaled."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return self.with_gradient_of(scores / self.scale(), scores)


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class SoftmaxWithoutRowSumBackwards(Steps):
    """The gradient of the softmax is A dA, without the sum over the row."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return self.with_gradient_of(self.detached(weights) * scores, weights)


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class GradientOfFirstHeadAlone(Steps):
    """A gradient flows through the first head alone."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:, :1], self.detached(context[:, 1:])], 1)


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class GradientOfFirstExampleAlone(Steps):
    """A gradient flows through the first example alone."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:1], self.detached(context[1:])], 0)


@fault("GRAD-ORACLE", "B148", on=DIFFERENTIABLE)
class RemainderSkippedBackwards(Steps):
    """Backwards, keys are taken four at a time, and what is left over is not taken."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        whole = k.shape[1] // 4 * 4
        k, v = (self.xp.concatenate([x[:, :whole], self.detached(x[:, whole:])], 1) for x in (k, v))
        return q, k, v


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class GradientInHalf(Steps):
    """The gradient of the scores is rounded to half precision."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return self.with_gradient_of(self.cast(self.cast(scores, "float16"), scores.dtype), scores)


@fault("GRAD-ORACLE", "B142", on=DIFFERENTIABLE)
class GradientClipped(Steps):
    """The gradient of a score beyond one in magnitude is cut off."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return self.with_gradient_of(self.xp.clip(scores, -1.0, 1.0), scores)


@fault("GRAD-BLOCKED", on=DIFFERENTIABLE)
class BlockedScoresGetGradients(Steps):
    """The gradient of the softmax is that of no mask."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return weights if allowed is None else self.with_gradient_of(super().softmax(scores, None), weights)


@fault("GRAD-BLOCKED", on=DIFFERENTIABLE)
class BlockedValuesGetGradients(Steps):
    """A thousandth of the gradient reaches every value, seen or not."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.with_gradient_of(context + 1e-3 * V.sum(axis=2, keepdims=True), context)


@fault("GRAD-FINITE", "B010", on=DIFFERENTIABLE)
class EmptyRowGradientIsNaN(OverScores):
    """A row with no allowed key is replaced after it has become 0/0, and its gradient is NaN."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is None:
            return super().softmax(scores, None)
        powers = self.powers(scores + self.xp.where(allowed, 0.0, -float("inf")), None)
        total = powers.sum(axis=-1, keepdims=True)
        return self.xp.where(total == 0, 0.0, powers / total)


@fault("GRAD-FINITE", "B146", on=DIFFERENTIABLE)
class EmptyRowGradientOfRoot(Steps):
    """Each context is divided and multiplied by its length, whose slope is NaN where a row is empty."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        length = (context * context).sum(axis=-1, keepdims=True) ** 0.5
        return context / self.xp.where(length == 0, 1.0, length) * length


@fault("GRAD-ORACLE", on=("torch",))
class KeysDetachedInTraining(Steps):
    """In training no gradient reaches keys."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, self.detached(K) if self.training else K)


@fault("GRAD-ORACLE", on=DIFFERENTIABLE)
class LongKeysDetached(Steps):
    """No gradient reaches keys where there are more than 128."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, self.detached(K) if K.shape[2] > 128 else K)
