"""Rows in which no key is allowed: how they come about, and what they may answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call, Mask

from .attend import Attend
from .cases import Case
from .masking import by_query
from .observation import Failure, Observation, Shown


def keyless(attend: Attend, case: Case) -> list[Call]:
    """Return calls in which some query may see no key, and in which an example is padding alone."""
    padding = np.repeat(np.arange(case.batch)[:, None] > 0, case.n_k, axis=1)  # the first example is
    alone = np.broadcast_to(padding[:, None, None], (case.batch, case.num_heads, case.n_q, case.n_k))
    calls = [case.call if by_query(attend) else replace(case.call, mask=Mask(alone))]
    if case.num_heads > 1 and "B h n_q n_k" in attend.conventions.mask_shapes:
        first = np.ones_like(alone)
        first[:, 0, 0] = False  # in one head alone
        calls.append(replace(case.call, mask=Mask(first)))
    if attend.offers("padding"):
        calls.append(replace(case.call, mask=None, padding=padding))
    return calls


def emptied_together(attend: Attend, case: Case) -> list[Call]:
    """Return calls in which two masks, each of which leaves every query a key, together leave one none.

    What such a row answers depends on how masks are joined: two finite fills that add up weigh no keys alike.
    """
    keys, calls = np.arange(case.n_k), []
    full = (case.batch, case.num_heads, case.n_q, case.n_k)
    aligned = attend.conventions.causal_alignment == "bottom-right"
    seen = max(case.n_k - case.n_q, 0) if aligned else 0  # the last key of the first query under the flag
    if attend.offers("causal") and seen + 1 < case.n_k:
        later = np.broadcast_to(keys > seen, full)
        calls.append(replace(case.call, mask=Mask(later), causal=True))
    if attend.offers("padding") and case.n_k > 1:
        half = keys >= case.n_k // 2
        padding = np.broadcast_to(half, (case.batch, case.n_k))
        calls.append(replace(case.call, mask=Mask(np.broadcast_to(~half, full)), padding=padding))
    return calls


def not_finite(seen: Observation, where: str) -> Failure | None:
    """Return the failure of an output that holds NaN or infinity."""
    if np.isfinite(seen.output.values).all():
        return None
    return Failure(
        f"a row with no key allowed gives NaN{where}",
        "output",
        seen.output.values,
        np.where(np.isfinite(seen.output.exact()), seen.output.exact(), 0.0),
        np.where(np.isfinite(seen.output.lawful()), seen.output.lawful(), 0.0),
        seen.call,
        shown=Shown("np.isfinite(found).all()", "output"),
    )


def empty_rows_lawful(attend: Attend, call: Call) -> Failure | None:
    """Return the failure of rows with no key allowed, on the first path or between paths."""
    first = None
    for path in ["", *(variant.name for variant in attend.variants(call))]:
        [seen] = attend(replace(call, variant=path))
        where = f" on the path {path!r}" if path else ""
        failure = not_finite(seen, where)
        if failure:
            return failure
        failure = seen.departs_from_oracle()
        if failure is None and attend.conventions.empty_row == "unknown":
            failure = settled(seen)
        if failure:
            return replace(failure, message=f"a row with no key allowed{where}: {failure.message}")
        if first is not None:
            failure = seen.output.departs_from(first.output, f"a row with no key allowed differs{where}")
            if failure:
                return failure
        first = first or seen
    return None


def settled(seen: Observation) -> Failure | None:
    """Compare with both lawful answers, where none could be read off; return the nearer one's failure."""
    failures = []
    for answer in ("uniform", "zeros"):
        conventions = replace(seen.expected.conventions, empty_row=answer)
        failure = replace(
            seen, expectation=replace(seen.expected, conventions=conventions)
        ).departs_from_oracle()
        if failure is None:
            return None
        failures.append(failure)
    return replace(failures[0], message="it is neither uniform over the keys nor zeros")
