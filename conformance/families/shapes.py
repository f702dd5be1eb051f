"""Shapes: what comes out, stage by stage, for every size that may go in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import INPUTS

from ..attend import Attend
from ..cases import Case
from ..observation import Failure, Shown
from ..pipeline import misshapen
from ..specification import MUST, SHOULD, masked, requirement, unmasked

WORKED_EXAMPLE = Case(batch=32, n_q=10, n_k=10, num_heads=8, d_k=64, itself=True)


@requirement(
    "SHAPE-OUTPUT",
    MUST,
    long="any",
    depends_on=(),
    situation=unmasked,
    formula=r"\mathrm{MultiHead}(Q, K, V) \in \mathbb{R}^{B \times n_q \times d}",
    why="Everything after the layer is added to its input: an output of another shape either fails there or, "
    "worse, broadcasts.",
)
def output(attend: Attend, case: Case) -> Failure | None:
    """The output has the shape of the query, (B, n_q, d_model)."""
    [seen] = attend(case.call)
    _ = seen.output.values
    return None


@requirement(
    "SHAPE-WEIGHTS",
    MUST,
    needs={"weights"},
    situation=unmasked,
    formula=r"A \in \mathbb{R}^{B \times h \times n_q \times n_k}",
    why="Weights averaged over the heads hide a head that is dead, and no head can be pruned by them.",
)
def weights(attend: Attend, case: Case) -> Failure | None:
    """The attention weights have the shape (B, h, n_q, n_k), one map per head."""
    [seen] = attend(case.call)
    _ = seen.weights.values
    return None


@requirement(
    "SHAPE-PIPELINE",
    MUST,
    once=True,
    formula=r"(B, n, d) \to (B, h, n, d_k) \to (B, h, n_q, n_k) \to (B, h, n_q, d_k) \to (B, n_q, d)",
    why="The worked example that every article prints; a reshape without its transpose has the right number "
    "of elements at every stage and the wrong axes.",
)
def pipeline(attend: Attend, case: Case) -> Failure | None:
    """Every stage that can be seen has its shape, for B=32, n=10, d_model=512, num_heads=8 among others."""
    small = replace(case, mask="none", batch=2, n_q=3, n_k=5, num_heads=4, d_k=7).fitted(attend.declaration)
    worked = WORKED_EXAMPLE.fitted(attend.declaration)
    # A module that has weights of its own is not sent the worked example's million: any will do.
    large = replace(worked.call, parameters=None) if attend.offers("read") else worked.call
    for situation, call in ((small, small.call), (worked, large)):
        [seen] = attend(replace(call, stages=True))
        _ = seen.output.values
        for stage, shape in seen.result.stages.items():
            wrong = misshapen(stage, tuple(shape), situation, attend.conventions.split)
            if wrong:
                message = f"stage {stage!r} has shape {tuple(shape)}; {wrong.expected}"
                return Failure(message, call=seen.call, shown=Shown(wrong.claim, "shape", f"stage {stage}"))
    return None


@requirement(
    "SHAPE-CROSS",
    MUST,
    needs={"two sequences"},
    situation=lambda case: replace(case, itself=False, n_k=case.n_k + (case.n_k == case.n_q)),
    formula=r"n_q \ne n_k",
    why="An encoder's memory is hardly ever as long as the decoder's input; code tried on self-attention "
    "alone has one n where there are two.",
)
def cross(attend: Attend, case: Case) -> Failure | None:
    """Queries and keys of different lengths work, with and without a mask."""
    calls = [case.call, replace(case, mask="none").call]
    if attend.offers("mask"):
        calls.append(masked("pairs")(case).fitted(attend.declaration).call)
    for seen in attend(*calls):
        _ = seen.output.values
        if attend.offers("weights"):
            _ = seen.weights.values
    return None


@requirement(
    "SHAPE-UNIT",
    MUST,
    once=True,
    formula=r"B, n_q, n_k, h, d_k \in \{1, \dots\}",
    why="A squeeze() without an axis removes whichever axis is one today: the batch of one at inference, the "
    "single query of a decoder.",
)
def unit(attend: Attend, case: Case) -> Failure | None:
    """Axes of size one survive: B, n_q, n_k, num_heads and d_k."""
    plain = replace(case, batch=2, n_q=3, n_k=4, num_heads=2, d_k=3, mask="none", causal=False)
    ones = [
        replace(plain, **{size: 1}).fitted(attend.declaration)  # type: ignore[arg-type]
        for size in ("batch", "n_q", "n_k", "num_heads", "d_k")
    ]
    for seen in attend(*(one.call for one in ones)):
        _ = seen.output.values
        if attend.offers("weights"):
            _ = seen.weights.values
    return None


@requirement(
    "SHAPE-EMPTY",
    SHOULD,
    once=True,
    formula=r"B = 0 \lor n_q = 0 \Rightarrow \mathrm{MultiHead} \in \mathbb{R}^{B \times n_q \times d}",
    why="The last shard of a data set and a decoder with nothing to decode are empty; a kernel has raised "
    "a floating-point exception on them (pytorch issue on CPU flash attention).",
)
def empty(attend: Attend, case: Case) -> Failure | None:
    """No examples or no queries give an empty result of the right shape, or a clear refusal."""
    plain = replace(case, mask="none", causal=False)
    for size in ("batch", "n_q"):
        nothing = replace(plain, **{size: 0}).fitted(attend.declaration)  # type: ignore[arg-type]
        [seen] = attend.outcomes(nothing.call)
        if seen.raised is None:
            _ = seen.output.values
        elif not seen.raised.message.strip():
            return Failure(
                f"{size}=0 is refused by {seen.raised.type} without a word",
                call=seen.call,
                shown=Shown("found", "str(error).strip()", "refusal"),
            )
    return None


@requirement(
    "SHAPE-REFUSE",
    MUST,
    once=True,
    formula=r"K, V \in \mathbb{R}^{B \times n_k \times d}",
    why="A value of length one broadcasts against n_k weights, a batch of one against B: a training run with "
    "the wrong memory looks healthy.",
)
def refuse(attend: Attend, case: Case) -> Failure | None:
    """A wrong last dimension, keys and values of different lengths or batch sizes are refused."""
    small = Case(batch=2, n_q=2, n_k=3, num_heads=2, d_k=1, recipe="integers", bias=False, dtype=case.dtype)
    plain = small.fitted(attend.declaration).call
    query, key, value = plain.query, plain.key, plain.value
    wrong = {"query, key and value one column too wide": {n: widened(getattr(plain, n)) for n in INPUTS}}
    four = replace(small, d_k=2).fitted(attend.declaration).call  # of two columns, one left would broadcast
    narrow = {name: getattr(four, name)[..., :-1] for name in INPUTS}
    wrong["query, key and value one column too narrow"] = {**vars(four), **narrow}
    if attend.offers("memory"):
        wide = widened(key)
        wrong["a key and value one column too wide"] = {"key": wide, "value": wide}
    if attend.offers("cross"):
        wrong |= {
            "key one column too wide": {"key": widened(key)},
            "value one column too wide": {"value": widened(value)},
            "a value shorter than the key": {"value": value[:, :-1]},
            "a value longer than the key": {"value": np.concatenate([value, value[:, :1]], axis=1)},
            "a value of length one": {"value": value[:, :1]},
            "a value of batch size 1 for a key of batch size 2": {"value": value[:1]},
            "a key of batch size 1 for a value of batch size 2": {"key": key[:1]},
        }
    if attend.offers("two sequences"):
        wrong |= {
            "a key and value of batch size 1 for a query of batch size 2": {
                "key": key[:1],
                "value": value[:1],
            },
            "a query of batch size 1 for a key and value of batch size 2": {"query": query[:1]},
            "a query one column too wide": {"query": widened(query)},
        }
    for words, changes in wrong.items():
        call = replace(plain, **changes)  # type: ignore[arg-type]
        [seen] = attend.outcomes(call)
        if seen.raised is None:
            shape = None if seen.result.output is None else seen.result.output.shape
            return Failure(
                f"{words} was accepted and gave an output of shape {shape}; expected an argument error",
                call=call,
                kind="accepted",
            )
    return None


def widened(array: np.ndarray) -> np.ndarray:
    """Return the array with one more column, of ones."""
    return np.concatenate([array, np.ones_like(array[..., :1])], axis=-1)
