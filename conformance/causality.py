"""Causal masks: which of them explains an output, and what a change of later keys may reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.declared import to_declare
from headcheck.adapters.protocol import Call, Conventions, Mask
from headcheck.reference.dtypes import quantise

from .cases import Case
from .observation import Observation
from .pool import LARGE


def late(case: Case) -> int:
    """Return the first of the keys that change: of many the last few, where positions are rounded most."""
    return case.n_k * 15 // 64 * 4 if case.n_k >= LARGE else (case.n_k + 1) // 2


def before(conventions: Conventions, case: Case, first: int) -> np.ndarray:
    """Return the queries that may see a key, and none from this one on."""
    shift = case.n_k - case.n_q if conventions.causal_alignment == "bottom-right" else 0
    last = np.arange(case.n_q) + shift
    return np.flatnonzero((last >= 0) & (last < first))


def changed_from(case: Case, first: int) -> Call:
    """Return the call with other keys and values from this one on, the same in query where all are one."""
    call, size = case.call, 1.0
    if case.n_k >= LARGE:  # each key has a small share
        size = 32.0 if case.itself or case.shared else 1024.0
    later = (np.arange(case.n_k) >= first)[:, None]
    key = quantise(np.where(later, 2.0 - call.key, call.key), case.dtype)
    value = quantise(np.where(later, size * (2.0 - call.value), call.value), case.dtype)
    if case.itself:
        return replace(call, query=value, key=value, value=value)
    return replace(call, key=value if case.shared else key, value=value)


def meant(seen: Observation, case: Case) -> str:
    """Return which causal mask explains an output, in words."""
    alignment = seen.expected.conventions.causal_alignment
    gap = case.n_k - case.n_q
    start = gap if alignment == "bottom-right" else 0
    known = [(start - 1, "one key fewer than expected"), (start + 1, "one key more than expected")]
    if gap:
        other = "top-left" if alignment == "bottom-right" else "bottom-right"
        words = f"aligned {other}, expected {alignment}{to_declare('causal_alignment', other)}"
        known.append((0 if alignment == "bottom-right" else gap, words))
    known.append((case.n_k, "the causal flag is ignored"))
    explained = []
    for offset, explanation in known:
        allowed = np.tri(case.n_q, case.n_k, offset, dtype=bool)[None, None]
        twin = replace(seen.call, causal=False, mask=Mask(np.broadcast_to(allowed, seen.weights_shape)))
        conventions = replace(seen.expected.conventions, mask_shapes=("B h n_q n_k",))
        expectation = replace(seen.expected, call=twin, conventions=conventions)
        if replace(seen, call=twin, expectation=expectation).departs_from_oracle() is None:
            explained.append(explanation)
    return ", or ".join(explained) or "the result is that of no causal mask known"
