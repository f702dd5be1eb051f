"""Time and peak memory against length and width, measured in processes of their own.

The clock is a witness, not a judge: right implementations show exponents in n from 1.2 to 2.6.  So that it
says as much as it can, a process has one thread, lengths are large beside the width, and the smallest of
several CPU times is taken.  Time is measured with an allocator that keeps what it once had, memory with one
that gives back everything at once.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Timer
from typing import Any, Literal, get_args

Quantity = Literal["time", "memory"]
AxisName = Literal["n", "d"]

SIZES: Mapping[AxisName, tuple[int, ...]] = {
    "n": (480, 672, 940, 1316, 1842, 2580),  # 18 d and more, where the square has taken over
    "d": (256, 360, 504, 704, 986, 1380),
}
OTHER, HEADS = 16, 2  # the size that is not varied
PATIENCE = 120.0  # seconds for each process

_ONE_THREAD = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
    ),
}
_ALLOCATOR: Mapping[Quantity, Mapping[str, str]] = {
    "time": {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"},
    "memory": {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
}
# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


class Unmeasured(Exception):
    """The subject could not be measured: says what happened."""


@dataclass(frozen=True)
class Measurement:
    """One size: seconds of CPU, or bytes of memory above what the process holds without the call."""

    quantity: Quantity
    axis: AxisName
    size: int
    value: float


@dataclass(frozen=True)
class PowerLaw:
    """value = coefficient * size ** exponent, fitted on logarithmic axes, with a 95 % interval."""

    quantity: Quantity
    axis: AxisName
    points: tuple[tuple[float, float], ...]
    coefficient: float
    exponent: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        settled = "" if high - low < 1 else ", too wide to say anything"
        return f"{self.axis}^{self.exponent:.2f} (95 %: {low:.2f} to {high:.2f}{settled})"

    @property
    def x_name(self) -> str:
        """The name of the axis along which sizes grow."""
        return {"n": "length n", "d": "width d"}[self.axis]

    @property
    def y_name(self) -> str:
        """The name of what was measured."""
        return {"time": "CPU time", "memory": "peak memory"}[self.quantity]

    @property
    def unit(self) -> str:
        """The unit in which it was measured."""
        return {"time": "s", "memory": "B"}[self.quantity]

    @property
    def title(self) -> str:
        """What the plot shows."""
        other = {"n": "width", "d": "length"}[self.axis]
        return f"{self.y_name} against {self.x_name}, at {other} {OTHER} with {HEADS} heads"

    def plot(self) -> dict[str, Any]:
        """Return what a log-log chart is drawn from, as plain numbers."""
        return {
            "title": self.title,
            "x": self.x_name,
            "y": self.y_name,
            "unit": self.unit,
            "points": [list(point) for point in self.points],
            "law": [self.coefficient, self.exponent],
            "interval": list(self.interval),
        }


def measure(reference: str) -> Iterator[Measurement]:
    """Measure a subject, a process for each quantity and axis; yield each measurement as it comes.

    Raises Unmeasured where the subject cannot be loaded or called, or takes too long.
    """
    for quantity in get_args(Quantity):
        for axis in get_args(AxisName):
            yield from _in_process(reference, quantity, axis)


def laws(measurements: Sequence[Measurement]) -> list[PowerLaw]:
    """Return the laws that a quantity follows along an axis, where there are four points or more."""
    series: dict[tuple[Quantity, AxisName], list[tuple[float, float]]] = {}
    for m in measurements:
        if m.value > 0:
            series.setdefault((m.quantity, m.axis), []).append((m.size, m.value))
    return [_law(*names, points) for names, points in series.items() if len(points) >= 4]


def _law(quantity: Quantity, axis: AxisName, points: Sequence[tuple[float, float]]) -> PowerLaw:
    slope, intercept, half = regression([(math.log(x), math.log(y)) for x, y in points])
    return PowerLaw(quantity, axis, tuple(points), math.exp(intercept), slope, (slope - half, slope + half))


def regression(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return slope, intercept, and half the 95 % interval of the slope, by least squares; 3 to 12 points."""
    size = len(points)
    mean_x, mean_y = (sum(values) / size for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    intercept = mean_y - slope * mean_x
    residual = sum((y - intercept - slope * x) ** 2 for x, y in points)
    return slope, intercept, _STUDENT[size - 3] * math.sqrt(residual / (size - 2) / spread)


def _in_process(reference: str, quantity: Quantity, axis: AxisName) -> Iterator[Measurement]:
    environment = {**os.environ, **_ONE_THREAD, **_ALLOCATOR[quantity]}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "headcheck.stopwatch", quantity, axis, reference]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        deadline = Timer(PATIENCE, process.kill)
        deadline.start()
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "error" in said:
                    raise Unmeasured(f"{quantity} could not be measured: {said['error']}")
                yield Measurement(**said)
            status = process.wait()
        finally:
            deadline.cancel()
            process.kill()
    if status:
        raise Unmeasured(f"{quantity} could not be measured: the process ended with status {status}")
