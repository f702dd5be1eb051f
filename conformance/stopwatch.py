"""The process in which a subject is timed, or its memory watched.

`python -m headcheck.stopwatch time n SUBJECT` prints one measurement a line, as JSON.
Whatever the subject prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time

from .timing import HEADS, OTHER, SIZES, AxisName, Measurement, Quantity

REPEATS, ENOUGH = 7, 0.5  # calls at one size, unless they take more than this many seconds together
_PEAK = Path("/proc/self/clear_refs")  # writing 5 there sets the peak back to what is held now


def main(quantity: Quantity, axis: AxisName, reference: str) -> None:
    """Measure a subject at all sizes of an axis."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if hasattr(os, "sched_setaffinity"):  # a thread pool is as large as the number of cores it may use
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        for measurement in measurements(quantity, axis, reference):
            print(json.dumps(asdict(measurement)), file=lines)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=lines)


def measurements(quantity: Quantity, axis: AxisName, reference: str) -> Iterator[Measurement]:
    """Measure every size, the smallest first: a framework may keep what it once took."""
    if quantity == "memory" and not _PEAK.exists():
        return
    called = calls(reference)
    called(OTHER, OTHER)()
    held = _status("VmRSS") if quantity == "memory" else 0.0
    for size in SIZES[axis]:
        call = called(size, OTHER) if axis == "n" else called(OTHER, size)
        call()  # a first call compiles, and fills caches
        yield Measurement(quantity, axis, size, seconds(call) if quantity == "time" else peak(call) - held)


def calls(reference: str) -> Callable[[int, int], Callable[[], float]]:
    """Return what makes, for a size, the call to be measured, which returns its CPU seconds.

    The path is the first that returns no attention weights, as a user in a hurry would take, or else the
    first of all.
    """
    import numpy as np
    from headcheck.adapters.protocol import Build, Call
    from headcheck.adapters.subjects import load

    adapter = load(reference)
    declared = adapter.declare()
    dtype = "float32" if "float32" in declared.dtypes else declared.dtypes[0]
    usual = (v for v in declared.variants if not (v.weights or v.eager or v.dtypes))
    variant = next(usual, declared.primary).name

    def at(n: int, d: int) -> Callable[[], float]:
        build = Build(d, HEADS, bias="bias" in declared.capabilities, dtype=dtype)
        rows = np.random.default_rng(0).integers(-8, 9, (1, n, d)) / 8.0
        call = Call(build, rows, rows, rows, variant=variant)
        module = adapter.build(build)

        def timed() -> float:
            start, marked = process_time(), adapter.subject_seconds or 0.0
            adapter.call(module, call)
            inside = adapter.subject_seconds
            return process_time() - start if inside is None else inside - marked

        return timed

    return at


def seconds(call: Callable[[], float]) -> float:
    """Return the smallest CPU time of several calls."""
    start, best = perf_counter(), call()
    for _ in range(REPEATS - 1):
        if perf_counter() - start > ENOUGH:
            break
        best = min(best, call())
    return best


def peak(call: Callable[[], float]) -> float:
    """Return the most bytes that the process held during a call."""
    _PEAK.write_text("5")
    call()
    return _status("VmHWM")


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024.0 * int(value.split()[0])
    raise RuntimeError(f"no {field} in /proc/self/status")


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
