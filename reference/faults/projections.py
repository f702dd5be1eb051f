"""Faults of the projections: a matrix unused, used twice, transposed, or fed by the wrong input."""

from __future__ import annotations

from typing import Any

from .fault import MUTABLE, fault
from .steps import Array, OnResult, Steps


@fault("PROJ-SENSITIVE", "B109")
class ValueThroughKeyProjection(Steps):
    """The value is projected by W_k."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, _ = super().project(Q, K, V)
        return q, k, super().project(Q, V, V)[1]


@fault("PROJ-SENSITIVE")
class KeyThroughQueryProjection(Steps):
    """The key is projected by W_q."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, _, v = super().project(Q, K, V)
        return q, super().project(K, K, V)[0], v


@fault("PROJ-SENSITIVE")
class QueryThroughKeyProjection(Steps):
    """The query is projected by W_k."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        _, k, v = super().project(Q, K, V)
        return super().project(Q, Q, V)[1], k, v


@fault("PROJ-ORACLE")
class QueryAndKeyProjectionsExchanged(Steps):
    """The query is projected by W_k and the key by W_q."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        k, q, v = super().project(K, Q, V)
        return q, k, v


@fault("PROJ-ROUTING")
class ValueFromKey(Steps):
    """The value is never read: the key is projected in its place."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        return super().project(Q, K, K)


@fault("PROJ-ROUTING")
class KeyFromValue(Steps):
    """The key is never read: the value is projected in its place."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        return super().project(Q, V, V)


@fault("PROJ-ROUTING")
class KeyAndValueExchanged(Steps):
    """Key and value take each other's places."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        return super().project(Q, V, K)


@fault("PROJ-SENSITIVE", "B110")
class ValueNotProjected(Steps):
    """The value skips W_v."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, _ = super().project(Q, K, V)
        return q, k, V


@fault("PROJ-SENSITIVE")
class QueryNotProjected(Steps):
    """The query skips W_q."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        _, k, v = super().project(Q, K, V)
        return Q, k, v


@fault("PROJ-SENSITIVE")
class KeyNotProjected(Steps):
    """The key skips W_k."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, _, v = super().project(Q, K, V)
        return q, K, v


@fault("PROJ-ORACLE", "B113")
class ProjectedTwice(Steps):
    """What is projected already is projected again."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        return super().project(*super().project(Q, K, V))


@fault("PROJ-SENSITIVE", "B071")
class OutputNotProjected(Steps):
    """The heads are concatenated and returned without W_o."""

    def project_output(self, combined: Array) -> Array:
        return combined


@fault("PROJ-ORACLE")
class OutputProjectedTwice(Steps):
    """W_o is applied twice."""

    def project_output(self, combined: Array) -> Array:
        return super().project_output(super().project_output(combined))


@fault("PROJ-ORACLE")
class QueryWeightsTransposed(Steps):
    """W_q is read (out, in): x W_q^T."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        _, k, v = super().project(Q, K, V)
        W = self.cast(self.weight("q"), Q.dtype)
        b = self.bias("q")
        return Q @ W.T if b is None else Q @ W.T + self.cast(b, Q.dtype), k, v


@fault("PROJ-ORACLE")
class OutputWeightsTransposed(Steps):
    """W_o is read (out, in): x W_o^T."""

    def project_output(self, combined: Array) -> Array:
        W = self.cast(self.weight("o"), combined.dtype)
        return super().project_output(combined) + combined @ W.T - combined @ W


@fault("PROJ-ORACLE", "B107")
class PackedHeadByHead(Steps):
    """A packed [W_q | W_k | W_v] is cut as (h, 3, d_k) and not as (3, h, d_k)."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        packed = self.xp.concatenate([self.weight("q"), self.weight("k"), self.weight("v")], -1)
        by_head = packed.reshape(self.d_model, self.num_heads, 3, self.d_k)
        cut = [self.cast(by_head[:, :, i].reshape(self.d_model, -1), Q.dtype) for i in range(3)]
        zero = [0.0 * x for x in (Q, K, V)]
        biases = super().project(*zero)  # a projection of zeros is its bias
        q, k, v = (x @ W + b for x, W, b in zip((Q, K, V), cut, biases, strict=True))
        return q, k, v


@fault("PROJ-SENSITIVE")
class QueryBiasMissing(Steps):
    """b_q is there and never added."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        b = self.bias("q")
        return q if b is None else q - self.cast(b, q.dtype), k, v


