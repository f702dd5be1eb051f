"""Faults of the head layout: every shape is right, and the numbers sit elsewhere."""

from __future__ import annotations

from math import sqrt
from typing import Any

from .fault import fault
from .steps import Array, OnResult, Steps


@fault("HEADS-INDEPENDENT", "B097", "B098")
class SplitByReshape(Steps):
    """Heads are split by a reshape to (B, h, n, d_k) without a transpose, and merged the same way."""

    def split_heads(self, x: Array) -> Array:
        B, n, _ = x.shape
        return x.reshape(B, self.num_heads, n, self.d_k)

    def combine_heads(self, x: Array) -> Array:
        B, _, n, _ = x.shape
        return x.reshape(B, n, self.d_model)


@fault("ORDER-QUERY", "B100")
class MergeByReshape(Steps):
    """Heads are merged by a reshape without a transpose: tokens mix positions."""

    def combine_heads(self, x: Array) -> Array:
        B, _, n, _ = x.shape
        return x.reshape(B, n, self.d_model)


@fault("HEADS-BLOCK-ORDER")
class HeadsInterleaved(Steps):
    """Head i owns every h-th column, in split and merge alike."""

    def split_heads(self, x: Array) -> Array:
        B, n, _ = x.shape
        return x.reshape(B, n, self.d_k, self.num_heads).swapaxes(2, 3).swapaxes(1, 2)

    def combine_heads(self, x: Array) -> Array:
        B, _, n, _ = x.shape
        return x.swapaxes(1, 2).swapaxes(2, 3).reshape(B, n, self.d_model)


@fault("HEADS-BLOCK-ORDER")
class SplitInterleaved(Steps):
    """Heads are split column by column, and merged block by block."""

    def split_heads(self, x: Array) -> Array:
        B, n, _ = x.shape
        return x.reshape(B, n, self.d_k, self.num_heads).swapaxes(2, 3).swapaxes(1, 2)


@fault("HEADS-BLOCK-ORDER")
class MergeInterleaved(Steps):
    """Heads are split block by block, and merged column by column."""

    def combine_heads(self, x: Array) -> Array:
        B, _, n, _ = x.shape
        return x.swapaxes(1, 2).swapaxes(2, 3).reshape(B, n, self.d_model)


@fault("HEADS-BLOCK-ORDER")
class HeadsMergedBackwards(Steps):
    """Heads are concatenated from the last to the first."""

    def combine_heads(self, x: Array) -> Array:
        return super().combine_heads(self.xp.flip(x, (1,)))


@fault("PATH-REPRODUCE")
class WeightsOfHeadsBackwards(OnResult):
    """The attention weights handed back are those of the last head first."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        return output, self.xp.flip(weights, (1,))


@fault("HEADS-INDEPENDENT", "B104")
class SingleHead(Steps):
    """num_heads is ignored: one softmax over the full width serves all."""

    def scores(self, Q: Array, K: Array) -> Array:
        total = super().scores(Q, K).sum(axis=1, keepdims=True) / sqrt(self.num_heads)
        return self.xp.concatenate([total] * self.num_heads, 1)


@fault("HEADS-INDEPENDENT")
class FirstHeadServesAll(Steps):
    """The weights of the first head are used by all."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return self.xp.concatenate([weights[:, :1]] * self.num_heads, 1)


@fault("HEADS-INDEPENDENT")
class TalkingHeads(Steps):
    """Each head's weights hold a hundredth of its neighbour's."""

    def softmax(self, scores: Array, allowed: Array | None) -> Array:
        weights = super().softmax(scores, allowed)
        return 0.99 * weights + 0.01 * self.xp.roll(weights, 1, 1)


@fault("HEADS-INDEPENDENT")
class HeadsShareKeys(Steps):
    """All heads read the keys of the first."""

    def scores(self, Q: Array, K: Array) -> Array:
        return super().scores(Q, K[:, :1])


@fault("HEADS-PERMUTE")
class LastHeadDead(Steps):
    """The last head answers zeros."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([context[:, :-1], 0.0 * context[:, -1:]], 1)


@fault("HEADS-PERMUTE")
class OddHeadDropped(Steps):
    """Heads are taken two at a time: of an odd number, the last is left out."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        pairs = self.num_heads // 2 * 2 if self.num_heads > 1 else 1
        return self.xp.concatenate([context[:, :pairs], 0.0 * context[:, pairs:]], 1)


@fault("HEADS-PERMUTE")
class HeadsDecay(Steps):
    """Head i counts 0.99^i: a bias that is tied to its number."""

    def attend(self, weights: Array, V: Array) -> Array:
        context = super().attend(weights, V)
        return self.xp.concatenate([0.99**i * context[:, i : i + 1] for i in range(self.num_heads)], 1)


@fault("HEADS-BLOCK-ORDER")
class ValuesOfNextHead(Steps):
    """The weights of head i average the values of head i + 1."""

    def attend(self, weights: Array, V: Array) -> Array:
        return super().attend(weights, self.xp.roll(V, -1, 1))


@fault("PROJ-ORACLE")
class HeadsAveraged(Steps):
    """Heads are averaged, and the average stands in every head's place."""

    def attend(self, weights: Array, V: Array) -> Array:
        mean = super().attend(weights, V).mean(axis=1, keepdims=True)
        return self.xp.concatenate([mean] * self.num_heads, 1)


@fault("HEADS-SUM")
class OutputRectified(Steps):
    """The output projection ends in a ReLU."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        return output * (output > 0)


@fault("HEADS-SUM")
class OutputNormalised(Steps):
    """The output is divided by its length, as a block's normalisation would do after the layer."""

    def project_output(self, combined: Array) -> Array:
        output = super().project_output(combined)
        return output / (1e-3 + (output * output).sum(axis=-1, keepdims=True)) ** 0.5


@fault("HEADS-SINGLE")
class OneHeadNotProjected(Steps):
    """With one head nothing is to be concatenated, and W_o is skipped along with it."""

    def project_output(self, combined: Array) -> Array:
        return combined if self.num_heads == 1 else super().project_output(combined)


@fault("HEADS-SINGLE")
class OneHeadNotScaled(Steps):
    """With one head the scores are not scaled."""

    def scale(self) -> float:
        return 1.0 if self.num_heads == 1 else super().scale()


@fault("HEADS-WIDTH")
class NarrowHeadsScaledAsEight(OnResult):
    """Heads narrower than eight are scaled as if they were eight wide, and no weights come back."""

    def scale(self) -> float:
        return 1.0 / sqrt(max(self.d_k, 8))

    def result(self, output: Array, weights: Array, Q: Array) -> Any:
        return output


@fault("HEADS-DEAD")
class HeadsWeighedByTheirNumber(Steps):
    """What the heads give is multiplied by 4 / num_heads."""

    def combine_heads(self, x: Array) -> Array:
        return super().combine_heads(x) * (4.0 / self.num_heads)
