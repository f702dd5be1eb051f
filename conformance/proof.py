"""Proof: a failure turned into what a person needs, and a script that fails without headcheck."""

from __future__ import annotations

from shlex import quote
from typing import Any

import numpy as np

from .attend import Attend
from .cases import Case
from .observation import Failure
from .specification import Requirement
from .verdicts import Evidence, Nested

GRADIENTS = ("gradient of query", "gradient of key", "gradient of value")
LARGEST_RECORDED = 4096  # elements of an array that a record keeps whole


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
    return Evidence(
        case=case.as_record(),
        case_text=of_call(failure) if of_its_own else described(case, failure),
        quantity=failure.quantity,
        expected=nested(expected, index),
        actual=nested(actual, index),
        bound=nested(bound, index),
        worst_index=index,
        worst_error=error,
        worst_ratio=ratio,
        script="\n".join(script(failure, attend, requirement.id, requirement.info.statement)),
        replay=" ".join(
            ["headcheck run", quote(subject), "--only", requirement.id]
            + ([] if of_its_own else ["--case", quote(case.compact())])
        ),
        grounds=tuple(failure.grounds.split(" and ")),
        variant=failure.call.variant if failure.call else "",
    )


def described(case: Case, failure: Failure) -> str:
    """Return the case in words, with the path and the memory layout of the call that went wrong."""
    call = failure.call
    extras = []
    if call is not None and call.variant:
        extras.append(f"path: {call.variant}")
    if call is not None and call.memory != "contiguous":
        extras.append(f"memory: {call.memory}")
    return "; ".join([str(case), *extras])


def of_call(failure: Failure) -> str:
    """Return the sizes of the call that went wrong, where the case does not tell them."""
    call = failure.call
    if call is None:
        return ""
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
    """Return an array as nested lists; of a large one, the last two axes around the worst element."""
    if array is None:
        return None
    if array.size > LARGEST_RECORDED and len(index) == array.ndim:
        array = array[index[:-2]][-64:, -64:] if array.ndim >= 2 else array[:LARGEST_RECORDED]
    result: Any = array.tolist()
    return result


def script(failure: Failure, attend: Attend, requirement: str, statement: str) -> list[str]:
    """Return a script that makes the call and fails where the implementation departs."""
    if failure.call is None:
        return []
    try:
        lines = attend.script(failure.call)
    except Exception:  # a module that cannot be built has no script; its failure stands without one
        return []
    return [f"# {requirement}: {statement}.", *(refused(lines, failure) or compared(lines, failure))]


def refused(lines: list[str], failure: Failure) -> list[str]:
    """Return a script of what should have been refused, or of what should not have raised; else nothing."""
    if failure.kind == "accepted":
        return [
            *[line for line in lines if line.startswith(("import ", "from "))],
            "try:",
            *[f"    {line}" for line in lines if not line.startswith(("import ", "from "))],
            "except Exception as error:",
            '    print("refused:", error)',
            "else:",
            f"    raise AssertionError({failure.message!r})",
        ]
    if failure.kind in {"raised", "crash", "timeout"}:
        return [*lines, f"# {failure.message}".replace("\n", " ")]
    return []


def compared(lines: list[str], failure: Failure) -> list[str]:
    """Return a script that compares what came out with what should have, and fails where they differ."""
    said, quantity = f"# {failure.message}", failure.quantity
    name = {"output": "output", "attention weights": "weights"}.get(quantity)
    if quantity in GRADIENTS:
        lines = [*lines, f"gradient = np.asarray(gradients[{GRADIENTS.index(quantity)}])"]
        name = "gradient"
    whole = (
        failure.call is not None and failure.actual is not None and failure.actual.shape == _shape(failure)
    )
    if name is None or failure.expected is None or failure.bound is None or failure.actual is None:
        return [*lines, "print(output)", said]
    if not whole or failure.expected.size > 256:
        return [*lines, f"print({name})", said]
    bound = float(failure.bound[np.isfinite(failure.bound)].max(initial=0.0))
    expected = np.broadcast_to(failure.expected, failure.actual.shape)
    return [
        *lines,
        f"expected = np.array({literal(expected)})",
        f"difference = np.abs({name} - expected).max()",
        f'print("{quantity}:", {name}, "expected:", expected, sep="\\n")',
        f'assert difference <= {bound:.3g}, f"{{difference:.3g}} apart, at most {bound:.3g} is lawful"',
    ]


def _shape(failure: Failure) -> tuple[int, ...]:
    """Return the shape of the whole quantity, of which a failure may hold a part."""
    call = failure.call
    assert call is not None
    batch, n_q, _ = call.query.shape
    if failure.quantity == "attention weights":
        return (batch, call.build.num_heads, n_q, call.key.shape[1])
    if failure.quantity in GRADIENTS[1:]:
        return call.key.shape
    return call.query.shape


def literal(array: np.ndarray) -> str:
    """Return nested lists with nine digits: more than enough to show a departure beyond the bound."""
    if array.ndim:
        return f"[{', '.join(literal(part) for part in array)}]"
    return f"{float(array):.9g}" if np.isfinite(array) else f"float('{float(array)}')"
