"""Faults of the causal mask: off by one, aligned elsewhere, or lost beside another mask."""

from __future__ import annotations

from .fault import DIFFERENTIABLE, fault
from .steps import Array, Steps


class Offsets(Steps):
    """Has the distance from key to query at hand."""

    def ahead(self, n_q: int, n_k: int) -> Array:
        """j - i for query i and key j: positive in the future."""
        return self.xp.arange(n_k) - self.xp.arange(n_q)[:, None]


@fault("MASK-CAUSAL")
class CausalSeesNext(Offsets):
    """Every query sees the key after its own."""

    def causal(self, n_q: int, n_k: int) -> Array:
        return self.ahead(n_q, n_k) <= 1


@fault("MASK-CAUSAL")
class CausalBlindToItself(Offsets):
    """No query but the first sees its own key."""

    def causal(self, n_q: int, n_k: int) -> Array:
        first = self.xp.arange(n_q)[:, None] == 0
        return (self.ahead(n_q, n_k) < 0) | (first & (self.ahead(n_q, n_k) == 0))


@fault("MASK-CAUSAL")
class CausalReversed(Offsets):
    """Queries see the future and not the past."""

    def causal(self, n_q: int, n_k: int) -> Array:
        return self.ahead(n_q, n_k) >= 0


@fault("MASK-CAUSAL", "B037", "B035")
class CausalAlignmentByLength(Offsets):
    """The diagonal ends at the bottom right where keys are more, and starts at the top left where not."""

    def causal(self, n_q: int, n_k: int) -> Array:
        return self.ahead(n_q, n_k) <= max(n_k - n_q, 0)


@fault("MASK-CAUSAL")
class CausalCentred(Offsets):
    """The diagonal is centred: it starts between top left and bottom right."""

    def causal(self, n_q: int, n_k: int) -> Array:
        return self.ahead(n_q, n_k) <= (n_k - n_q) // 2


@fault("MASK-CAUSAL", "B043")
class CausalInFours(Offsets):
    """Queries are masked four at a time, by the last of the four."""

    def causal(self, n_q: int, n_k: int) -> Array:
        row = self.xp.arange(n_q)[:, None]
        return self.xp.arange(n_k) <= row - row % 4 + 3


@fault("MASK-CAUSAL", "B041")
class CausalWindow(Offsets):
    """Queries see three keys back and no further."""

    def causal(self, n_q: int, n_k: int) -> Array:
        ahead = self.ahead(n_q, n_k)
        return (ahead <= 0) & (ahead > -4)


@fault("MASK-CAUSAL")
class CausalWhereSquare(Steps):
    """The causal mask is left out where queries and keys differ in number."""

    def causal(self, n_q: int, n_k: int) -> Array:
        triangle = super().causal(n_q, n_k)
        return triangle if n_q == n_k else triangle | True


@fault("MASK-CAUSAL")
class CausalEndsAt128(Offsets):
    """Queries beyond the 128th see everything."""

    def causal(self, n_q: int, n_k: int) -> Array:
        return super().causal(n_q, n_k) | (self.xp.arange(n_q)[:, None] >= 128)


@fault("MASK-CAUSAL", on=DIFFERENTIABLE)
class CausalPositionsRounded(Steps):
    """Positions are numbers of the query's type, of which bfloat16 has no odd ones beyond 256."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        allowed = super().allowed(Q, K, V, mask, False)
        if not is_causal:
            return allowed
        query, key = (self.cast(self.xp.arange(x.shape[1]), Q.dtype) for x in (Q, K))
        causal = key <= query[:, None]
        return causal if allowed is None else allowed & causal


@fault("MASK-CAUSAL")
class CausalForFirstHead(Steps):
    """The first head is causal, the others are not."""

    def causal(self, n_q: int, n_k: int) -> Array:
        later = self.xp.arange(self.num_heads)[:, None, None] > 0
        return super().causal(n_q, n_k) | later


@fault("MASK-EFFECT")
class CausalIgnored(Steps):
    """The causal flag has no effect."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, False)


@fault("MASK-EFFECT", "B034", "B047")
class CausalNeedsMask(Steps):
    """The causal flag has no effect unless there is a mask to combine it with."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal and mask is not None)


@fault("MASK-COMBINE", "B031")
class CausalLostBesideMask(Steps):
    """With a mask given, the causal flag is forgotten."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal and mask is None)


@fault("MASK-COMBINE")
class MaskLostBesideCausal(Steps):
    """With the causal flag set, the mask is forgotten."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, None if is_causal else mask, is_causal)


@fault("MASK-COMBINE")
class MasksUnited(Steps):
    """Mask and causal mask are joined by "or": what either allows is allowed."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        given = super().allowed(Q, K, V, mask, False)
        if given is None or not is_causal:
            return super().allowed(Q, K, V, mask, is_causal)
        return given | self.causal(Q.shape[1], K.shape[1])


@fault("MASK-COMBINE")
class MasksExclusive(Steps):
    """Mask and causal mask are joined by "either or"."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        given = super().allowed(Q, K, V, mask, False)
        if given is None or not is_causal:
            return super().allowed(Q, K, V, mask, is_causal)
        return given ^ self.causal(Q.shape[1], K.shape[1])


@fault("ORDER-KEY")
class AlwaysCausal(Steps):
    """Without a mask, attention is causal, asked or not."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        return super().allowed(Q, K, V, mask, is_causal or mask is None)


@fault("MASK-FUTURE")
class MeanOfAllValuesAdded(Steps):
    """A hundredth of the mean of all values is added to every context, those of the future among them."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, V) + 0.01 * V.mean(axis=-2, keepdims=True)


@fault("MASK-COMBINE")
class PairsInPlaceOfCausal(Steps):
    """A mask (n_q, n_k) is taken in place of the causal one; any other is joined with it."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        whole = mask is not None and mask.ndim == 2
        return super().allowed(Q, K, V, mask, is_causal and not whole)


@fault("MASK-COMBINE")
class NumbersForgottenUnderCausal(Steps):
    """A mask of whole numbers is forgotten under the causal flag."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        whole = mask is not None and "int" in str(mask.dtype)
        return super().allowed(Q, K, V, None if whole and is_causal else mask, is_causal)


@fault("MASK-CAUSAL")
class CausalFillTooSmall(Steps):
    """A mask of (n_q, n_k), the causal one among them, is filled with -1e4."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is None or allowed.ndim > 2:
            return super().softmax(scores, allowed)
        return super().softmax(self.xp.where(allowed, scores, -1e4), None)
