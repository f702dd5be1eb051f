"""Heads: h independent attentions, concatenated in order, which is the same as their sum through W_o."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
from headcheck.adapters.protocol import Call
from headcheck.reference.dtypes import quantise
from headcheck.reference.parameters import Parameters

from ..attend import Attend
from ..cases import Case
from ..observation import Failure, Observation
from ..specification import MUST, requirement, situated, unmasked


def several_heads(case: Case) -> Case:
    """Give a case at least two heads."""
    return replace(case, num_heads=max(case.num_heads, 2))


def permuted(parameters: Parameters, order: np.ndarray, d_k: int) -> Parameters:
    """Return the weights with their heads in another order: columns of W_q, W_k, W_v, rows of W_o."""
    columns = (order[:, None] * d_k + np.arange(d_k)).ravel()
    changes: dict[str, np.ndarray] = {"W_o": parameters.W_o[columns]}
    for role in "qkv":
        changes[f"W_{role}"] = getattr(parameters, f"W_{role}")[:, columns]
        bias = getattr(parameters, f"b_{role}")
        if bias is not None:
            changes[f"b_{role}"] = bias[columns]
    return replace(parameters, **changes)


@requirement(
    "HEADS-SUM",
    MUST,
    needs={"parameters"},
    situation=several_heads,
    share=0.3,
    formula=r"\mathrm{Concat}(head_1, \dots, head_h) W_o = \sum_i head_i W_o^i",
    why="The identity that head pruning and every analysis by head rest on. Needs no oracle.",
)
def heads_sum(attend: Attend, case: Case) -> Failure | None:
    """The outputs with all but one block of rows of W_o zeroed add up to the whole output."""
    p, d_k = case.parameters, case.d_k
    blocks = []
    for head in range(case.num_heads):
        W_o = np.zeros_like(p.W_o)
        W_o[head * d_k : (head + 1) * d_k] = p.W_o[head * d_k : (head + 1) * d_k]
        b_o = p.b_o if head == 0 or p.b_o is None else np.zeros_like(p.b_o)
        blocks.append(replace(case.call, parameters=replace(p, W_o=W_o, b_o=b_o)))
    whole, *parts = attend(case.call, *blocks)
    total = reduce(add, (part.output for part in parts))
    return whole.output.departs_from(total, "the heads' outputs do not add up to the whole")


@requirement(
    "HEADS-PERMUTE",
    MUST,
    needs={"parameters"},
    situation=lambda case: replace(several_heads(case), mask="none" if case.mask == "heads" else case.mask),
    share=0.3,
    formula=r"\pi(W_q, W_k, W_v, W_o) \Rightarrow \mathrm{MultiHead} \text{ unchanged},\; A_i \to A_{\pi(i)}",
    why="Needs no oracle. A mask, a bias or a dropout that is tied to one head by its number shows here.",
)
def permute(attend: Attend, case: Case) -> Failure | None:
    """Permuting heads in all four matrices leaves the output unchanged and permutes the attention weights."""
    order = np.roll(np.arange(case.num_heads), 1)
    call = replace(case.call, parameters=permuted(case.parameters, order, case.d_k))
    before, after = attend(case.call, call)
    failure = after.output.departs_from(before.output, "permuted heads give another output")
    if failure is None and attend.offers("weights"):
        expected = before.weights.on_axis(1, order)
        failure = after.weights.departs_from(expected, "permuted heads do not permute the attention weights")
    return failure


@requirement(
    "HEADS-INDEPENDENT",
    MUST,
    needs={"parameters", "weights"},
    depends_on=("SHAPE-WEIGHTS",),
    situation=several_heads,
    share=0.3,
    formula=r"\partial A_j / \partial (W_q^i, W_k^i) = 0, \quad i \ne j",
    why="view(B * h, -1, d_k) without a transpose mixes tokens of different heads and positions "
    "(FuxiCTR issue 30); every shape is right.",
)
def independent(attend: Attend, case: Case) -> Failure | None:
    """Changing one head's projections changes the attention weights of that head alone."""
    p, d_k = case.parameters, case.d_k
    head = case.seed % case.num_heads
    columns = slice(head * d_k, (head + 1) * d_k)
    W_q, W_k = p.W_q.copy(), p.W_k.copy()
    W_q[:, columns] = quantise(W_q[:, columns] * -0.5 + 0.25, case.dtype)
    W_k[:, columns] = quantise(W_k[::-1, columns], case.dtype)
    before, after = attend(case.call, replace(case.call, parameters=replace(p, W_q=W_q, W_k=W_k)))
    others = np.array([i for i in range(case.num_heads) if i != head])
    return after.weights.on_axis(1, others).departs_from(
        before.weights.on_axis(1, others), f"a change of head {head} changes the attention weights of another"
    )


@requirement(
    "HEADS-SINGLE",
    MUST,
    needs={"parameters"},
    situation=situated(num_heads=1),
    share=0.3,
    formula=r"h = 1: \; \mathrm{softmax}(Q W_q (K W_k)^T / \sqrt{d})\, V W_v W_o",
    why="With one head nothing is split or combined: what fails here is not about heads.",
)
def single(attend: Attend, case: Case) -> Failure | None:
    """One head is plain scaled dot-product attention."""
    [seen] = attend(case.call)
    return seen.departs_from_oracle()


