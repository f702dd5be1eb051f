"""Faults of state and purity: a call that leaves something behind, or writes to what it was given."""

from __future__ import annotations

from math import prod

from .fault import MUTABLE, fault
from .steps import Array, OnArguments, OnMask, OnResult, Steps


@fault("PURE-STATE", on=MUTABLE)
class KeysOfLastCall(Steps):
    """Projected keys are kept, and used again for the next call of the same shape."""

    last_key: Array | None = None

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        last, self.last_key = self.last_key, k
        return q, last if last is not None and last.shape == k.shape else k, v


@fault("PURE-STATE", on=MUTABLE)
class KeysKeptByIdentity(Steps):
    """Projected keys and values are kept for as long as the key is the same object."""

    known: tuple[Array, Array, Array] | None = None

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        if self.known is None or self.known[0] is not K:
            self.known = K, k, v
        return q, *self.known[1:]


@fault("PURE-STATE", on=MUTABLE)
class RunningMeanSubtracted(Steps):
    """A running mean over all calls so far is subtracted from the scores of the last key."""

    mean = 0.0

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        if prod(scores.shape):
            self.mean = 0.9 * self.mean + 0.1 * scores.mean().item()
        first = self.xp.arange(scores.shape[-1]) == 0
        return scores - self.mean * self.cast(first, scores.dtype)


@fault("PURE-STATE", on=MUTABLE)
class ScaledFromSecondCall(Steps):
    """From the second call on, the scores are scaled once more."""

    calls = 0

    def scores(self, Q: Array, K: Array) -> Array:
        self.calls += 1
        return super().scores(Q, K) * (1.0 if self.calls == 1 else self.scale())


@fault("PURE-STATE", on=MUTABLE)
class OutputOfLastCallMixedIn(OnResult):
    """A tenth of the last output is mixed into the next of the same shape."""

    last: Array | None = None

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        before, self.last = self.last, output
        if before is not None and before.shape == output.shape:
            output = 0.9 * output + 0.1 * self.cast(before, output.dtype)
        return output, weights


@fault("PURE-STATE", on=MUTABLE)
class WeightsDecay(OnResult):
    """Every call shrinks W_o by a thousandth."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        W = self.weight("o")
        self.overwrite(W, 0.999 * W)
        return output, weights


@fault("PURE-INPUT", on=MUTABLE)
class QueryScaledInPlace(OnResult):
    """`q *= scale` scales the caller's query."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        self.overwrite(Q, Q * self.scale())
        return output, weights


@fault("PURE-INPUT", on=MUTABLE)
class LargeValuesZeroedInPlace(OnArguments):
    """Values beyond one in magnitude are zeroed in the caller's array, after they were read."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        read = [x * 1.0 for x in (Q, K, V)]
        self.overwrite(V, V * (abs(V) <= 1.0))
        return read[0], read[1], read[2], mask


@fault("PURE-INPUT", on=MUTABLE)
class PaddedValuesZeroedInPlace(OnArguments):
    """Values that a mask (B, 1, 1, n_k) blocks are zeroed in the caller's array."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        if mask is not None and mask.ndim == 4 and mask.shape[1:3] == (1, 1) and len(mask) == len(V):
            self.overwrite(V, V * self.cast(mask[:, 0, 0, :, None] != 0, V.dtype))
        return Q, K, V, mask


@fault("PURE-INPUT", on=MUTABLE)
class InfinityScrubbedInPlace(OnArguments):
    """Infinite values are made zeros in the caller's array."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        self.overwrite(V, self.xp.where(self.xp.isinf(V), 0.0 * self.xp.ones_like(V), V))
        return Q, K, V, mask


@fault("STRIDE-INVARIANT", "B151", "B152", on=MUTABLE)
class MemoryReadInOrder(OnArguments):
    """The memory of a query is read in its own order, whatever view of it was given."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        return self.as_stored(Q), K, V, mask


@fault("STRIDE-INVARIANT", on=MUTABLE)
class MaskMemoryReadInOrder(OnMask):
    """The memory of a mask is read in its own order, whatever view of it was given."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return self.as_stored(mask)


@fault("PURE-STATE", on=MUTABLE)
class StepsPileUp(Steps):
    """A call of one query and one key is taken for the next step of the one before."""

    steps: tuple[Array, Array] | None = None

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        if Q.shape[1] == 1 and K.shape[1] == 1:
            before = self.steps
            self.steps = k, v
            if before is not None and before[0].shape == k.shape and before[0].dtype == k.dtype:
                k, v = (self.xp.concatenate([old, new], 1) for old, new in zip(before, (k, v), strict=True))
        return q, k, v


@fault("PURE-STATE", on=MUTABLE)
class StepsOfOneAreKept(OnArguments):
    """One query that attends to itself is a step of decoding, whose keys are kept and never forgotten."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        if Q is not K or Q.shape[1] != 1 or mask is not None:
            return Q, K, V, mask
        kept: Array = self.__dict__.get("steps", K)
        whole = self.xp.concatenate([kept, K], 1) if kept is not K and kept.shape[::2] == K.shape[::2] else K
        self.__dict__["steps"] = 1.0 * whole
        return Q, whole, whole, mask


