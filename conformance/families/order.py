"""Order and batch: attention is a map from each query and a set of keys, example by example."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call, Mask

from ..attend import Attend
from ..cases import Case
from ..observation import Failure
from ..specification import MUST, requirement


def reindexed(call: Call, axis: str, index: np.ndarray) -> Call:
    """Return the call with an axis ("B", "n_q" or "n_k") of every argument reordered, or a part taken."""
    place = ("B", "h", "n_q", "n_k").index(axis)
    mask = call.mask and Mask(np.take(call.mask.allowed, index, axis=place), call.mask.form)
    if axis == "n_q":
        return replace(call, query=call.query[:, index], mask=mask)
    if axis == "n_k":
        return replace(call, key=call.key[:, index], value=call.value[:, index], mask=mask)
    return replace(call, query=call.query[index], key=call.key[index], value=call.value[index], mask=mask)


def crossed(case: Case) -> Case:
    """Take the causal flag out, which is about order, and give queries and keys arrays of their own."""
    return replace(case, causal=False, itself=False)


@requirement(
    "ORDER-QUERY",
    MUST,
    long="any",
    needs={"parameters", "two sequences"},
    situation=crossed,
    formula=r"f(\pi Q, K, V) = \pi f(Q, K, V)",
    why="Needs no oracle. A kernel whose answer for one query depends on how many there are (MLX sinks) "
    "decodes other text than it was trained on.",
)
def order_query(attend: Attend, case: Case) -> Failure | None:
    """Permuting queries, or computing some of them alone, permutes or selects the outputs."""
    order = np.roll(np.arange(case.n_q)[::-1], 1)
    for index in (order, np.array([case.n_q - 1])):
        whole, part = attend(case.call, reindexed(case.call, "n_q", index))
        failure = part.output.departs_from(
            whole.output.on_axis(1, index), "a query's output depends on the other queries or on its place"
        )
        if failure:
            return failure
    return None


@requirement(
    "ORDER-KEY",
    MUST,
    needs={"parameters", "two sequences"},
    situation=crossed,
    share=0.3,
    formula=r"f(Q, \pi K, \pi V) = f(Q, K, V)",
    why="Needs no oracle. A dropped last key, a window nobody asked for, a position bias left in: all show.",
)
def order_key(attend: Attend, case: Case) -> Failure | None:
    """Permuting keys and values together leaves the output unchanged."""
    order = np.roll(np.arange(case.n_k), 1)
    one, two = attend(case.call, reindexed(case.call, "n_k", order))
    return two.output.departs_from(one.output, "the output depends on the order of the keys")


@requirement(
    "BATCH-INDEPENDENT",
    MUST,
    needs={"parameters"},
    situation=lambda case: replace(case, batch=max(case.batch, 2)),
    formula=r"f(Q, K, V)_b = f(Q_b, K_b, V_b)",
    why="Heads and batch exchanged in a reshape mix examples; batch-first tensors in a sequence-first module "
    "attend over the batch (AEMatter issue 3). A user's text then depends on a stranger's.",
)
def batch_independent(attend: Attend, case: Case) -> Failure | None:
    """An example's result does not depend on its batch mates or its place."""
    order = np.roll(np.arange(case.batch), 1)
    for index in (order, np.array([case.batch - 1])):
        whole, part = attend(case.call, batched(case, index))
        failure = part.output.departs_from(
            whole.output[index], "an example's output depends on its batch mates or its place"
        )
        if failure:
            return failure
    return None


def batched(case: Case, index: np.ndarray) -> Call:
    """Return the case's call with these examples, one array staying one array."""
    call = reindexed(case.call, "B", index)
    return replace(call, key=call.query, value=call.query) if case.itself else call
