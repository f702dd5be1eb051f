"""How good the error bound is: run by hand, `python benchmarks/bound.py [--seeds N] [SUBJECT ...]`.

False alarms: right implementations, on every path that compiles or needs no compiler, in every dtype, on
benign data (normal) and on data meant to break the bound (large scores, repeated rows, small integers).  An
alarm is an error beyond the bound, so a worst ratio above one.  Gradients are judged where the dtype settles
every softmax.

Power: how many of a hundred examples give a fault away, one example each, in float32.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import numpy as np
from headcheck.adapters.built_in import installed
from headcheck.adapters.subjects import adapt, load
from headcheck.attend import Attend
from headcheck.cases import RECIPES, Case, MaskKind
from headcheck.families.gradients import paths, with_loss
from headcheck.observation import Observation
from headcheck.pool import ALPHABET
from headcheck.reference.on_numpy import MultiHeadAttention
from headcheck.session import InProcess

SHAPES = tuple(ALPHABET[i] for i in (0, 3, 4, 5, 6, 8, 13))
LONGEST = ALPHABET[14]
MASKS: tuple[MaskKind, ...] = ("none", "pairs", "keys", "heads")
EXAMPLES = 100
Key = tuple[str, str, str]  # path, dtype, what


def opened(subject: str | type) -> Attend:
    adapter = load(subject) if isinstance(subject, str) else adapt(subject)
    declaration = adapter.declare()
    return Attend(InProcess(adapter), declaration, declaration.conventions)


def cases(attend: Attend, seeds: int) -> Iterator[Case]:
    """Yield every shape in every dtype, half on normal data, masks in turn, and a few that are long."""
    shapes = [shape for shape in SHAPES for _ in range(seeds)] + [LONGEST] * (seeds // 4)
    for turn, shape in enumerate(shapes):
        recipe = RECIPES[turn // 2 % len(RECIPES)] if turn % 2 else "normal"
        case = replace(shape, recipe=recipe, mask=MASKS[turn // 3 % len(MASKS)], seed=turn)
        for dtype in attend.declaration.dtypes:
            yield replace(case, dtype=dtype).fitted(attend.declaration)


def ratio(seen: Observation) -> float:
    judged = [seen.output] if seen.result.weights is None else [seen.output, seen.weights]
    return max(quantity.distance() for quantity in judged)


def alarms(attend: Attend, seeds: int) -> dict[Key, list[float]]:
    """Return the worst error over bound of each comparison."""
    found = defaultdict(list)
    differentiable = attend.offers("gradients")
    for case in cases(attend, seeds):
        variants = ["", *(v.name for v in attend.variants(case.call) if not v.eager)]
        for seen in attend.outcomes(*(replace(case.call, variant=variant) for variant in variants)):
            if not seen.expected.representable or seen.expected.empty_rows.any():
                continue
            path = seen.call.variant or attend.declaration.primary.name
            if seen.raised:
                found[path, case.dtype, f"raised {seen.raised.type}"].append(0.0)
                continue
            kind = "benign" if case.recipe == "normal" else "adversarial"
            found[path, case.dtype, kind].append(ratio(seen))
        loss = with_loss(attend, case.call) if differentiable and max(case.n_q, case.n_k) <= 64 else None
        for seen in attend(*paths(attend, loss.call)) if loss else ():
            path = seen.call.variant or attend.declaration.primary.name
            found[path, case.dtype, "gradients"] += [g.distance() for g in seen.gradients]
        attend.forget(keep=())
    return found


class ScaledByNext(MultiHeadAttention):
    """1 / sqrt(d_k + 1)."""

    def scale(self) -> float:
        return 1.0 / sqrt(self.d_k + 1)


class KeyDropped(MultiHeadAttention):
    """The last key is never seen."""

    def softmax(self, scores: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        seen = np.arange(scores.shape[-1]) < max(scores.shape[-1] - 1, 1)
        return super().softmax(scores, seen if allowed is None else allowed & seen)


class WeightsOff(MultiHeadAttention):
    """Attention weights are off by 1e-5, relative, up and down."""

    def softmax(self, scores: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        weights = super().softmax(scores, allowed)
        signs = np.where(np.arange(weights.shape[-1]) % 2, 1, -1)
        return weights * (1 + 1e-5 * signs).astype(weights.dtype)


class ProjectionsOff(MultiHeadAttention):
    """The weights of the projections are off by 1e-5, relative, up and down."""

    def linear(self, x: np.ndarray, W: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        signs = np.where(np.arange(W.size).reshape(W.shape) % 2, 1, -1)
        return super().linear(x, W * (1 + 1e-5 * signs), b)


def tf32(x: np.ndarray) -> np.ndarray:
    """Round float32 to the ten bits behind the point that tensor cores keep."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(np.float32)