@fault("MASK-PURE", on=MUTABLE)
class CausalWrittenIntoMask(Steps):
    """The causal mask is written into the caller's."""

    def allowed(self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool) -> Array | None:
        allowed = super().allowed(Q, K, V, mask, is_causal)
        if allowed is not None and mask is not None and is_causal and mask.shape == allowed.shape:
            self.overwrite(mask, self.cast(allowed, mask.dtype))
        return allowed


@fault("MASK-PURE", on=MUTABLE)
class MaskSticks(OnArguments):
    """The first mask is kept, and used for later calls that bring none."""

    remembered: Array | None = None

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        full = (Q.shape[0], self.num_heads, Q.shape[1], K.shape[1])
        if mask is not None:
            self.remembered = mask
        elif self.remembered is not None and tuple(self.remembered.shape[-2:]) == full[-2:]:
            fits = all(a in (1, b) for a, b in zip(self.remembered.shape[-4:-2], full, strict=False))
            mask = self.remembered if fits else None
        return Q, K, V, mask


@fault("MASK-PURE", on=MUTABLE)
class MaskWrittenTo(OnMask):
    """The caller's mask is inverted in place, as `mask ^= True` would."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        kept = mask * 1
        self.overwrite(mask, mask == 0)
        return kept


@fault("MASK-PURE", on=MUTABLE)
class EmptyRowsOpenedInMask(OnMask):
    """A row without a key is opened in the caller's mask, not in a copy."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        kept = mask * 1
        none = (mask != 0).sum(-1)[..., None] == 0
        self.overwrite(mask, self.cast((mask != 0) | none, mask.dtype))
        return kept


@fault("MASK-PURE", on=MUTABLE)
class FirstMaskOfAShapeServesAll(OnMask):
    """The first mask of a shape is kept, and used for every later one of that shape."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        kept: dict[object, Array] = self.__dict__.setdefault("masks", {})
        return kept.setdefault((tuple(mask.shape), str(mask.dtype)), mask * 1)


@fault("MASK-PURE", on=MUTABLE)
class FirstPairsStick(OnArguments):
    """The first mask (n_q, n_k) is kept for later calls of these lengths that bring none."""

    remembered: Array | None = None

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        if mask is not None and mask.ndim == 2:
            self.remembered = mask
        kept = self.remembered
        if mask is None and kept is not None and tuple(kept.shape) == (Q.shape[1], K.shape[1]):
            mask = kept
        return Q, K, V, mask


@fault("PURE-STATE", on=MUTABLE)
class KeysOfFirstCall(Steps):
    """The keys of the first call of a shape are kept for good."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        kept: dict[object, Array] = self.__dict__.setdefault("keys", {})
        return q, kept.setdefault((tuple(k.shape), str(k.dtype)), k), v


@fault("PURE-STATE", on=MUTABLE)
class ValueWeightsOfFirstCall(Steps):
    """W_v is copied by the first call, and the copy used for good."""

    copied: Array | None = None

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        W, b = self.weight("v"), self.bias("v")
        if self.copied is None:
            self.copied = W * 1.0
        return q, k, v if (self.copied == W).all() else V @ self.copied + (0.0 if b is None else b)


@fault("PURE-STATE", on=MUTABLE)
class ScaledFromTenthCall(Steps):
    """From the tenth call on, the scores are scaled once more."""

    calls = 0

    def scores(self, Q: Array, K: Array) -> Array:
        self.calls += 1
        return super().scores(Q, K) * (1.0 if self.calls < 10 else self.scale())


class Buffering(OnResult):
    """Has one array for all results of a shape and a type."""

    def in_buffer(self, array: Array) -> Array:
        """Return the values in the array that the first such result came in."""
        buffers: dict[object, Array] = self.__dict__.setdefault("buffers", {})
        buffer = buffers.setdefault((tuple(array.shape), str(array.dtype)), array)
        if buffer is not array:
            self.overwrite(buffer, array)
        return buffer


@fault("PURE-STATE", on=MUTABLE)
class AnswersInOneBuffer(Buffering):
    """Every answer of a shape is written into the same array, that of the answer before."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.in_buffer(output), weights


@fault("PURE-STATE", on=MUTABLE)
class WeightsInOneBuffer(Buffering):
    """All attention weights of a shape are written into the same array, that of the call before."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, self.in_buffer(weights)
