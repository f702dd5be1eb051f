"""Small arrays as Python source whose value is exactly the array.

The scripts that prove a failure hold their arrays this way.  They are read by people, so whole numbers
are written without a point, constant and identity matrices by name, and nothing is rounded.  Arrays that
nobody would read are written as their bytes, compressed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from zlib import compress

import numpy as np

LARGEST = 400  # elements of an array that is written out
LINE = 100  # columns; a longer literal gets one line for each element of its first axis


def number(value: float | int | bool) -> str:
    """Return source for one number; what is not finite needs ``import numpy as np``."""
    if isinstance(value, bool | int):
        return repr(value)
    if not np.isfinite(value):
        return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    negative_zero = value == 0 and np.signbit(value)
    return repr(int(value)) if value.is_integer() and abs(value) < 1e6 and not negative_zero else repr(value)


def literal(array: np.ndarray, module: str = "np", dtype: str = "np.float64") -> str:
    """Return source that builds the array with ``module``, "np", "jnp" or "torch".

    ``dtype`` is source too, for instance "torch.float64" or "bool".
    """
    values = np.asarray(array)
    shape = tuple(values.shape)
    if values.size == 0:
        return f"{module}.zeros({shape}, dtype={dtype})"
    first = values.reshape(-1)[:1]
    if values.size > 4 and first.tobytes() * values.size == values.tobytes():
        return f"{module}.full({shape}, {number(first[0].item())}, dtype={dtype})"
    if values.ndim == 2 and shape[0] == shape[1] > 1 and np.array_equal(values, np.eye(shape[0])):
        return f"{module}.eye({shape[0]}, dtype={dtype})"
    if values.size > LARGEST:
        return _packed(values, module, dtype)
    make = f"{module}.{'tensor' if module == 'torch' else 'array'}"
    text = f"{make}({_nested(values.tolist())}, dtype={dtype})"
    if len(text) <= LINE or values.ndim < 2:
        return text
    rows = "".join(f"    {_nested(row)},\n" for row in values.tolist())
    return f"{make}([\n{rows}], dtype={dtype})"


def assign(name: str, array: np.ndarray, module: str = "np", dtype: str = "np.float64") -> list[str]:
    """Return the lines of ``name = <literal>``."""
    return f"{name} = {literal(array, module, dtype)}".splitlines()


def with_imports(lines: Sequence[str]) -> list[str]:
    """Return a script with the imports that its large arrays need."""
    return ["import base64", "import zlib", *lines] if any("zlib." in line for line in lines) else [*lines]


def _packed(values: np.ndarray, module: str, dtype: str) -> str:
    """Return source that reads the array from its bytes, in the smallest type that holds its numbers."""
    whole = values.dtype.kind != "b" and bool(np.isin(values, np.arange(-128, 128)).all())
    signed = bool(np.signbit(values[values == 0]).any()) if values.dtype.kind == "f" else False
    kind = "int8" if whole and not signed else {"b": "bool", "i": "int64"}.get(values.dtype.kind, "float64")
    data = b64encode(compress(values.astype(kind).tobytes(), 9)).decode()
    read = f'np.frombuffer(zlib.decompress(base64.b64decode("{data}")), dtype=np.{kind})'
    read = f"{read}.reshape({tuple(values.shape)})"
    if module == "torch":
        return f"torch.from_numpy({read}.copy()).to({dtype})"
    return f"{module}.array({read}, dtype={dtype})"


def _nested(values: Any) -> str:
    if isinstance(values, list):
        return "[" + ", ".join(_nested(value) for value in values) + "]"
    return number(values)
