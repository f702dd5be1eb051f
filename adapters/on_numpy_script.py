"""One call of a NumPy class as a script that needs no headcheck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from headcheck.reference.parameters import Parameters

from .importing import name_of
from .literals import assign
from .projections import at
from .protocol import Call
from .scripting import Symbol, indexed, taken_apart, written

if TYPE_CHECKING:
    from .on_numpy import ClassAdapter


def script(adapter: ClassAdapter, call: Call, module: Any, parameters: Parameters) -> list[str]:
    """Return plain NumPy that makes a call; ``module`` is one of its build."""
    inputs = adapter.inputs(call)
    arguments = adapter.constructor_call(call.build)
    made = written(name_of(adapter.subject_name, adapter.implementation), *arguments)
    imports = adapter.constructor_imports()
    lines = ["import numpy as np", *imports, "", f"module = {made}"]
    for slot in adapter.slots(module, call.build):
        array = slot.stored(parameters, call.build, at(module, slot.path).shape)
        lines += assign(f"module.{indexed(slot.path)}", array, "np", f"np.{call.build.dtype}")
    for name, array in inputs.items():
        twin = next((other for other, seen in inputs.items() if seen is array), name)
        lines += [f"{name} = {twin}"] if twin != name else _array(name, array, call)
    symbols = {name: Symbol(name) for name in inputs}
    method = "module.forward" if hasattr(module, "forward") else "module"
    attend = written(method, *adapter.arguments(call, symbols, training=call.training))
    lines += taken_apart(attend, adapter.answer, adapter.layout)
    results = ["output", *(["weights"] if adapter.answer.has_weights else [])]
    return [*lines, *(f"{name} = np.asarray({name}, dtype=np.float64)" for name in results)]


def _array(name: str, array: np.ndarray, call: Call) -> list[str]:
    """Return the lines that define an argument with the strides of the call."""
    floats = array.dtype.kind == "f"
    kind = "bool" if array.dtype == bool else f"np.{array.dtype}"
    lines = assign(name, array.astype(np.float64) if floats else array, "np", kind)
    if array.ndim != 3 or call.memory == "contiguous":
        return lines
    if call.memory == "transposed":
        return [*lines, f"{name} = np.ascontiguousarray({name}.swapaxes(1, 2)).swapaxes(1, 2)"]
    if array.strides[0] == 0:
        return [*lines, f"{name} = np.broadcast_to({name}[:1].copy(), {name}.shape)"]
    batch, length, width = array.shape
    return [
        *lines,
        f"larger = np.full(({batch}, {length + 1}, {2 * width}), np.nan, dtype={name}.dtype)",
        f"larger[:, 1:, ::2] = {name}",
        f"{name} = larger[:, 1:, ::2]",
    ]
