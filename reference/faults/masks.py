"""Faults of masks: read with the other meaning, on the wrong axis, at the wrong time, or not at all."""

from __future__ import annotations

from .fault import fault
from .softmax import OverScores
from .steps import Array, OnMask, Steps


def is_boolean(mask: Array) -> bool:
    """Return whether a mask of any framework holds booleans."""
    return str(mask.dtype).endswith("bool")


@fault("MASK-REMOVAL", "B014", "B016", "B017")
class MaskInverted(OnMask):
    """True blocks and False allows."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask == 0


@fault("MASK-DTYPE", "B020")
class NumbersReadInverted(OnMask):
    """A mask of numbers is read as one that blocks where it is not zero."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask if is_boolean(mask) else mask == 0


@fault("MASK-DTYPE", "B094")
class NumbersNeverBlock(OnMask):
    """`~mask` of integers is never zero, so a mask of numbers blocks nothing."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask if is_boolean(mask) else mask == mask


@fault("MASK-EFFECT", "B023")
class MaskIgnored(OnMask):
    """The result of masked_fill is dropped, so the mask has no effect."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return None


@fault("MASK-EFFECT", "B028")
class MaskIgnoredInCrossAttention(OnMask):
    """The mask is set to None where queries and keys differ in length."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask if Q.shape[1] == K.shape[1] else None


@fault("MASK-NONINTERFERENCE", "B022")
class FillTooSmall(Steps):
    """Blocked scores are set to -10000, which a trained model's scores can go below."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores if allowed is None else self.xp.where(allowed, scores, -1e4), None)


@fault("MASK-ZERO")
class FillMuchTooSmall(Steps):
    """Blocked scores are set to -20."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores if allowed is None else self.xp.where(allowed, scores, -20.0), None)


@fault("MASK-NONINTERFERENCE")
class FillAdded(Steps):
    """A fill of -10000 is added to blocked scores, so a large score survives it."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(
            scores if allowed is None else scores + self.xp.where(allowed, 0.0, -1e4), None
        )


@fault("MASK-ALLOW-ALL", "B008")
class ZeroTimesInfinity(Steps):
    """The mask is turned into (1 - mask) * -inf, and 0 * inf is NaN."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is None:
            return super().softmax(scores, None)
        return super().softmax(scores + (1.0 - self.cast(allowed, scores.dtype)) * -float("inf"), None)


@fault("NUM-BOUND", "B085", "B086")
class FillOverflowsHalf(Steps):
    """A fill of -1e9 overflows in float16, and times (1 - mask) it is NaN."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is None or self.xp.finfo(scores.dtype).max > 1e9:
            return super().softmax(scores, allowed)
        fill = self.cast(self.xp.asarray(-1e9), scores.dtype)
        return super().softmax(scores + (1.0 - self.cast(allowed, scores.dtype)) * fill, None)


@fault("MASK-ZERO")
class MaskAdded(Steps):
    """A mask of ones and zeros is added to the scores."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores if allowed is None else scores + self.cast(allowed, scores.dtype), None)


@fault("MASK-ZERO", "B026")
class MaskMultiplied(Steps):
    """The scores are multiplied by the mask, and exp(0) is one."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores if allowed is None else scores * self.cast(allowed, scores.dtype), None)


@fault("SOFTMAX-ROWSUM")
class MaskAfterSoftmax(Steps):
    """The weights are multiplied by the mask and not renormalised."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, None)
        return weights if allowed is None else weights * self.cast(allowed, scores.dtype)


@fault("MASK-NONINTERFERENCE")
class MaskAfterSoftmaxRenormalised(OverScores):
    """The weights are masked and renormalised: a large blocked score takes all and leaves zeros."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, None)
        return weights if allowed is None else self.shares(weights * self.cast(allowed, scores.dtype))


@fault("MASK-NONINTERFERENCE")
class PeakOfBlockedScores(OverScores):
    """The maximum is taken before the mask: a large blocked score underflows the whole row."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        powers = self.powers(scores, None)
        return self.shares(powers if allowed is None else powers * allowed)


@fault("MASK-ZERO")
class BlockedValuesZeroed(Steps):
    """The values of blocked keys are zeroed, and their weights are kept."""

    def scaled_dot_product_attention(
        self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Array
    ) -> tuple[Array, Array]:
        weights = self.softmax(self.scores(Q, K), None)
        seen = weights if mask is None else weights * self.cast(mask, weights.dtype)
        return self.attend(seen, V), weights


@fault("MASK-REMOVAL")
class MaskShifted(Steps):
    """The mask is moved by one key."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        return super().softmax(scores, None if allowed is None else self.xp.roll(allowed, 1, -1))


@fault("MASK-BROADCAST")
class MaskOfFirstHead(Steps):
    """The mask of the first head is used for all heads."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            allowed = self.xp.broadcast_to(allowed, scores.shape)[:, :1]
        return super().softmax(scores, allowed)


@fault("MASK-BROADCAST")
class MaskSkippedWhereFirstIsOpen(Steps):
    """Where nothing is blocked in the first example, nothing is in the others."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None and scores.shape[0] > 1:
            allowed = self.xp.broadcast_to(allowed, scores.shape)
            allowed = allowed | allowed[:1].all()
        return super().softmax(scores, allowed)