class FactorsInTf32(MultiHeadAttention):
    """Query and key are rounded as tensor cores round them."""

    def scores(self, Q: np.ndarray, K: np.ndarray) -> np.ndarray:
        return super().scores(tf32(Q), tf32(K))


class ScoresInTf32(MultiHeadAttention):
    """The scores are rounded to ten bits behind the point."""

    def scores(self, Q: np.ndarray, K: np.ndarray) -> np.ndarray:
        return tf32(super().scores(Q, K))


class ScoresInBfloat16(MultiHeadAttention):
    """The scores are cut to seven bits behind the point."""

    def scores(self, Q: np.ndarray, K: np.ndarray) -> np.ndarray:
        bits = super().scores(Q, K).view(np.int32) & ~0xFFFF
        return bits.view(np.float32)


FAULTS: dict[str, type[MultiHeadAttention]] = {
    "scale 1/sqrt(d_k + 1)": ScaledByNext,
    "one key dropped": KeyDropped,
    "attention weights off by 1e-5": WeightsOff,
    "projections off by 1e-5": ProjectionsOff,
    "query and key in tf32": FactorsInTf32,
    "scores in tf32": ScoresInTf32,
    "scores in bfloat16": ScoresInBfloat16,
}


def detected(fault: type[MultiHeadAttention], shapes: tuple[Case, ...]) -> tuple[int, float, float]:
    """Return how many examples gave the fault away, and the smallest and the median ratio."""
    attend = opened(fault)
    turns = (replace(shapes[seed % len(shapes)], seed=seed) for seed in range(EXAMPLES))
    examples = [replace(case, dtype="float32", recipe="normal", mask="none").call for case in turns]
    ratios = [ratio(seen) for seen in attend(*examples)]
    return sum(one > 1.0 for one in ratios), min(ratios), float(np.median(ratios))


def false_alarms(subjects: tuple[str, ...], seeds: int) -> None:
    row = "{:58} {:9} {:12} {:>7} {:>7} {:>7} {:>7}"
    print(row.format("subject, path", "dtype", "data", "judged", "alarms", "worst", "median"))
    judged, beyond, largest = 0, 0, 0.0
    for subject in subjects:
        for (path, dtype, kind), ratios in sorted(alarms(opened(subject), seeds).items()):
            wrong, worst = sum(one > 1.0 for one in ratios), max(ratios)
            judged, beyond, largest = judged + len(ratios), beyond + wrong, max(worst, largest)
            numbers = (len(ratios), wrong, f"{worst:.3f}", f"{np.median(ratios):.3f}")
            print(row.format(f"{subject}, {path}", dtype, kind, *numbers), flush=True)
    print(f"\n{beyond} alarms in {judged} comparisons; worst error over bound {largest:.3f}\n")


def power() -> None:
    row = "{:34} {:12} {:>8} {:>9} {:>9}"
    print(row.format("fault in float32, NumPy", "shapes", f"of {EXAMPLES}", "least", "median"))
    several = tuple(shape for shape in ALPHABET[:14] if shape.n_k >= 3)
    for words, fault in FAULTS.items():
        for name, shapes in (("one", ALPHABET[:1]), (f"{len(several)}", several)):
            found, least, median = detected(fault, shapes)
            print(row.format(words, name, found, f"{least:.3g}", f"{median:.3g}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("subjects", nargs="*", help="built-in names or references; all that are installed")
    parser.add_argument("--seeds", type=int, default=24, help="cases of each shape in each dtype")
    options = parser.parse_args()
    power()
    print()
    false_alarms(tuple(options.subjects) or installed(), options.seeds)


if __name__ == "__main__":
    main()
