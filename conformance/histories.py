"""Histories: calls of one module one after the other, each held against the same call of a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

from headcheck.adapters.protocol import Call

from .attend import Attend
from .observation import Observation


def needed(attend: Attend, earlier: Sequence[Call], call: Call, fresh: Observation) -> tuple[Call, ...]:
    """Return the calls that must come before for a call to depart: one of them, where one is enough."""
    for one in reversed(earlier):
        _, used = attend.in_sequence(one, call)
        if used.departs_from(fresh, ""):
            return (one,)
    return tuple(earlier)
