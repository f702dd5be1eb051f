"""What calls leave behind: in the caller's arrays, and in the module that is called again."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress

from headcheck.adapters.protocol import Call

from .attend import Attend
from .masking import on_paths
from .observation import Failure, NotMet, Observation, Shown


def overwritten(attend: Attend, call: Call, arguments: Container[str]) -> Failure | None:
    """Return the failure of a call that writes to one of these arguments, on any path that does not raise."""
    seen = [one for one in attend.outcomes(*on_paths(attend, call)) if one.raised is None]
    return next(filter(None, (wrote(attend, one, arguments) for one in seen)), None)


def wrote(attend: Attend, seen: Observation, arguments: Container[str]) -> Failure | None:
    """Return the failure of a call in which one of these arguments was written to."""
    written = [name for name in seen.result.written_to if name in arguments]
    if not written:
        return None
    message = f"the call wrote to the caller's {' and '.join(map(attend.called, written))}"
    shown = Shown("found == 0", f"int((before != {written[0]}).sum())", f"argument {written[0]}")
    return Failure(message, call=seen.call, shown=shown)


def needed(attend: Attend, earlier: Sequence[Call], call: Call, fresh: Observation) -> tuple[Call, ...]:
    """Return the calls that must come before for a call to depart: one of them, where one is enough."""
    for one in reversed(earlier):
        _, used = attend.in_sequence(one, call)
        with suppress(NotMet):
            if used.departs_from(fresh, ""):
                return (one,)
    return tuple(earlier)
