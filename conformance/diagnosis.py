"""Diagnosis: which known fault a failure is indistinguishable from.

Each fault of the catalogue is asked, in NumPy and float64, what it would have given for the failing call.
One whose answer lies within the bound of what the implementation gave, and outside the bound of the oracle,
explains the failure; several may, and where none does none is claimed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from headcheck.adapters.protocol import Call

from .attend import Attend
from .expectation import Expectation
from .observation import Failure

MOST = 5  # names listed; more than that explain nothing


def matches(failure: Failure, attend: Attend) -> tuple[str, ...]:
    """Return what the faults that explain a failure do, in words."""
    call, actual = failure.call, failure.actual
    if call is None or call.parameters is None or actual is None or not np.isfinite(actual).any():
        return ()
    expectation = Expectation(call, attend.conventions, call.parameters)
    exact, lawful = _of(failure.quantity, expectation)
    if exact is None or lawful is None or exact.shape != actual.shape:
        return ()
    if _within(actual, exact, lawful):
        return ()
    explained = []
    for name, words in _known():
        answer = _answer(name, call, expectation, failure.quantity)
        if answer is not None and answer.shape == actual.shape and _within(actual, answer, lawful):
            explained.append(words)
    return tuple(dict.fromkeys(explained))[:MOST]


def _of(quantity: str, expectation: Expectation) -> tuple[np.ndarray | None, np.ndarray | None]:
    if quantity == "output":
        return expectation.exact.output, expectation.bounds.output
    if quantity == "attention weights":
        return expectation.exact.weights, expectation.bounds.weights
    return None, None


def _within(one: np.ndarray, other: np.ndarray, lawful: np.ndarray) -> bool:
    """Return whether two arrays agree within the bound, NaN agreeing with NaN."""
    same = (np.abs(one - other) <= lawful) | (np.isnan(one) & np.isnan(other))
    return bool(np.all(same | np.isposinf(lawful)))


@cache
def _known() -> tuple[tuple[str, str], ...]:
    """Return the faults that exist on NumPy: class name, and the lie."""
    from headcheck.reference.faults.catalogue import FAULTS

    return tuple((fault.name, fault.lie) for fault in FAULTS if "numpy" in fault.frameworks)


def _answer(name: str, call: Call, expectation: Expectation, quantity: str) -> np.ndarray | None:
    """Return what a fault gives for a call, or None where it gives nothing of the kind."""
    from headcheck.reference.faults import on_numpy

    build, mask = call.build, call.mask
    allowed = None
    if mask is not None or call.padding is not None:
        uncaused = Expectation(replace(call, causal=False), expectation.conventions, expectation.parameters)
        allowed = uncaused.allowed
    try:
        with np.errstate(all="ignore"):
            module = getattr(on_numpy, name)(build.d_model, build.num_heads, bias=build.bias)
            for parameter, array in expectation.parameters.items():
                setattr(module, parameter, array.copy())  # some faults write to their weights
            inputs = (call.query.copy(), call.key.copy(), call.value.copy())
            output, weights = module.forward(*inputs, allowed, is_causal=call.causal)
    except Exception:  # a fault that fails on this call does not explain an answer
        return None
    return np.asarray(output if quantity == "output" else weights)
