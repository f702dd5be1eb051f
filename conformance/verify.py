"""Verification: what an adapter declares is checked before anything is judged by it.

The smoke test of the adapter: what fails here is a fault of the adapter, not of the implementation, and
what an implementation may answer in more than one way is read off it once and then held against it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Build, Call, Conventions, SubjectError
from headcheck.reference.parameters import Parameters

from .attend import Attend
from .cases import Case, most_precise
from .empty_rows import keyless
from .observation import Broken, NotMet
from .worker import Crashed, TimedOut

PLAIN = Case(batch=2, n_q=3, n_k=5, num_heads=2, d_k=3)


def verified(attend: Attend) -> tuple[Conventions, dict[str, str]]:
    """Return the conventions as the implementation shows them, and what was verified, in words.

    SubjectError where the adapter hands back what is no result, or reads other weights than it has put in.
    """
    words: dict[str, str] = {}
    case = replace(PLAIN, dtype=most_precise(attend.declaration)).fitted(attend.declaration)
    try:
        attend.outcomes(case.call)  # what is not as the protocol has it is said before anything is judged
    except Broken:  # it ends its process, or never ends: the requirements say so, with proof
        return attend.conventions, words
    if {"parameters", "read"} <= attend.declaration.capabilities:
        words["weights"] = _round_trip(attend, case)
    conventions = _softmax_precision(attend, words)
    if "mask" in attend.declaration.capabilities:
        conventions = _empty_row(attend, case, conventions, words)
    return conventions, words


def _round_trip(attend: Attend, case: Case) -> str:
    try:
        back = attend.read(case.call.build, case.parameters)
    except (Broken, Crashed, TimedOut) as reason:  # the requirements say so, with proof
        return f"not read back: {reason}"
    wrong = [name for name, array in case.parameters.items() if not _equal(back, name, array)]
    if wrong and all(shared_with(back, case.parameters, name) for name in wrong):
        return f"{' and '.join(wrong)} not read back: another parameter's storage"  # INIT-DISTINCT judges it
    if wrong:
        raise SubjectError(
            f"the adapter reads other weights than it has put in: {', '.join(wrong)}. "
            "Expected what write() was given, in (in, out) order; check write() and read() of the adapter."
        )
    return "read back as they were put in"


def shared_with(back: Parameters, written: Parameters, name: str) -> str:
    """Return the parameter, itself as it was written, that reads back under this name; "" where none does."""
    own = getattr(back, name)
    others = (other for other, array in written.items() if other != name and _equal(back, other, array))
    return next((other for other in others if np.array_equal(getattr(written, other), own)), "")


def _equal(back: Parameters, name: str, array: np.ndarray) -> bool:
    read = getattr(back, name)
    return read is not None and read.shape == array.shape and bool(np.array_equal(read, array))


def _softmax_precision(attend: Attend, words: dict[str, str]) -> Conventions:
    """Read off whether float64 goes through a softmax in float32: its weights are then numbers of float32.

    NUM-DTYPE says so of one that has not declared it; the other requirements judge what else there is.
    """
    conventions, declaration = attend.conventions, attend.declaration
    if conventions.softmax_dtype or "float64" not in declaration.dtypes or not attend.offers("parameters"):
        return conventions
    length, heads, rng = 4, 2, np.random.default_rng(0)
    d = length * heads
    rows = np.tile(np.eye(length), (1, 1, heads))  # as values, so that each output is a weight
    W_q, W_k = rng.standard_normal((2, d, d))
    b = np.zeros(d) if attend.offers("bias") else None
    weights = Parameters(W_q, W_k, np.eye(d), np.eye(d), b, b, b, b)
    build = Build(d, heads, bias=b is not None, dtype="float64")
    try:
        [seen] = attend(Call(build, rows, rows, rows, weights))
        single = np.array_equal(seen.output.values, seen.output.values.astype(np.float32))
        if not single or seen.departs_from_oracle() is None:
            return conventions
    except (Broken, NotMet):  # judged where it is met again
        return conventions
    words["softmax"] = "in float32"
    return replace(conventions, softmax_dtype="float32")


def _empty_row(attend: Attend, case: Case, conventions: Conventions, words: dict[str, str]) -> Conventions:
    """Read off what a row with no allowed key answers, where that is not declared."""
    if conventions.empty_row != "unknown":
        return conventions
    empty = replace(case, mask="empty row").fitted(attend.declaration)
    try:
        [seen] = attend(keyless(attend, empty)[0])
        for answer in ("uniform", "zeros"):
            candidate = replace(conventions, empty_row=answer)
            settled = replace(seen, expectation=replace(seen.expected, conventions=candidate))
            if settled.departs_from_oracle() is None:
                words["row with no key"] = answer
                return candidate
        words["row with no key"] = "neither uniform nor zeros"
    except (Broken, NotMet) as reason:
        words["row with no key"] = f"not seen: {reason}"
    return conventions
