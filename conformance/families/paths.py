"""Paths and purity: one implementation, one answer, and nothing touched on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import INPUTS, Call, Memory

from ..attend import Attend
from ..cases import Case
from ..histories import needed, overwritten
from ..masking import arguments, in_every_way, on_paths, small, subsets, together
from ..observation import Failure, Shown
from ..specification import MUST, masked, requirement, situated, unmasked
from .numbers import spoilt

LAYOUTS: tuple[Memory, ...] = ("transposed", "expanded", "sliced")


@requirement(
    "PATH-AGREE",
    MUST,
    long="any",
    needs={"paths", "parameters"},
    share=0.6,
    formula=r"f_{path}(Q, K, V; M) = f(Q, K, V; M)",
    why="Most real deviations show only between paths of one implementation: weights returned or not, train "
    "or eval, gradients on or off, one object or three, fused or plain, compiled or eager.",
)
def agree(attend: Attend, case: Case) -> Failure | None:
    """Every path gives the same answer."""
    calls = [case.call]
    if case.mask != "none" and min(case.n_q, case.n_k) > 2:
        offered = arguments(case, attend)
        calls += [together(case.call, chosen, offered) for chosen in subsets(offered, 2)]
    elif case.mask == "none" and attend.offers("causal") and not case.causal:
        calls.append(replace(case.call, causal=True))
    if case.mask == "none" and attend.offers("mask") and any(one.eager for one in attend.variants(case.call)):
        # Such paths are tried on small cases alone.
        calls.append(masked("pairs")(case).fitted(attend.declaration).call)
    for call in calls:
        variants = attend.variants(call)
        first, *seen = attend.outcomes(call, *(replace(call, variant=one.name) for one in variants))
        _ = first.result
        for variant, other in zip(variants, seen, strict=True):
            words = f"the path {variant.name!r} differs from {attend.declaration.primary.name!r}"
            failure = other.departs_from(first, words)
            if failure:
                return failure
    return None


@requirement(
    "PATH-REPRODUCE",
    MUST,
    needs={"weights", "parameters"},
    depends_on=("SHAPE-WEIGHTS",),
    formula=r"\mathrm{Concat}(A_1 V W_v^1, \dots, A_h V W_v^h) W_o + b_o = \mathrm{output}",
    why="Weights computed apart from the kernel that makes the output explain another model than the one "
    "that runs: before dropout, without the mask, with another scale.",
)
def reproduce(attend: Attend, case: Case) -> Failure | None:
    """The attention weights returned reproduce the output through W_v and W_o."""
    [seen] = attend(case.call)
    p, h = case.parameters, case.num_heads
    v = seen.expected.exact.split_value
    context = seen.weights.values @ v
    combined = context.swapaxes(1, 2).reshape(case.batch, case.n_q, h * case.d_k)
    output = combined @ p.W_o + (0.0 if p.b_o is None else p.b_o)
    # The weights carry their own rounding, which the output's bound already contains once.
    slack = np.abs(seen.expected.bounds.weights) @ np.abs(v)
    slack = slack.swapaxes(1, 2).reshape(combined.shape) @ np.abs(p.W_o)
    lawful = seen.output.lawful() + slack
    message = "the attention weights returned do not reproduce the output"
    return replace(seen.output, lawful=lambda: lawful).departs(output, message)


@requirement(
    "PURE-INPUT",
    MUST,
    formula=r"Q, K, V, M \text{ before} = Q, K, V, M \text{ after}",
    why="q *= scale in place is right, fast, and scales the residual stream of the caller.",
)
def pure_input(attend: Attend, case: Case) -> Failure | None:
    """The inputs are not written to."""
    attend(*on_paths(attend, case.call))
    calls = [case.call]
    if small(attend, case) and not attend.declaration.compiles:
        infinite = spoilt(case, "value", np.inf, 0)  # which some replace by a number where it lies
        calls += [infinite, *in_every_way(attend, case)]
    for call in calls:
        failure = overwritten(attend, call, INPUTS)
        if failure:
            return failure
    return None


@requirement(
    "PURE-STATE",
    MUST,
    needs={"parameters"},
    shapes=8,
    share=0.3,
    formula=r"f(x);\; f(y);\; f(x) = f(x)",
    why="A cache that outlives its sequence, running statistics, a buffer reused before it is read: the "
    "second batch is wrong, and no test makes a second call.",
)
def pure_state(attend: Attend, case: Case) -> Failure | None:
    """The same call gives the same answer, whatever was called before, and leaves earlier results alone."""
    calls = history(attend, case)
    seen = attend.in_sequence(*calls)
    for place, (used, fresh) in enumerate(zip(seen, attend(*calls), strict=True)):
        earlier = calls[:place]
        overwritten = [name for name in used.result.written_to if name.startswith("earlier ")]
        if overwritten:
            what = "attention weights" if overwritten == ["earlier weights"] else "output"
            message = f"the call wrote to the {what} that the one before it returned"
            shown = Shown("found == 0", "int((before != kept).sum())", overwritten[0])
            return Failure(message, call=calls[place], earlier=earlier, shown=shown)
        failure = used.departs_from(fresh, "after other calls the same one gives another answer")
        if failure:
            return replace(failure, earlier=needed(attend, earlier, calls[place], fresh), call=calls[place])
    return None


def history(attend: Attend, case: Case) -> tuple[Call, ...]:
    """Return calls of one module: of equal and of different sizes, on every path, and after new weights."""
    declaration, call = attend.declaration, case.call
    larger = replace(case, batch=case.batch + 1, n_q=case.n_q + 2, n_k=case.n_k + 1, seed=case.seed + 1)
    same, other = unmasked(replace(case, seed=case.seed + 2)).call, unmasked(larger).fitted(declaration).call
    trained = same.parameters
    same, other = (replace(one, parameters=case.parameters) for one in (same, other))
    sizes = (call, same, other, call, same)
    last = replace(call, query=call.query[:, -1:])  # as in decoding: one query, and as many keys
    under_flag = sizes if case.itself else (last, *sizes)
    causal = [replace(one, mask=None, causal=True) for one in under_flag if attend.offers("causal")]
    alone = last_of(call)  # ... one query and one key, of which a cache makes more and more
    own = replace(same, key=same.query, value=same.query)  # what attended to others attends to itself
    own = replace(own, variant=of_itself(attend, own))
    again = replace(unmasked(replace(case, seed=case.seed + 3)).call, parameters=case.parameters)
    # Twice on each, for what the first call returned there may lie where the second writes.
    paths = [replace(one, variant=path.name) for path in attend.variants(same) for one in (again, same)]
    # Weights change in training, so that whoever keeps something made of them may drop it there.
    training = [one.name for one in attend.variants(same) if one.training]
    new = [replace(same, parameters=trained, variant=name) for name in (*training, "")]
    new.append(same)  # and back: with the arguments of the call before, and other weights
    decoding = (own, last_of(own), last_of(own))
    return (*sizes, *causal, alone, alone, *decoding, *paths, *sizes[::-1], *new)


def of_itself(attend: Attend, call: Call) -> str:
    """Return the path on which a call of one array is given one object, "" where the first is that."""
    return next((path.name for path in attend.variants(call) if path.self_attention), "")


def last_of(call: Call) -> Call:
    """Return a call of the last query on the last key alone, without a mask."""
    query, key, value = (x[:, -1:] for x in (call.query, call.key, call.value))
    if call.query is call.key is call.value:
        key = value = query
    return replace(call, query=query, key=key, value=value, mask=None, causal=False)


@requirement(
    "STRIDE-INVARIANT",
    MUST,
    needs={"parameters"},
    situation=situated(itself=False),
    share=0.2,
    formula=r"f(\text{view of } x) = f(x)",
    why="A kernel that reads memory in the order it expects gives garbage for a permuted or sliced view "
    "(pytorch's memory-efficient attention, torch-spyre).",
)
def strides(attend: Attend, case: Case) -> Failure | None:
    """Transposed, expanded and sliced inputs give the contiguous answer."""
    plain, *others = attend(case.call, *(replace(case.call, memory=layout) for layout in LAYOUTS))
    for layout, seen in zip(LAYOUTS, others, strict=True):
        failure = seen.output.departs_from(plain.output, f"{layout} inputs give another answer")
        if failure:
            return failure
    return None