@fault("PROJ-SENSITIVE")
class ValueBiasMissing(Steps):
    """b_v is there and never added."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        b = self.bias("v")
        return q, k, v if b is None else v - self.cast(b, v.dtype)


@fault("PROJ-VALUE-BIAS")
class ValueBiasRectified(Steps):
    """What is negative in b_v is taken for zero."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        b = self.bias("v")
        return q, k, v if b is None else v - self.cast(b * (b < 0), v.dtype)


@fault("PROJ-SENSITIVE")
class OutputBiasMissing(Steps):
    """b_o is there and never added."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        b = self.bias("o")
        return output if b is None else output - self.cast(b, output.dtype)


@fault("SOFTMAX-CONSTANT-V")
class OutputBiasPerHead(Steps):
    """The heads' outputs are added up with b_o in each of them."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        b = self.bias("o")
        return output if b is None else output + (self.num_heads - 1) * self.cast(b, output.dtype)


@fault("PROJ-KEY-BIAS")
class KeyBiasOnValue(Steps):
    """b_k is added to the value as well."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        b = self.bias("k")
        return q, k, v if b is None else v + self.cast(b, v.dtype)


@fault("PROJ-KEY-BIAS")
class KeyNormalised(Steps):
    """The projected key is brought to length one."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k / (1e-3 + (k * k).sum(axis=-1, keepdims=True)) ** 0.5, v


@fault("PROJ-KEY-BIAS", "B112")
class KeyRectified(Steps):
    """The key's projection has a ReLU."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k * (k > 0), v


@fault("PROJ-LINEAR-V", "B112")
class ValueRectified(Steps):
    """The value's projection has a ReLU."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k, v * (v > 0)


@fault("PROJ-LINEAR-V")
class ContextNormalised(Steps):
    """Each head's context is divided by its length."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return context / (1e-3 + (context * context).sum(axis=-1, keepdims=True)) ** 0.5


@fault("PROJ-LINEAR-V")
class ValueInScores(Steps):
    """The projected value is added to the projected key."""

    def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]:
        q, k, v = super().project(Q, K, V)
        return q, k + 0.1 * v, v


@fault("PROJ-ORACLE")
class ResidualAdded(OnResult):
    """The query is added to the output, which is the caller's to do."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output + Q, weights


@fault("PROJ-COUNT", on=MUTABLE)  # JAX's adapter does not drive matrices that are not square
class OneKeyForAllHeads(Steps):
    """W_k makes one key of width d_k, which all heads share."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        b = self.bias("k")
        self.assign("k", self.weight("k")[:, : self.d_k], None if b is None else b[: self.d_k])

    def split_heads(self, x: Array) -> Array:
        shared = x.shape[-1] == self.d_k
        return super().split_heads(self.xp.concatenate([x] * self.num_heads, -1) if shared else x)


@fault("PROJ-COUNT", on=MUTABLE)
class HeadsOfFullWidth(Steps):
    """Every head projects to d_model columns: h times the parameters and h times the attention."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        for role in ("q", "k", "v"):
            W, b = self.weight(role), self.bias(role)
            many = None if b is None else self.xp.concatenate([b] * num_heads, 0)
            self.assign(role, self.xp.concatenate([W] * num_heads, 1), many)
        self.assign("o", self.xp.concatenate([self.weight("o")] * num_heads, 0))

    def split_heads(self, x: Array) -> Array:
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, x.shape[2] // self.num_heads).swapaxes(1, 2)

    def combine_heads(self, x: Array) -> Array:
        return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])


@fault("PROJ-LINEAR-V")
class ValuesCutOff(Steps):
    """Values are cut off at ten thousand, against overflow."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.xp.clip(V, -1e4, 1e4))
