"""Masks as a subject can be given them: the arguments, the shapes, and calls in which one must matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from headcheck.adapters.protocol import Call, Mask
from headcheck.reference.dtypes import FORMATS, quantise

from .attend import Attend
from .cases import Case, MaskKind
from .observation import NotMet
from .specification import Situation, masked


def kinds(kind: MaskKind, *others: MaskKind) -> Situation:
    """Return a situation that keeps a mask of one of these kinds, and else sets the first."""

    def situation(case: Case) -> Case:
        return masked(case.mask if case.mask in {kind, *others} else kind)(case)

    return situation


def by_query(attend: Attend) -> bool:
    """Return whether a mask may be another for each query, and not only for each key."""
    return any("n_q" in shape.split() for shape in attend.conventions.mask_shapes)


def shaped(case: Case, shape: str, seed: int = 23) -> Mask:
    """Return a mask of this shape that leaves every row its first key, and of which neighbours differ."""
    sizes = tuple(case.sizes.get(axis, 1) for axis in shape.split())
    allowed = np.random.default_rng([case.seed, seed]).random(sizes) < 0.6
    rows = np.indices(sizes[:-1]).sum(axis=0) + seed
    np.put_along_axis(allowed, rows[..., None] % sizes[-1], False, axis=-1)
    allowed[..., 0] = True
    return Mask(allowed)


def sparse(case: Case, shape: str) -> Mask:
    """Return a mask of this shape that leaves each of its rows one key, and not the same in all."""
    sizes = tuple(case.sizes.get(axis, 1) for axis in shape.split())
    rows = np.indices(sizes[:-1]).sum(axis=0) + case.seed
    return Mask(np.arange(sizes[-1]) == rows[..., None] % sizes[-1])


def but_first(mask: Mask) -> Mask:
    """Return a mask that blocks nothing in its first example, as where the longest of a batch comes first."""
    allowed = mask.allowed.copy()
    allowed[0] = True
    return replace(mask, allowed=allowed)


def arguments(case: Case, attend: Attend) -> dict[str, dict[str, object]]:
    """Return the mask arguments that the subject offers, each with a mask that blocks something."""
    rng = np.random.default_rng([case.seed, 17])
    full = (case.batch, case.num_heads, case.n_q, case.n_k)
    pairs = np.broadcast_to(rng.random((case.n_q, case.n_k)) < 0.5, full).copy()
    pairs[..., 0] = True
    pairs[..., -1, -1] = False
    if not by_query(attend):
        pairs[:] = pairs[..., -1:, :]
    padding = rng.random((case.batch, case.n_k)) < 0.5  # anywhere, and not alike for all examples
    examples = np.arange(case.batch)
    padding[examples, 1 + (case.seed + examples) % (case.n_k - 1)] = False
    padding[:, 0] = True
    offered: dict[str, dict[str, object]] = {
        "mask": {"mask": Mask(pairs)},
        "padding": {"padding": padding},
        "causal": {"causal": True},
    }
    return {name: argument for name, argument in offered.items() if attend.offers(name)}


def together(call: Call, chosen: tuple[str, ...], offered: dict[str, dict[str, object]]) -> Call:
    """Return the call with these mask arguments and no other."""
    plain = replace(call, mask=None, padding=None, causal=False)
    for name in chosen:
        plain = replace(plain, **offered[name])  # type: ignore[arg-type]
    return plain


def subsets(offered: dict[str, dict[str, object]], least: int) -> Iterator[tuple[str, ...]]:
    """Yield the sets of at least so many mask arguments."""
    for size in range(least, len(offered) + 1):
        yield from combinations(offered, size)


def in_forms(attend: Attend, call: Call) -> list[Call]:
    """Return the call with its mask in each of the other forms that are accepted."""
    mask = call.mask
    forms = attend.conventions.mask_forms[1:]
    return [] if mask is None else [replace(call, mask=replace(mask, form=form)) for form in forms]


def each_alone(call: Call) -> list[Call]:
    """Return the call with each of its masks alone, of which others judge."""
    plain = replace(call, mask=None, padding=None, causal=False)
    alone = [replace(plain, causal=True)] if call.causal else []
    alone += [replace(plain, mask=call.mask)] if call.mask is not None else []
    return alone + ([replace(plain, padding=call.padding)] if call.padding is not None else [])


def also_padded(attend: Attend, *calls: Call) -> list[Call]:
    """Return the calls, and each whose mask is one of keys with that as padding, where it can be that too."""
    padded = []
    for call in calls if attend.offers("padding") else ():
        allowed = None if call.mask is None else call.mask.allowed
        if allowed is not None and allowed.ndim == 4 and (allowed == allowed[:, :1, :1]).all():
            padded.append(replace(call, mask=None, padding=allowed[:, 0, 0]))
    return [*calls, *padded]


def small(attend: Attend, case: Case) -> bool:
    """Return whether many calls of a case cost little; of two sequences, where there can be two."""
    two = not case.itself or not attend.offers("two sequences")
    return two and case.batch <= 2 and max(case.n_q, case.n_k) <= 7


def on_paths(attend: Attend, call: Call) -> list[Call]:
    """Return the call on every path, or on those that differ in the implementation where each is compiled."""
    every = [variant for variant in attend.variants(call) if not variant.eager]
    others = attend.turns(call) if attend.declaration.compiles else every
    return [call, *(replace(call, variant=variant.name) for variant in others)]


def padded_in_turn(attend: Attend, case: Case) -> list[Call]:
    """Return calls with one padding, with another as long, and with none."""
    if not attend.offers("padding"):
        return []
    keys, examples = np.arange(case.n_k), np.arange(case.batch)[:, None]
    plain = replace(case.call, mask=None, causal=False)
    paddings = [keys < 1 + (examples + first) % case.n_k for first in (0, 1)]
    return [*(replace(plain, padding=padding) for padding in paddings), plain]


def in_every_way(attend: Attend, case: Case) -> list[Call]:
    """Return calls with a mask in each shape and form, one that leaves a query no key, and padding."""
    if not attend.offers("mask"):
        return []
    forms, shapes = attend.conventions.mask_forms, attend.conventions.mask_shapes
    masks = [shaped(case, shape) for shape in shapes]
    masks += [replace(masks[0], form=form) for form in forms[1:]]
    empty = masks[0].allowed.copy()
    empty[..., 0] = False
    empty[..., -1, :] = False
    masks.append(replace(masks[0], allowed=empty))
    calls = [replace(case.call, mask=mask) for mask in masks]
    return [*calls, *padded_in_turn(attend, case)[:1]]


def misfits(case: Case, axes: list[str]) -> Iterator[Mask]:
    """Yield masks of these axes that no broadcasting makes fit: longer, or so short that they are repeated.

    None has an axis of length one, and none is for an axis of that length: those lawfully broadcast, or make
    what they meet longer.
    """
    for axis in dict.fromkeys(reversed(axes)):
        size = case.sizes.get(axis, 1)
        others = [size // 2] if axis in {"B", "h"} else [size + 1, size - 1]
        for other in others:
            if size > 1 and other > 1:
                sizes = {**case.sizes, axis: other}
                allowed = np.ones([sizes.get(name, 1) for name in axes], dtype=bool)
                allowed[..., -1] = allowed.shape[-1] == 1  # a mask that blocks nothing may be dropped unread
                yield Mask(allowed)


def roomy(case: Case, *, queries: int = 3) -> Case:
    """Take every mask out of a case; NotMet where it is too small for three different ones."""
    if case.n_q < queries or case.n_k < 3:
        raise NotMet("fewer than three queries or keys")
    return replace(case, mask="none", causal=False)


def everywhere_blocked(case: Case) -> np.ndarray:
    """Return which keys (B, n_k) no query of no head may see."""
    assert case.allowed is not None
    blocked = ~case.allowed.any(axis=(1, 2))
    if not blocked.any():
        raise NotMet("no key is blocked for all queries")
    return np.asarray(blocked)


def spoiled(call: Call, blocked: np.ndarray, score: float) -> Call:
    """Return the call with large finite garbage at blocked keys and values, scoring up to `score`."""
    assert call.parameters is not None
    parameters, h = call.parameters, call.build.num_heads
    direction = np.random.default_rng(5).standard_normal(call.key.shape[-1])
    q = (call.query @ parameters.W_q).reshape(-1, h, call.build.d_k)
    k = (direction @ parameters.W_k).reshape(h, call.build.d_k)
    peak = float(np.abs(np.einsum("nhk,hk->nh", q, k)).max()) / np.sqrt(call.build.d_k)
    # Never so large that the projected key itself could overflow.
    size = score / max(peak, 1e-3) if abs(score) < FORMATS[call.build.dtype].largest / 8 else score
    largest = FORMATS[call.build.dtype].largest / (64.0 * call.build.d_model)
    garbage = quantise(np.clip(direction * size, -largest, largest), call.build.dtype)
    key = np.where(blocked[..., None], garbage, call.key)
    value = np.where(
        blocked[..., None], quantise(np.full_like(call.value, 100.0), call.build.dtype), call.value
    )
    return replace(call, key=key, value=key if call.value is call.key else value)


def sunk(case: Case, score: float) -> Call:
    """Return the call with one component of query and key that moves every score to about `score`."""
    call, parameters = case.call, case.parameters
    level = np.sqrt(abs(score) * np.sqrt(case.d_k))
    query, key = call.query.copy(), call.key.copy()
    query[..., 0], key[..., 0] = level, np.sign(score) * level
    W_q, W_k = parameters.W_q.copy(), parameters.W_k.copy()
    for W in (W_q, W_k):
        W[0] = 0.0
        W[0, :: case.d_k] = 1.0
    key = quantise(key, case.dtype)
    return replace(
        call,
        query=quantise(query, case.dtype),
        key=key,
        value=key if case.shared else call.value,
        parameters=replace(parameters, W_q=W_q, W_k=W_k),
    )
