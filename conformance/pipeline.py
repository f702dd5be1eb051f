"""The shapes of the stages between query and output, as far as an implementation shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from headcheck.adapters.declared import to_declare
from headcheck.adapters.protocol import Split

from .cases import Case

Shape = tuple[int, ...]
# Seen at a layer, which may be given all its examples in one long row.
ROWS = {"projected", "combined"}
HEADS = {"split", "context"}


@dataclass(frozen=True)
class Misshapen:
    """What a stage should have been: in words, and as a claim of its shape, ``found``, for a script."""

    expected: str
    claim: str


def misshapen(stage: str, shape: Shape, case: Case, split: Split) -> Misshapen | None:
    """Return what is wrong with the shape of a stage; None for a right one, and for a stage not known."""
    d_model = case.d_model
    if stage in ROWS:
        if shape[-1:] == (d_model,):
            return None
        return Misshapen(f"expected d_model={d_model} on its last axis", f"found[-1] == {d_model}")
    lawful = _lawful(stage, case, split)
    axes = {"scores": "B h n k", "weights": "B h n k", "output": "B n d"}.get(stage, split).split()
    if stage == "split":
        axes = ["k" if axis == "n" else axis for axis in axes]
    if not lawful or any(_some(shape, whole, axes) for whole in lawful):
        return None
    expected = "expected " + " or ".join(map(str, sorted(lawful)))
    for other in get_args(Split) if stage in HEADS else ():
        if shape in _lawful(stage, case, other):
            expected += to_declare("split", other)
    return Misshapen(expected, f"found in {sorted(lawful)}")


def _lawful(stage: str, case: Case, split: Split) -> set[Shape]:
    b, h, n_q, n_k = case.batch, case.num_heads, case.n_q, case.n_k
    if stage in {"scores", "weights"}:
        return {(b, h, n_q, n_k)}
    if stage == "output":
        return {(b, n_q, case.d_model)}
    lengths = {"split": {n_q, n_k}, "context": {n_q}}.get(stage, set())
    sizes = ({"B": b, "h": h, "n": n, "d_k": case.d_k} for n in lengths)
    return {tuple(size[axis] for axis in split.split()) for size in sizes}


def _some(shape: Shape, whole: Shape, axes: list[str]) -> bool:
    """Return whether a stage was seen for some examples, queries or keys: tile after tile is lawful.

    Keys, the axis "k", may also be more than there are: the last tile of them is padded.
    """
    return len(shape) == len(whole) and all(
        size > 0 if axis == "k" else 0 < size <= full if axis in {"B", "n"} else size == full
        for size, full, axis in zip(shape, whole, axes, strict=False)
    )
