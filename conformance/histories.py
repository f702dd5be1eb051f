"""Histories: calls of one module one after the other, each held against the same call of a fresh one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from headcheck.adapters.protocol import Call

from .attend import Attend
from .observation import NotMet, Observation


def needed(attend: Attend, earlier: Sequence[Call], call: Call, fresh: Observation) -> tuple[Call, ...]:
    """Return the calls that must come before for a call to depart: one of them, where one is enough."""
    for one in reversed(earlier):
        _, used = attend.in_sequence(one, call)
        with suppress(NotMet):
            if used.departs_from(fresh, ""):
                return (one,)
    return tuple(earlier)