@fault("MASK-BROADCAST")
class MaskOfFirstExample(Steps):
    """The mask of the first example is used for the whole batch."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            allowed = self.xp.broadcast_to(allowed, scores.shape)[:1]
        return super().softmax(scores, allowed)


@fault("MASK-BROADCAST")
class MaskOfFirstQuery(Steps):
    """The mask of the first query is used for all queries."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            allowed = self.xp.broadcast_to(allowed, scores.shape)[:, :, :1]
        return super().softmax(scores, allowed)


@fault("MASK-BROADCAST", "B052", "B053", "B056")
class MaskTiled(Steps):
    """Folding heads into the batch, the mask is tiled where it should be repeated."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            B, h, n_q, n_k = scores.shape
            full = self.xp.broadcast_to(allowed, scores.shape)
            allowed = full.swapaxes(0, 1).reshape(B, h, n_q, n_k)
        return super().softmax(scores, allowed)


@fault("MASK-BROADCAST", "B055")
class MaskOnFirstHeadAlone(Steps):
    """The mask is applied to the first head, and the others see everything."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is None:
            return super().softmax(scores, None)
        first = super().softmax(scores, allowed)[:, :1]
        return self.xp.concatenate([first, super().softmax(scores, None)[:, 1:]], 1)


@fault("MASK-BROADCAST", "B058")
class MaskMustBeWhole(OnMask):
    """A mask that is not (B, h, n_q, n_k) already fails an assertion."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        assert mask.shape == (Q.shape[0], self.num_heads, Q.shape[1], K.shape[1])
        return mask


@fault("MASK-BROADCAST")
class LargerMaskCut(OnMask):
    """A mask that is too large is cut to size without a word."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return mask[..., : Q.shape[1], : K.shape[1]] if mask.ndim >= 2 else mask


@fault("MASK-ZERO")
class FirstKeyAlwaysSeen(Steps):
    """The first key is seen by every query, blocked or not."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            allowed = allowed | (self.xp.arange(scores.shape[-1]) == 0)
        return super().softmax(scores, allowed)


@fault("MASK-ZERO")
class DiagonalAlwaysSeen(Steps):
    """Every query sees its own position, blocked or not."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            n_q, n_k = scores.shape[-2:]
            allowed = allowed | (self.xp.arange(n_q)[:, None] == self.xp.arange(n_k))
        return super().softmax(scores, allowed)


@fault("MASK-ZERO")
class EveryOtherQueryMasked(Steps):
    """The mask reaches every other query alone."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            allowed = allowed | (self.xp.arange(scores.shape[-2])[:, None] % 2 == 1)
        return super().softmax(scores, allowed)


@fault("PROJ-ORACLE", "B025")
class MaskFromData(Steps):
    """Keys whose entries add up to zero are taken for padding."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        given = super().allowed(Q, K, V, mask, is_causal)
        padding = (K.sum(axis=-1) != 0)[:, None, None, :]
        return padding if given is None else given & padding


@fault("MASK-DTYPE", "B020")
class WholeNumbersOfPairsReadInverted(OnMask):
    """A mask (n_q, n_k) of whole numbers blocks where it is not zero; any other is read right."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        whole = mask.ndim == 2 and "int" in str(mask.dtype)
        return mask == 0 if whole else mask


@fault("MASK-BROADCAST")
class SparseRowsOpened(Steps):
    """A query that may see fewer than a fifth of its keys sees them all."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if allowed is not None:
            many = 1.0 * allowed.sum(-1)[..., None]
            allowed = allowed | ((many > 0) & (5 * many < scores.shape[-1]))
        return super().softmax(scores, allowed)


@fault("PROJ-ORACLE", "B025")
class ZeroKeysTakenForPadding(Steps):
    """Keys whose projection is all zeros are taken for padding."""

    def scores(self, Q: Array, K: Array) -> Array:
        padding = (abs(K).sum(axis=-1) < 1e-12)[:, :, None, :]
        return self.xp.where(padding, -50.0, super().scores(Q, K))


@fault("MASK-BROADCAST")
class FewerMasksRepeated(OnMask):
    """Masks for fewer examples than there are, but more than one, are used again for the rest."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        few = mask.ndim == 4 and 1 < len(mask) < len(Q) and len(Q) % len(mask) == 0
        return self.xp.concatenate([mask] * (len(Q) // len(mask)), 0) if few else mask


@fault("MASK-BROADCAST")
class ShorterMaskOpened(OnMask):
    """Keys beyond the end of a mask are taken for allowed."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array:
        missing = K.shape[1] - mask.shape[-1]
        if mask.shape[-1] == 1 or missing <= 0:
            return mask
        open_ = self.xp.ones((*mask.shape[:-1], missing), dtype=mask.dtype)
        return self.xp.concatenate([mask, open_], -1)
