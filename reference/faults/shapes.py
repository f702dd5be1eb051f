"""Faults of the shapes: axes exchanged, averaged, squeezed away, or broadcast where they must be refused."""

from __future__ import annotations

from .fault import fault
from .steps import Array, OnArguments, OnMask, OnResult, Steps


@fault("SHAPE-OUTPUT")
class OutputLengthFirst(OnResult):
    """The output is (n_q, B, d_model)."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output.swapaxes(0, 1), weights


@fault("SHAPE-OUTPUT")
class OutputByHead(Steps):
    """The output is (B, n_q, h, d_k): the heads are put side by side and never merged."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        return output.reshape(*output.shape[:2], self.num_heads, self.d_k)


@fault("SHAPE-WEIGHTS", "B115")
class WeightsAveraged(OnResult):
    """The attention weights are averaged over the heads."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, weights.mean(axis=1)


@fault("SHAPE-WEIGHTS")
class WeightsFolded(OnResult):
    """The attention weights are (B h, n_q, n_k)."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, weights.reshape(-1, *weights.shape[2:]) if weights.shape[0] else weights


@fault("SHAPE-WEIGHTS")
class WeightsOfFirstHead(OnResult):
    """Of the attention weights, those of the first head are handed back."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, weights[:, :1]


@fault("SHAPE-PIPELINE")
class SplitLate(Steps):
    """split_heads leaves (B, n, h, d_k), and the attention exchanges the axes itself."""

    def split_heads(self, x: Array) -> Array:
        return super().split_heads(x).swapaxes(1, 2)

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        q, k, v = (x.swapaxes(1, 2) for x in (Q, K, V))
        return super().scaled_dot_product_attention(q, k, v, mask, *key)


@fault("SHAPE-PIPELINE")
class CombinedLate(Steps):
    """combine_heads leaves (B, n, h, d_k), and the output projection flattens it."""

    def combine_heads(self, x: Array) -> Array:
        return x.swapaxes(1, 2)

    def project_output(self, combined: Array) -> Array:
        B, n, h, d_k = combined.shape
        return super().project_output(combined.reshape(B, n, h * d_k))


@fault("SHAPE-CROSS")
class MaskMustBeSquare(OnMask):
    """With a mask, queries and keys of different lengths are refused."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        if Q.shape[1] != K.shape[1]:
            raise ValueError(f"mask must be square, got {Q.shape[1]} queries and {K.shape[1]} keys")
        return mask


@fault("SHAPE-UNIT")
class WeightsSqueezed(OnResult):
    """The attention weights lose every axis of size one."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, self.xp.squeeze(weights)


@fault("SHAPE-UNIT")
class HeadAxisOfOneLost(OnResult):
    """With one head, the attention weights are (B, n_q, n_k)."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, weights[:, 0] if self.num_heads == 1 else weights


@fault("SHAPE-EMPTY", "B157")
class EmptyRaises(OnArguments):
    """No examples or no queries raise an exception without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        if 0 in Q.shape:
            raise FloatingPointError
        return Q, K, V, mask


@fault("SHAPE-EMPTY")
class EmptyAnswersOneRow(OnResult):
    """No queries give the output of one."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.xp.zeros((1, 1, self.d_model)) if 0 in Q.shape else output, weights


@fault("SHAPE-REFUSE")
class BatchBroadcast(OnArguments):
    """A key and a value of batch size one serve every query."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        k, v = (self.xp.concatenate([x] * len(Q), 0) if len(x) == 1 < len(Q) else x for x in (K, V))
        return Q, k, v, mask


@fault("SHAPE-REFUSE")
class QueryBroadcast(OnArguments):
    """A query of batch size one is asked of every key."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return self.xp.concatenate([Q] * len(K), 0) if len(Q) == 1 < len(K) else Q, K, V, mask


@fault("SHAPE-REFUSE")
class ValueBroadcast(OnArguments):
    """A value of length one serves every key."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        one = V.shape[1] == 1 < K.shape[1]
        return Q, K, self.xp.concatenate([V] * K.shape[1], 1) if one else V, mask


@fault("SHAPE-REFUSE", "B064")
class KeysCutToValues(OnArguments):
    """Keys beyond the last value are left out without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return Q, K[:, : V.shape[1]], V, mask


@fault("SHAPE-REFUSE")
class ValuesCutToKeys(OnArguments):
    """Values beyond the last key are left out without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return Q, K, V[:, : K.shape[1]], mask


@fault("SHAPE-REFUSE")
class NarrowColumnsFilled(OnArguments):
    """Columns that are wanting are filled with zeros without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        missing = [max(self.d_model - x.shape[-1], 0) for x in (Q, K, V)]
        q, k, v = (
            self.xp.concatenate([x] + [0 * x[..., :1]] * n, -1)
            for x, n in zip((Q, K, V), missing, strict=True)
        )
        return q, k, v, mask


@fault("SHAPE-REFUSE")
class WideColumnsCut(OnArguments):
    """Columns beyond d_model are left out without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        q, k, v = (x[..., : self.d_model] for x in (Q, K, V))
        return q, k, v, mask


@fault("SHAPE-REFUSE")
class WideQueryCut(OnArguments):
    """Columns of the query beyond d_model are left out without a word."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return Q[..., : self.d_model], K, V, mask


@fault("SHAPE-REFUSE")
class KeyBroadcast(OnArguments):
    """A key of batch size one serves the values of every example."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return Q, self.xp.concatenate([K] * len(V), 0) if len(K) == 1 < len(V) else K, V, mask
