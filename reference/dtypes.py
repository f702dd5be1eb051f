"""The four floating-point formats that headcheck knows, and rounding to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary floating-point format."""

    name: str
    unit: float  # unit roundoff: half the distance from 1 to the next number
    largest: float
    smallest: float  # the smallest subnormal

    @property
    def accumulation(self) -> float:
        """Unit roundoff of the sums inside a matrix product: float32 or better in every kernel known."""
        return min(self.unit, 2.0**-24)


FORMATS = {
    "float64": Format("float64", 2.0**-53, float(np.finfo(np.float64).max), 2.0**-1074),
    "float32": Format("float32", 2.0**-24, float(np.finfo(np.float32).max), 2.0**-149),
    "bfloat16": Format("bfloat16", 2.0**-8, 3.3895313892515355e38, 2.0**-133),
    "float16": Format("float16", 2.0**-11, 65504.0, 2.0**-24),
}


def quantise(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float64 values rounded to nearest even in `dtype`, which they then represent exactly."""
    if dtype == "float64":
        return np.asarray(values, dtype=np.float64)
    if dtype == "bfloat16":
        # bfloat16 is the upper half of a float32: add half a unit, ties to even, and cut.
        bits = np.asarray(values, dtype=np.float32).view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        finite = np.where(np.isnan(values), np.float32(np.nan), rounded.astype(np.uint32).view(np.float32))
        return finite.astype(np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(dtype).astype(np.float64)
