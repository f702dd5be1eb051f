"""Faults that show only where two sizes coincide, as they do in every example that is written by hand."""

from __future__ import annotations

from .fault import MUTABLE, fault
from .steps import Array, OnArguments, OnMask, Steps


@fault("MASK-BROADCAST")
class MaskTurnedWhereBatchIsHeads(OnMask):
    """Where B equals h, batch and heads of the mask are taken for each other."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        turned = mask.ndim == 4 and Q.shape[0] == self.num_heads
        return mask.swapaxes(0, 1) if turned else mask


@fault("MASK-BROADCAST", "B059")
class MaskTransposedWhereSquare(OnMask):
    """Where n_q equals n_k, queries and keys of the mask are taken for each other."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        square = mask.ndim >= 2 and Q.shape[1] == K.shape[1]
        return mask.swapaxes(-2, -1) if square and mask.shape[-2] == mask.shape[-1] else mask


@fault("MASK-BROADCAST", "B022")
class PaddingOnQueriesWhereSquare(OnMask):
    """A padding mask (B, 1, 1, n_k) is unsqueezed on the queries' axis where n_q equals n_k."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        padding = mask.ndim == 4 and mask.shape[-2] == 1 and Q.shape[1] == K.shape[1]
        return mask.swapaxes(-2, -1) if padding else mask


@fault("MASK-BROADCAST", "B136")
class PaddedQueriesZeroedWhereSquare(Steps):
    """Where n_q equals n_k, a key that nobody sees is taken for a query that is padding."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        context, weights = super().scaled_dot_product_attention(Q, K, V, mask, *key)
        if mask is None or Q.shape[2] != K.shape[2]:
            return context, weights
        seen = self.cast(weights != 0, context.dtype).sum(axis=(1, 2)) > 0
        return context * seen[:, None, :, None], weights


@fault("PROJ-ROUTING")
class PackedWhereShapesAgree(OnArguments):
    """Where query and key have one shape, the query is projected three times."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return (Q, Q, Q, mask) if Q.shape == K.shape else (Q, K, V, mask)


@fault("PROJ-ROUTING", on=MUTABLE)
class OneProjectionForOneObject(Steps):
    """Where key and value are one object, one projection serves both."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k, k if K is V or (K.shape == V.shape and bool((K == V).all())) else v


@fault("HEADS-BLOCK-ORDER")
class HeadsTurnedWhereSquare(Steps):
    """Where d_k equals h, a head's number and its column are taken for each other."""

    def split_heads(self, x: Array) -> Array:
        heads = super().split_heads(x)
        return heads.swapaxes(1, 3) if self.d_k == self.num_heads else heads


@fault("HEADS-INDEPENDENT")
class HeadsTakenForSplit(Steps):
    """Where n equals h, the array is taken for one that is split already."""

    def split_heads(self, x: Array) -> Array:
        B, n, _ = x.shape
        return x.reshape(B, n, self.num_heads, self.d_k) if n == self.num_heads else super().split_heads(x)


@fault("PROJ-ORACLE")
class KeysNotTransposedWhereSquare(Steps):
    """Where n_k equals d_k, Q K is computed and not Q K^T."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K.swapaxes(-2, -1) if K.shape[-2] == self.d_k else K)


@fault("PROJ-ORACLE")
class KeysReversedWhereBatchIsQueries(Steps):
    """Where B equals n_q, values are averaged in the opposite order."""

    def attend(self, weights: Array, V: Array) -> Array:
        turned = weights.shape[0] == weights.shape[2] and V.shape[2] > 1
        return super().attend(weights, self.xp.flip(V, (2,)) if turned else V)


@fault("MASK-CAUSAL")
class CausalWhereEvenLengths(Steps):
    """The causal mask is left out where both lengths are even."""

    def causal(self, n_q: int, n_k: int) -> Array:
        triangle = super().causal(n_q, n_k)
        return triangle | True if n_q % 2 == n_k % 2 == 0 else triangle


@fault("PROJ-ROUTING", on=MUTABLE)
class PackedWhereKeyIsValue(Steps):
    """Where key and value are one object and the query is another, both take W_k."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k, k if K is V and Q is not K else v


@fault("MASK-BROADCAST")
class PairsReadAsPadding(OnMask):
    """Where B equals n_q, a mask (n_q, n_k) is read as (B, n_k)."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask[:, None, None, :] if mask.ndim == 2 and mask.shape[0] == Q.shape[0] else mask
