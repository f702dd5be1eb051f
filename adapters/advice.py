"""What to do about an implementation that cannot be driven: the last line of the message that says so."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path

from .errors import SubjectError

STUB = "Adapted"  # the class that `headcheck adapter new` writes
OWN = Path(__file__).parent  # no place to send a reader to


def advice(subject: str) -> str:
    """Return the last line of a message about something that was not recognised."""
    if _is_stub(subject):
        return "This is an adapter already: rename it, or say here which part is which."
    return f"Rename it, or write an adapter: headcheck adapter new {subject}"


def unbuilt(
    subject: str, signature: str, sizes: Iterable[tuple[int, int]], raised: BaseException
) -> SubjectError:
    """Return the error for a constructor that raises at every size, at the first of them this exception."""
    frames = traceback.extract_tb(raised.__traceback__)
    theirs = [f for f in frames if OWN not in Path(f.filename).parents and "site-packages" not in f.filename]
    where = f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""
    (d_model, num_heads), *others = sizes
    adapter = (
        "This is an adapter already: say here where its parts are, and give them what else they need."
        if _is_stub(subject)
        else f"If it needs other arguments, give them in an adapter: headcheck adapter new {subject}"
    )
    return SubjectError(
        f"{subject}: {signature} with d_model={d_model}, num_heads={num_heads} raised "
        f"{type(raised).__name__}: {raised}{where}.\n"
        f"Expected a module of that size, or of {', '.join(map(str, others))}, on this machine. {adapter}"
    )


def _is_stub(subject: str) -> bool:
    return subject.rpartition(":")[2] == STUB
