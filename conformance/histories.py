"""Histories: calls of one module one after the other, each held against the same call of a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

from headcheck.adapters.protocol import Call

from .attend import Attend
from .observation import Failure, Observation


def departs_from_fresh(used: Observation, fresh: Observation, words: str) -> Failure | None:
    """Compare a call of a used module with the same call of a fresh one: the output, then the weights."""
    failure = used.output.departs_from(fresh.output, words)
    if failure is None and used.result.weights is not None and fresh.result.weights is not None:
        failure = used.weights.departs_from(fresh.weights, words)
    return failure


def needed(attend: Attend, earlier: Sequence[Call], call: Call, fresh: Observation) -> tuple[Call, ...]:
    """Return the calls that must come before for a call to depart: one of them, where one is enough."""
    for one in reversed(earlier):
        _, used = attend.in_sequence(one, call)
        if departs_from_fresh(used, fresh, ""):
            return (one,)
    return tuple(earlier)