@requirement(
    "HEADS-BLOCK-ORDER",
    MUST,
    needs={"parameters"},
    situation=several_heads,
    share=0.3,
    formula=r"head_i \leftrightarrow \text{columns } i\,d_k, \dots, (i + 1)\,d_k - 1",
    why="Interleaved heads train as well as any, and ruin every checkpoint that is loaded "
    "(GPT-NeoX and Megatron ports).",
)
def block_order(attend: Attend, case: Case) -> Failure | None:
    """Head i owns the columns i d_k to (i + 1) d_k, in split, merge and attention weights."""
    p, d_k, h = case.parameters, case.d_k, case.num_heads
    head = (case.seed + h - 1) % h
    rows = np.arange(case.d_model) // d_k == head
    W_o = np.where(rows[:, None], p.W_o, 0.0)
    call = replace(case.call, parameters=replace(p, W_o=W_o))
    [seen] = attend(call)
    failure = seen.output.departs(
        seen.expected.exact.output,
        f"with only head {head}'s rows of W_o kept, the output is not head {head}'s contribution",
        grounds="oracle",
    )
    if failure is None and attend.offers("weights"):
        failure = seen.weights.departs(seen.expected.exact.weights, "", grounds="oracle")
        if failure:
            order = "in the order of the heads" if reordered(seen) else "those of their heads"
            failure = replace(failure, message=f"the attention weights are not {order}{failure.message}")
    return failure


def reordered(seen: Observation) -> bool:
    """Return whether the attention weights of each head are those of some head."""
    exact, lawful = seen.expected.exact.weights, seen.weights.lawful()
    heads = range(exact.shape[1])
    apart = [[np.abs(seen.weights.values[:, i] - exact[:, j]) > lawful[:, j] for j in heads] for i in heads]
    return all(any(not one.any() for one in of_head) for of_head in apart)


def spread_out(x: np.ndarray, num_heads: int, times: int) -> np.ndarray:
    """Return an array whose last axis holds heads with each head filled up with zeros to a multiple."""
    heads = x.reshape(*x.shape[:-1], num_heads, -1)
    room = [(0, 0)] * (heads.ndim - 1) + [(0, (times - 1) * heads.shape[-1])]
    return np.pad(heads, room).reshape(*x.shape[:-1], -1)


def enlarged(case: Case, grow: Callable[[np.ndarray], np.ndarray], num_heads: int) -> Call:
    """Return the call of a layer whose every axis of width d_model has grown as a last axis grows."""
    call = case.call
    grown = {name: grow(array) for name, array in case.parameters.items()}
    grown |= {name: grow(array.T).T for name, array in grown.items() if array.ndim == 2}
    query = grow(call.query)
    key, value = (query, query) if case.itself else (grow(call.key), grow(call.value))
    build = replace(call.build, d_model=query.shape[-1], num_heads=num_heads)
    return replace(call, build=build, query=query, key=key, value=value, parameters=Parameters(**grown))


@requirement(
    "HEADS-WIDTH",
    MUST,
    needs={"parameters"},
    situation=unmasked,
    share=0.0,
    shapes=3,
    formula=r"\frac{2 q \cdot k}{\sqrt{4 d_k}} = \frac{q \cdot k}{\sqrt{d_k}}",
    why="Needs neither oracle nor attention weights: a scale that does not depend on d_k as 1/sqrt(d_k) does "
    "shows in any layer whose weights can be set.",
)
def width(attend: Attend, case: Case) -> Failure | None:
    """Heads filled up with zeros to four times their width, W_q doubled, give the same output."""

    def wide(x: np.ndarray) -> np.ndarray:
        return spread_out(x, case.num_heads, 4)

    call = enlarged(case, wide, case.num_heads)
    assert call.parameters is not None
    doubled = {name: 2.0 * array for name, array in call.parameters.items() if name.endswith("_q")}
    narrow, filled = attend(case.call, replace(call, parameters=replace(call.parameters, **doubled)))
    columns = np.flatnonzero(wide(np.ones(case.d_model)))
    same = filled.output.on_axis(2, columns)
    return same.departs_from(narrow.output, "heads filled up with zeros give another output")


@requirement(
    "HEADS-DEAD",
    MUST,
    needs={"parameters"},
    situation=unmasked,
    share=0.0,
    shapes=3,
    formula=r"W_o^{h+1} = 0 \Rightarrow \mathrm{Concat}(head_1, \dots, head_{h+1}) W_o = "
    r"\mathrm{Concat}(head_1, \dots, head_h) W_o",
    why="Needs neither oracle nor attention weights: a scale by d_model or by the number of heads, a mean "
    "over heads and heads that mix all change with a head whose output is not used.",
)
def dead(attend: Attend, case: Case) -> Failure | None:
    """A further head that W_o does not read leaves the output unchanged."""
    d, d_k = case.d_model, case.d_k
    rng = np.random.default_rng([case.seed, 29])

    def beside(x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, d_k)])

    call = enlarged(case, beside, case.num_heads + 1)
    for role in "qkv":
        getattr(call.parameters, f"W_{role}")[:d, d:] = rng.integers(-2, 3, (d, d_k)) / 2.0
    before, after = attend(case.call, call)
    same = after.output.on_axis(2, np.arange(d))
    return same.departs_from(before.output, "a head that W_o does not read changes the output")
