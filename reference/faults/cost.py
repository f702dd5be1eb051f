"""Faults of cost: the result is right, and took more work than the formula has."""

from __future__ import annotations

from .fault import fault
from .steps import Array, Steps


class Padded(Steps):
    """Widens each head's columns to all of d_model, zeros elsewhere."""

    def padded(self, x: Array) -> Array:
        """(B, h, n, d_k) to (B, h, n, d), each head's columns in its own place."""
        heads = []
        for i in range(self.num_heads):
            empty = 0.0 * x[:, i]
            heads.append(
                self.xp.concatenate([x[:, i] if j == i else empty for j in range(self.num_heads)], -1)
            )
        return self.xp.concatenate([head[:, None] for head in heads], 1)


@fault("COST-HEADS")
class ScoresOfFullWidth(Padded):
    """Each head's scores are taken over all d_model columns, zeros included."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(self.padded(Q), self.padded(K))


@fault("COST-HEADS")
class ContextOfFullWidth(Padded):
    """Each head averages values of d_model columns, zeros included, and cuts out its own."""

    def attend(self, weights: Array, V: Array) -> Array:
        wide = super().attend(weights, self.padded(V))
        own = [wide[:, i : i + 1, :, i * self.d_k : (i + 1) * self.d_k] for i in range(self.num_heads)]
        return self.xp.concatenate(own, 1)


@fault("COST-HEADS")
class OutputHeadByHead(Padded):
    """Each head, zeros in the others' columns, passes the whole of W_o."""

    def project_output(self, combined: Array) -> Array:
        B, n, d = combined.shape
        heads = self.padded(self.split_heads(combined))
        nothing = super().project_output(0.0 * combined)  # the bias, which counts once
        each = super().project_output(heads.swapaxes(0, 1).reshape(self.num_heads * B, n, d))
        return (each.reshape(self.num_heads, B, n, d) - nothing).sum(axis=0) + nothing


@fault("COST-HEADS")
class ProjectedHeadByHead(Steps):
    """Query, key and value are projected whole for each head, which then takes its columns."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        each = [super(ProjectedHeadByHead, self).project(Q, K, V) for _ in range(self.num_heads)]
        d_k = self.d_k
        q, k, v = (
            self.xp.concatenate([x[role][..., i * d_k : (i + 1) * d_k] for i, x in enumerate(each)], -1)
            for role in range(3)
        )
        return q, k, v


@fault("COST-QUADRATIC")
class MultipliedByIdentity(Steps):
    """The weights are multiplied by an n_k x n_k identity on their way: a term of n^3."""

    def attend(self, weights: Array, V: Array) -> Array:
        n_k = weights.shape[-1]
        return super().attend(weights @ self.cast(self.xp.eye(n_k), weights.dtype), V)


@fault("COST-QUADRATIC")
class KeysProjectedForEachQuery(Steps):
    """Keys are projected again for every query: a term of n^2 d^2."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        for i in range(1, Q.shape[1]):
            again = super().project(Q[:, i : i + 1], K, V[:, :1])[1]
            k = k + 0.0 * again
        return q, k, v


@fault("COST-QUADRATIC")
class ScoresTwice(Steps):
    """The scores are computed twice, once for their maximum and once for their exponential."""

    def scores(self, Q: Array, K: Array) -> Array:
        return 0.5 * super().scores(Q, K) + 0.5 * super().scores(Q, K)


@fault("COST-QUADRATIC")
class OutputTwice(Steps):
    """The output is projected once for a look at it, and once for the caller."""

    def project_output(self, combined: Array) -> Array:
        return 0.5 * super().project_output(combined) + 0.5 * super().project_output(combined)


@fault("COST-QUADRATIC")
class ValuesCopiedForEachQuery(Steps):
    """Values are copied for every query, and each copy is multiplied by an identity of d_k."""

    def attend(self, weights: Array, V: Array) -> Array:
        copies = self.xp.concatenate([V[:, :, None]] * max(weights.shape[2], 1), 2)
        return super().attend(weights, (copies @ self.cast(self.xp.eye(self.d_k), V.dtype))[:, :, 0])


@fault("COST-QUADRATIC")
class MultipliedByIdentityUnderAMask(Steps):
    """Only where there is a mask, the weights are multiplied by an n_k x n_k identity."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        n_k = weights.shape[-1]
        return weights if allowed is None else weights @ self.cast(self.xp.eye(n_k), weights.dtype)


@fault("COST-QUADRATIC")
class ExamplesWithEachOther(Steps):
    """The examples are laid end to end as one long sequence, of whose scores a batch's own are cut out."""

    def scores(self, Q: Array, K: Array) -> Array:
        (B, h, n_q, d_k), n_k = Q.shape, K.shape[2]
        if B < 2:
            return super().scores(Q, K)
        queries, keys = (x.swapaxes(0, 1).reshape(1, h, -1, d_k) for x in (Q, K))
        of_all = super().scores(queries, keys)
        own = [of_all[:, :, i * n_q : (i + 1) * n_q, i * n_k : (i + 1) * n_k] for i in range(B)]
        return self.xp.concatenate(own, 0)
