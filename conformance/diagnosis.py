"""Diagnosis: which known fault a failure is indistinguishable from.

Each fault of the catalogue is asked, in NumPy and float64, what it would have given for the failing call.
One whose answer lies within the bound of what the implementation gave, and outside the bound of the oracle,
explains the failure; several may, and where none does none is claimed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
from headcheck.adapters.declared import to_declare
from headcheck.adapters.protocol import Call, Conventions

from .attend import Attend
from .expectation import Expectation
from .observation import Broken, Failure

MOST = 5  # names listed; more than that explain nothing


def matches(failure: Failure, attend: Attend) -> tuple[str, ...]:
    """Return what the faults that explain a failure do, in words."""
    call = failure.call
    if call is None or call.parameters is None or failure.earlier or failure.kind != "fail":
        return ()
    conventions = attend.conventions
    usual = call.padding is None and (call.mask is None or call.mask.form == conventions.mask_forms[0])
    if conventions.empty_row == "unknown":  # no answer to such a row is the right one, but one has a bound
        conventions = replace(conventions, empty_row="zeros")
    expectation = Expectation(call, conventions, call.parameters)
    quantity, actual = _observed(failure, attend)
    exact = getattr(expectation.exact, quantity)
    if actual is None or actual.shape != exact.shape or not np.isfinite(actual).any():
        return ()
    lawful = getattr(expectation.bounds, quantity)
    if _within(actual, exact, lawful):
        return ()
    explained = []
    if attend.declaration.framework == "numpy" and _within(actual, _turned(expectation, quantity), lawful):
        explained.append("every weight is stored (out, in)" + to_declare("stored", "out in"))
    for name, words in _known():
        answer = _answer(name, call, expectation, quantity)
        if answer is not None and answer.shape == actual.shape and _within(actual, answer, lawful):
            explained.append(_declarable(conventions, words) if name == "MaskInverted" and usual else words)
    return tuple(dict.fromkeys(explained))[:MOST]


def _declarable(conventions: Conventions, words: str) -> str:
    """Return a convention that may be meant, of a mask in its usual form: one form alone is no convention."""
    if conventions.mask_true == "block":
        return "True allows and False blocks" + to_declare("mask_true", "attend")
    return words + to_declare("mask_true", "block")


def _turned(expectation: Expectation, quantity: Literal["output", "weights"]) -> np.ndarray:
    """Return what is right for weights that are stored (out, in), as arrays of no framework may be."""
    held = expectation.parameters
    turned = replace(held, W_q=held.W_q.T, W_k=held.W_k.T, W_v=held.W_v.T, W_o=held.W_o.T)
    exact: np.ndarray = getattr(replace(expectation, parameters=turned).exact, quantity)
    return exact


def _observed(failure: Failure, attend: Attend) -> tuple[Literal["output", "weights"], np.ndarray | None]:
    """Return the whole array that is wrong; else what the call gave."""
    assert failure.call is not None
    if failure.quantity == "output" and failure.actual is not None:
        return "output", failure.actual
    if failure.quantity == "attention weights" and failure.actual is not None:
        return "weights", failure.actual
    try:
        [seen] = attend.outcomes(failure.call)
    except Broken:
        return "output", None
    result = seen.outcome.result
    if result is not None and result.weights is not None:
        return "weights", result.weights
    return "output", None if result is None else result.output


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
