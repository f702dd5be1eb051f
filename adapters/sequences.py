"""Which sequences a method attends to, found out by trial calls: one, two, or an earlier part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from .discovery import Matched
from .protocol import Build, Call
from .trial import RAISED, SHAPES, Run, alike, last_blocked, runs, trial_call

Memory = Literal["keys", "ignored", "none"]  # what holds keys and values, what changes nothing, neither


def memory_of(matched: Matched, said: Mapping[str, Any], run: Run, build: Build) -> Memory:
    """Return what a sequence given beside x is: by the class's word, or by calls."""
    if not said.get("memory", matched.one_memory) or "memory" not in matched:
        return "none"
    masked = "mask" in matched or "additive" in matched
    return "keys" if "memory" in said else role_of_memory(run, build, masked=masked)


def role_of_memory(run: Run, build: Build, *, masked: bool) -> Memory:
    """Return what a second sequence is, by what an output depends on.

    It holds the keys and values, unless a query's output depends on the other queries as well: then it is
    joined to them.  One of another length than the queries can be refused by mistake alone; one that is
    always refused wants to be given more.  A mask as long as the queries is of their own sequence.
    """
    call = trial_call(build, itself=False, shared=True)
    shorter = call.key[:, : call.query.shape[1]]
    for memory in (call.key, shorter):
        other = memory[:, ::-1] + 1.0
        others = call.query.copy()
        others[:, 1:] += 1.0
        calls = (
            replace(call, key=memory, value=memory),
            replace(call, key=memory, value=memory, query=others),
            replace(call, key=other, value=other),
        )
        try:
            plain, mixed, read = (run(one).output for one in calls)
        except RAISED:  # met again, and judged, where the other length runs
            continue
        if plain is None or mixed is None or read is None:
            break
        if alike(plain, read):
            return "ignored"
        joined = not alike(plain[:, :1], mixed[:, :1]) and memory is call.key
        return "none" if joined or (masked and _masks_the_queries(run, calls[0])) else "keys"
    return "none"


def unread(name: str) -> str:
    """Return the note on a second sequence that changes nothing."""
    said = 'headcheck = {"memory": False}'
    return f"{name} changes nothing; if that is meant, declare it in the class: {said}"


def _masks_the_queries(run: Run, call: Call) -> bool:
    """Return whether a mask may be as long as the queries, and not as long as the keys."""
    itself = replace(call, key=call.query, value=call.query)

    def takes(like: Call) -> bool:
        return any(runs(run, replace(call, mask=last_blocked(like, shape, "bool"))) for shape in SHAPES)

    return takes(itself) and not takes(call)


def looks_ahead(run: Run, build: Build) -> bool | None:
    """Return whether the first query's output depends on a later position.

    None where nothing depends on anything, as when the output's projection starts at zero.
    """
    call = trial_call(build, itself=True)
    later = call.query.copy()
    later[:, 1:] = later[:, :0:-1] + 1.0
    one, two = (run(replace(call, query=x, key=x, value=x)).output for x in (call.query, later))
    if one is None or two is None:
        return True
    if np.allclose(one, two):
        return None
    return not np.allclose(one[:, 0], two[:, 0])
