"""One call of a NumPy class as a script that needs no headcheck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .discovery import attending, stages
from .importing import name_of
from .literals import assign, with_imports
from .projections import at
from .protocol import INPUTS, Call
from .scripting import Symbol, indexed, output_of, shape_seen, taken_apart, watching, written
from .scripting_storage import canonical

if TYPE_CHECKING:
    from .on_numpy import ClassAdapter


COUNTED = """
class Counted(np.ndarray):
    operations = 0  # of matrix products

    def __array_ufunc__(self, ufunc, method, *given, out=(), **options):
        if out:
            options["out"] = tuple(np.asarray(x) for x in out)
        given = [np.asarray(x) for x in given]
        result = getattr(ufunc, method)(*given, **options)
        if ufunc is np.matmul:
            Counted.operations += 2 * result.size * given[0].shape[-1]
        return result.view(Counted) if isinstance(result, np.ndarray) else result

    def __array_function__(self, function, types, given, options):
        result = super().__array_function__(function, types, given, options)
        if function is np.einsum:
            names = given[0].split("->")[0].replace(" ", "").split(",")
            sizes = {axis: n for name, x in zip(names, given[1:]) for axis, n in zip(name, x.shape)}
            Counted.operations += 2 * int(np.prod(list(sizes.values())))
        return result.view(Counted) if isinstance(result, np.ndarray) else result
"""


def script(adapter: ClassAdapter, call: Call, of: str) -> list[str]:
    """Return plain NumPy that makes a call, and ends with what is asked for."""
    arguments = adapter.constructor_call(call.build)
    made = written(name_of(adapter.subject_name, adapter.implementation), *arguments)
    imports = adapter.constructor_imports()
    if of == "module":
        return [*imports, f"module = {made}"]
    if of.startswith("gradient of "):
        raise NotImplementedError("NumPy has no gradients")
    module = adapter.build(call.build).module
    held = [(slot, at(module, slot.path).shape) for slot in adapter.slots(module, call.build)]
    seed = [f"np.random.seed({call.build.seed})"] if call.parameters is None else []
    lines = ["import numpy as np", *imports, "", *seed, f"module = {made}"]
    for slot, shape in held:
        path, dtype = f"module.{indexed(slot.path)}", f"np.{call.build.dtype}"
        if call.parameters is not None:
            lines += assign(path, slot.stored(call.parameters, call.build, shape), "np", dtype)
        elif call.build.dtype != "float64":
            lines.append(f"{path} = {path}.astype({dtype})")
    if of == "parameters":
        sources = ((f"module.{indexed(slot.path)}", slot, shape) for slot, shape in held)
        return [*lines, *(f"{name} = {source}" for name, source in canonical(sources, call.build).items())]
    if of.startswith("stage "):
        lines += watching(of.removeprefix("stage "), stages(type(module)))
    inputs = adapter.inputs(call)
    for name, array in inputs.items():
        twin = next((other for other, seen in inputs.items() if seen is array), name)
        lines += [f"{name} = {twin}"] if twin != name else _array(name, array, call)
    symbols = {name: Symbol(name) for name in inputs}
    if inputs["key"] is inputs["query"] and "key" not in adapter.forward:
        symbols |= dict.fromkeys(INPUTS, symbols["query"])
    method = "module.forward" if attending(type(module)) == "forward" else "module"
    asked = adapter.asks_for_weights(call)
    given = adapter.arguments(call, symbols, training=adapter.trains(call), weights=asked)
    attend = written(method, *given)
    answered = (
        taken_apart(attend, adapter.answer, adapter.layout)
        if asked
        else output_of(attend, adapter.answer, adapter.layout)
    )
    if of == "operations":
        counted = [f"query, key, value = (x.view(Counted) for x in ({', '.join(list(inputs)[:3])}))"]
        imported, rest = lines[: 1 + len(imports)], lines[1 + len(imports) :]
        counter = COUNTED.splitlines()
        return [*imported, *counter, *rest, *counted, *answered, "operations = Counted.operations"]
    lines += answered
    results = ["output", *(["weights"] if adapter.answer.has_weights and asked else [])]
    shape = shape_seen(of.removeprefix("stage ")) if of.startswith("stage ") else []
    lines += [f"{name} = np.asarray({name}, dtype=np.float64)" for name in results]
    return with_imports([*lines, *shape])


def _array(name: str, array: np.ndarray, call: Call) -> list[str]:
    """Return the lines that define an argument with the strides of the call."""
    floats = array.dtype.kind == "f"
    kind = "bool" if array.dtype == bool else f"np.{array.dtype}"
    lines = assign(name, array.astype(np.float64) if floats else array, "np", kind)
    if array.ndim < 2 or call.memory == "contiguous":
        return lines
    if call.memory == "transposed":
        return [*lines, f"{name} = np.ascontiguousarray({name}.swapaxes(-1, -2)).swapaxes(-1, -2)"]
    if array.strides[0] == 0:
        return [*lines, f"{name} = np.broadcast_to({name}[:1].copy(), {name}.shape)"]
    *outer, length, width = array.shape
    shape, rest = (*outer, length + 1, 2 * width), "np.nan" if floats else "1"
    return [
        *lines,
        f"larger = np.full({shape}, {rest}, dtype={name}.dtype)",
        f"larger[..., 1:, ::2] = {name}",
        f"{name} = larger[..., 1:, ::2]",
    ]
