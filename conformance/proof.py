"""Proof: a failure turned into what a person needs."""

from __future__ import annotations

from shlex import quote
from typing import Any

import numpy as np

from .attend import Attend
from .cases import Case
from .observation import Failure
from .scripts import script
from .specification import Requirement
from .verdicts import Evidence, Nested

SIZES = ("batch", "n_q", "n_k", "num_heads", "d_k")  # of a case
LARGEST_RECORDED = 4096  # elements of an array that a record keeps whole
EXCERPT = 64  # rows and columns of a larger one that it keeps


def evidence(
    failure: Failure, case: Case, attend: Attend, requirement: Requirement, subject: str
) -> Evidence:
    """Return the proof of a failure on its shrunk case."""
    of_its_own = requirement.once  # its situation is the same for every case
    actual, expected, bound = failure.actual, failure.expected, failure.bound
    index: tuple[int, ...] = ()
    error, ratio = None, None
    if actual is not None and expected is not None and bound is not None and actual.size:
        index, error, ratio = worst(actual, expected, bound)
        if actual.size > LARGEST_RECORDED:  # then parts are recorded, of all three the same one
            expected, bound = (np.broadcast_to(array, actual.shape) for array in (expected, bound))
    return Evidence(
        case=recorded(case, failure) if of_its_own else case.as_record(),
        case_text=of_call(failure) if of_its_own else described(case, failure),
        quantity=failure.quantity,
        expected=nested(expected, index),
        actual=nested(actual, index),
        bound=nested(bound, index),
        worst_index=index,
        worst_error=error,
        worst_ratio=ratio,
        script="\n".join(script(failure, attend, f"{requirement.id}: {requirement.info.statement}.")),
        replay=" ".join(
            ["headcheck run", quote(subject), "--no-html --only", requirement.id]
            + ([] if of_its_own else ["--case", quote(case.compact())])
            + (["--timeout", f"{failure.waited:g}"] if failure.waited else [])
        ),
        grounds=tuple(failure.grounds.split(" and ")),
        variant=failure.call.variant if failure.call else "",
    )


def recorded(case: Case, failure: Failure) -> dict[str, Any]:
    """Return the case with the sizes of the call that went wrong, those that a case can have."""
    call, whole = failure.call, case.as_record()
    rest = {name: value for name, value in whole.items() if name not in SIZES}
    if call is None:
        return rest
    build, (batch, n_q, _) = call.build, call.query.shape
    sizes = (batch, n_q, call.key.shape[1], build.num_heads, build.d_model // max(build.num_heads, 1))
    named = {name: size for name, size in zip(SIZES, sizes, strict=True) if size > 0}
    return {**rest, **named, "bias": build.bias, "dtype": build.dtype}


def described(case: Case, failure: Failure) -> str:
    """Return the case in words, with what the call that went wrong was given beside it, and its path."""
    call = failure.call
    if call is None:
        return str(case)
    form = call.mask.form if call.mask is not None else "bool"
    extras = [
        "causal" if call.causal and not case.causal else "",
        "padding" if call.padding is not None else "",
        f"mask form: {form}" if form != "bool" else "",
        f"path: {call.variant}" if call.variant else "",
        f"memory: {call.memory}" if call.memory != "contiguous" else "",
    ]
    return "; ".join([str(case), *filter(None, extras)])


def of_call(failure: Failure) -> str:
    """Return the sizes of the call that went wrong, where the case does not tell them."""
    call = failure.call
    if call is None:
        build = failure.build
        return f"d_model={build.d_model}, num_heads={build.num_heads}; {build.dtype}" if build else ""
    batch, n_q, d_model = call.query.shape
    sizes = f"B={batch}, n_q={n_q}, n_k={call.key.shape[1]}, d_model={d_model}"
    return f"{sizes}, num_heads={call.build.num_heads}; {call.build.dtype}"


def worst(
    actual: np.ndarray, expected: np.ndarray, bound: np.ndarray
) -> tuple[tuple[int, ...], float, float]:
    """Return where the error over the bound is largest, the error there, and the ratio."""
    expected, bound = np.broadcast_to(expected, actual.shape), np.broadcast_to(bound, actual.shape)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(actual - expected)
        same = (actual == expected) | np.isposinf(bound) | (np.isnan(actual) & np.isnan(expected))
        ratio = np.where(same, 0.0, np.where(np.isfinite(error), error / bound, np.inf))
    index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return tuple(int(i) for i in index), float(error[index]), float(ratio[index])


def nested(array: np.ndarray | None, index: tuple[int, ...]) -> Nested:
    """Return an array as nested lists; of a large one, what is around an element in its last two axes."""
    if array is None:
        return None
    if array.size > LARGEST_RECORDED:
        centre = index if len(index) == array.ndim else (0,) * array.ndim
        around: list[int | slice] = [_around(i, n) for i, n in zip(centre, array.shape, strict=True)]
        around[:-2] = centre[:-2]
        array = array[tuple(around)]
    result: Any = array.tolist()
    return result


def _around(i: int, length: int) -> slice:
    start = max(0, min(i - EXCERPT // 2, length - EXCERPT))
    return slice(start, start + EXCERPT)
