"""Faults of size: right on everything that fits one tile of a kernel, or its usual width."""

from __future__ import annotations

from .fault import fault
from .softmax import OverScores
from .steps import Array, OnMask, Steps


class BeyondLength(Steps):
    """Blocks the keys from a certain place on."""

    length: int

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        if n_k > self.length:
            near = self.xp.arange(n_k) < self.length
            allowed = near if allowed is None else near & allowed
        return super().softmax(scores, allowed)


@fault("PROJ-ORACLE")
class KeysEndAt64(BeyondLength):
    """Keys beyond the 64th are not read."""

    length = 64


@fault("PROJ-ORACLE")
class KeysEndAt128(BeyondLength):
    """Keys beyond the 128th are not read."""

    length = 128


@fault("PROJ-ORACLE")
class KeysEndAt512(BeyondLength):
    """Keys beyond the 512th are not read."""

    length = 512


@fault("PROJ-ORACLE")
class RemainderDropped(Steps):
    """Keys are taken 64 at a time, and what is left over is not taken."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        if n_k > 64 and n_k % 64:
            whole = self.xp.arange(n_k) < n_k // 64 * 64
            allowed = whole if allowed is None else whole & allowed
        return super().softmax(scores, allowed)


@fault("PROJ-ORACLE")
class WholeTilesLoseTheirLast(Steps):
    """Where the number of keys is a multiple of 64, the last key is not read."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        if n_k and n_k % 64 == 0:
            most = self.xp.arange(n_k) < n_k - 1
            allowed = most if allowed is None else most & allowed
        return super().softmax(scores, allowed)


@fault("PROJ-ORACLE", "B154", "B155", "B149")
class PositionsWrapAt128(Steps):
    """The position of a key is kept in seven bits: value 128 is read as value 0."""

    def attend(self, weights: Array, V: Array) -> Array:
        n_k = V.shape[2]
        return super().attend(weights, self.xp.concatenate([V[:, :, :128]] * (n_k // 128 + 1), 2)[:, :, :n_k])


@fault("PROJ-ORACLE")
class TilesNotRescaled(OverScores):
    """An online softmax over tiles of 64 keys forgets to rescale what it has when the maximum grows."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        if allowed is not None:
            allowed = self.xp.broadcast_to(allowed, scores.shape)
        tiles = [slice(start, start + 64) for start in range(0, n_k, 64)]
        powers = [
            self.powers(scores[..., tile], None if allowed is None else allowed[..., tile]) for tile in tiles
        ]
        return self.shares(self.xp.concatenate(powers, -1)) if powers else scores


@fault("PROJ-ORACLE", "B004")
class BlockedTileIsNaN(OverScores):
    """An online softmax over tiles of 32 keys subtracts -inf from -inf in a tile without an allowed key."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        n_k = scores.shape[-1]
        if allowed is None or n_k <= 32:
            return weights
        seen = self.cast(self.xp.broadcast_to(allowed, scores.shape), scores.dtype)
        for start in range(0, n_k, 32):
            most = self.xp.amax(seen[..., start : start + 32], axis=-1, keepdims=True)
            weights = weights * self.xp.where(most > 0, 1.0, float("nan"))
        return weights


@fault("MASK-ZERO")
class MaskEndsAt64(OnMask):
    """A mask of more than 64 keys is not read."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        return None if K.shape[1] > 64 else mask


@fault("ORDER-QUERY")
class QueriesBeyond64Repeat(Steps):
    """Queries beyond the 64th are computed as the 64th."""

    def scores(self, Q: Array, K: Array) -> Array:
        n_q = Q.shape[2]
        more = [Q[:, :, 63:64]] * max(n_q - 64, 0)
        return super().scores(self.xp.concatenate([Q[:, :, :64], *more], 2), K)


@fault("NUM-BOUND", "B091")
class LongSumsInHalf(OverScores):
    """Rows of more than 64 keys are added up in half precision."""

    def shares(self, powers: Array) -> Array:
        total = powers.sum(axis=-1, keepdims=True)
        half = self.cast(self.cast(total, "float16"), powers.dtype)
        return powers / self.xp.where(total == 0, 1.0, half)

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        if scores.shape[-1] <= 64:
            return super().softmax(scores, allowed)
        return self.shares(self.powers(scores, allowed))


@fault("PROJ-ORACLE")
class KeysEndAt1024(BeyondLength):
    """Keys beyond the 1024th are not read."""

    length = 1024


@fault("PROJ-ORACLE")
class KeysEndAt4096(BeyondLength):
    """Keys beyond the 4096th are not read."""

    length = 4096


@fault("ORDER-QUERY")
class QueriesBeyond2048Repeat(Steps):
    """Queries beyond the 2048th are computed as the first."""

    def scores(self, Q: Array, K: Array) -> Array:
        more = [Q[:, :, :1]] * max(Q.shape[2] - 2048, 0)
        return super().scores(self.xp.concatenate([Q[:, :, :2048], *more], 2), K)


@fault("PROJ-ORACLE")
class ColumnsEndAt128(Steps):
    """Of heads wider than 128 the first 128 columns of queries and keys are read."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q[..., :128], K[..., :128])


@fault("PROJ-ORACLE")
class HeadsEndAtEight(Steps):
    """Heads from the eighth on are the seventh again."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        more = [context[:, 6:7]] * max(self.num_heads - 7, 0)
        return self.xp.concatenate([context[:, :7], *more], 1)


@fault("BATCH-INDEPENDENT")
class ExamplesBeyond16Repeat(Steps):
    """Examples beyond the sixteenth answer as the first."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:16], *[context[:1]] * max(len(context) - 16, 0)], 0)


@fault("PROJ-ORACLE")
class SecondPartOfTileDropped(Steps):
    """Of 65 to 127 keys those beyond the 64th are dropped."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        first = self.xp.arange(n_k) < (64 if 64 < n_k < 128 else n_k)
        return super().softmax(scores, first if allowed is None else allowed & first)


@fault("PROJ-ORACLE")
class ExamplesBeyond64Repeat(Steps):
    """Examples beyond the 64th answer as the first."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:64], *[context[:1]] * max(len(context) - 64, 0)], 0)


@fault("PROJ-ORACLE")
class HeadsEndAt32(Steps):
    """Heads from the 33rd on are the 32nd again."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        more = [context[:, 31:32]] * max(self.num_heads - 32, 0)
        return self.xp.concatenate([context[:, :32], *more], 1)


@fault("PROJ-ORACLE")
class LastOddColumnDropped(Steps):
    """Of an odd number of columns beyond five, the last is not read."""

    def scores(self, Q: Array, K: Array) -> Array:
        whole = Q.shape[-1] - (Q.shape[-1] % 2 if Q.shape[-1] > 5 else 0)
        return super().scores(Q[..., :whole], K[..., :whole])
