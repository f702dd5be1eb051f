"""Faults of order: a query's answer depends on its neighbours, or a key counts by its place."""

from __future__ import annotations

from .fault import fault
from .steps import Array, OnResult, Steps


@fault("ORDER-QUERY", "B137")
class SingleQueryLosesFirstKey(Steps):
    """A query that comes alone, as in decoding, does not see the first key."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        *_, n_q, n_k = scores.shape
        if n_q == 1 and n_k > 1 and allowed is None:
            allowed = self.xp.arange(n_k) > 0
        return super().softmax(scores, allowed)


@fault("ORDER-QUERY")
class QueriesCentred(Steps):
    """The mean of all queries is subtracted from each."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q - Q.mean(axis=2, keepdims=True), K)


@fault("ORDER-QUERY")
class OutputsShifted(OnResult):
    """Each query is given the output of the query before."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return self.xp.roll(output, 1, 1), weights


@fault("ORDER-QUERY")
class LastQueryRepeatsFirst(Steps):
    """The last query of a sequence is computed as the first."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(self.xp.concatenate([Q[:, :, :-1], Q[:, :, :1]], 2) if Q.shape[2] else Q, K)


@fault("ORDER-QUERY")
class ScoresNormalisedOverQueries(Steps):
    """The scores of a key are brought to mean zero over the queries."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        return scores - scores.mean(axis=2, keepdims=True)


@fault("ORDER-KEY")
class LastKeyDropped(Steps):
    """The last key is left out where there is more than one."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        n_k = scores.shape[-1]
        if n_k > 1 and allowed is None:
            allowed = self.xp.arange(n_k) < n_k - 1
        return super().softmax(scores, allowed)


@fault("ORDER-KEY", "B173")
class DistanceBias(Steps):
    """Keys lose a twentieth of a unit of score for every position of distance."""

    def scores(self, Q: Array, K: Array) -> Array:
        scores = super().scores(Q, K)
        ahead = self.xp.arange(scores.shape[-1]) - self.xp.arange(scores.shape[-2])[:, None]
        return scores - 0.05 * self.cast(abs(ahead), scores.dtype)


@fault("ORDER-KEY")
class WindowOfFour(Steps):
    """Queries see keys within four positions of their own, asked or not."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        ahead = self.xp.arange(scores.shape[-1]) - self.xp.arange(scores.shape[-2])[:, None]
        near = (abs(ahead) < 4) | (self.xp.arange(scores.shape[-1]) == 0)
        return super().softmax(scores, near if allowed is None else near & allowed)


@fault("PROJ-ORACLE")
class ValuesShifted(Steps):
    """Key j's weight averages the value of key j + 1."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.xp.roll(V, -1, 2))


@fault("PROJ-ORACLE")
class ValuesReversed(Steps):
    """Values are read from the last to the first, keys from the first to the last."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.xp.flip(V, (2,)))


@fault("ORDER-KEY")
class RecentKeysFirst(Steps):
    """The value of the last key is added in full where there are several."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return context + 0.01 * V[:, :, -1:] if V.shape[2] > 1 else context


@fault("PROJ-ORACLE")
class OwnKeyNotSeen(Steps):
    """No query sees the key of its own position where there is another."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        *_, n_q, n_k = scores.shape
        if n_k > 1 and allowed is None:
            allowed = self.xp.arange(n_q)[:, None] != self.xp.arange(n_k)
        return super().softmax(scores, allowed)
