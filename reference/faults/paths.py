"""Faults of paths: right on one way through the implementation, wrong on another."""

from __future__ import annotations

from typing import Any

from .fault import fault
from .steps import Array, OnMask, OnResult, Steps


@fault("PATH-REPRODUCE")
class WeightsWithoutMask(Steps):
    """The attention weights handed back are those of before the mask."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        context, _ = super().scaled_dot_product_attention(Q, K, V, mask, *key)
        return context, super().scaled_dot_product_attention(Q, K, V, None, *key)[1]


@fault("PATH-REPRODUCE")
class WeightsOfOtherScale(Steps):
    """The attention weights handed back are computed beside the output, with the scale forgotten."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        context, _ = super().scaled_dot_product_attention(Q, K, V, mask, *key)
        return context, super().scaled_dot_product_attention(Q / self.scale(), K, V, mask, *key)[1]


@fault("PATH-REPRODUCE")
class WeightsRounded(OnResult):
    """The attention weights handed back are rounded to three decimals."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, self.xp.round(weights * 1000.0) / 1000.0


@fault("PATH-REPRODUCE")
class WeightsAveragedInPlace(OnResult):
    """The attention weights handed back are the mean over the heads, repeated for each."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, 0.0 * weights + weights.mean(axis=1, keepdims=True)


class WithoutGradients(Steps):
    """Knows the path that is taken at inference."""

    def inference(self) -> bool:
        return not self.xp.is_grad_enabled()


@fault("PATH-AGREE", "B032", on=("torch",))
class CausalNeedsGradients(WithoutGradients):
    """With gradients off, a fused path is taken that knows no causal flag."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal and not self.inference())


@fault("PATH-AGREE", "B014", on=("torch",))
class MaskInvertedWithoutGradients(OnMask, WithoutGradients):
    """With gradients off, a fused path is taken that reads masks with the other meaning."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        return mask == 0 if self.inference() else mask


@fault("PATH-AGREE", "B077", on=("torch",))
class ScaledByModelWithoutGradients(WithoutGradients):
    """With gradients off, the scores are divided by sqrt(d_model)."""

    def scores(self, Q: Array, K: Array) -> Array:
        extra = float(self.num_heads) ** -0.5 if self.inference() else 1.0
        return super().scores(Q, K) * extra


@fault("PATH-AGREE", on=("torch",))
class ScaledTwiceInTraining(Steps):
    """In training the scores are scaled once more, whatever the rate of the dropout is."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K) * (self.scale() if self.training else 1.0)


@fault("MASK-EMPTY-ROW", "B002", on=("torch",))
class EmptyRowOfTwoMinds(WithoutGradients):
    """A row with no allowed key answers zeros with gradients off, and NaN with gradients on."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        total = weights.sum(axis=-1, keepdims=True)
        return weights if self.inference() else weights / self.xp.where(total == 0, total, 1.0)


@fault("PATH-AGREE", "B077", on=("jax",))
class CompiledScaleByModel(Steps):
    """Compiled, the scores are divided by sqrt(d_model)."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K) * (float(self.num_heads) ** -0.5 if self.traced() else 1.0)


@fault("PATH-AGREE", on=("jax",))
class CompiledCausalIgnored(Steps):
    """Compiled, the causal flag has no effect."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal and not self.traced())


@fault("PATH-AGREE", on=("jax",))
class EagerInHalf(Steps):
    """Outside of a compiled function, the softmax runs in half precision."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if self.traced():
            return super().softmax(scores, allowed)
        return self.cast(super().softmax(self.cast(scores, "float16"), allowed), scores.dtype)


class MayLeaveWeights(Steps):
    """Returns attention weights only where they are asked for: override `bare`."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        """Return the output of the path without weights."""
        return super().forward(Q, K, V, mask, is_causal=is_causal)[0]

    def forward(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        *,
        is_causal: bool = False,
        need_weights: bool = True,
        **options: Any,
    ) -> tuple[Array, Array]:
        """Attend along one of the two paths."""
        if need_weights:
            return super().forward(Q, K, V, mask, is_causal=is_causal, **options)
        return self.bare(Q, K, V, mask, is_causal), None


@fault("PATH-AGREE", "B014")
class MaskInvertedWithoutWeights(MayLeaveWeights):
    """Where no weights are asked for, a fused path is taken that reads masks with the other meaning."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        return super().bare(Q, K, V, None if mask is None else mask == 0, is_causal)


@fault("MASK-BROADCAST")
class PairsForgottenWithoutWeights(MayLeaveWeights):
    """Where no weights are asked for, a mask (n_q, n_k) is forgotten."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        return super().bare(Q, K, V, None if mask is not None and mask.ndim == 2 else mask, is_causal)


@fault("MASK-DTYPE")
class NumbersInvertedWithoutWeights(MayLeaveWeights):
    """Where no weights are asked for, a mask of whole numbers blocks where it is not zero."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        whole = mask is not None and "int" in str(mask.dtype)
        return super().bare(Q, K, V, mask == 0 if whole else mask, is_causal)


@fault("PATH-AGREE", "B032")
class CausalNeedsWeights(MayLeaveWeights):
    """Where no weights are asked for, the causal flag has no effect."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        return super().bare(Q, K, V, mask, False)


@fault("DROPOUT-UNBIASED", on=("torch",))
class NoDropoutWithoutWeights(MayLeaveWeights):
    """Where no weights are asked for, nothing is dropped in training."""

    def bare(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array:
        training, self.training = self.training, False
        try:
            self.dropout.eval()  # type: ignore[attr-defined]
            return super().bare(Q, K, V, mask, is_causal)
        finally:
            self.training = training
            self.dropout.train(training)  # type: ignore[attr-defined]
