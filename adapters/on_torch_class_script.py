"""The script of one call of a class that was driven by its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .discovery import stages
from .importing import name_of
from .on_torch_script import Source, held_by, module_of, parameters, stored
from .on_torch_script import script as script_of
from .protocol import INPUTS, Call
from .scripting import Symbol, output_of, taken_apart, watching, written

if TYPE_CHECKING:
    from .on_torch import ClassAdapter


def script(adapter: ClassAdapter, call: Call, of: str) -> list[str]:
    """Return plain torch that makes a call, and ends with what is asked for."""
    mode = adapter.mode(call)
    if of == "module":
        return ["import torch", *made_of(adapter, call)]
    module = adapter.build(call.build).module
    slots = adapter.slots(module, call.build)
    weights, held = stored(module, slots, call), held_by(module, slots)
    *imports, made = made_of(adapter, call)
    setup = module_of(made.removeprefix("module = "), weights, call, mode)
    if of == "parameters":
        return ["import numpy as np", "import torch", *imports, "", *setup, *parameters(held, call)]
    if of.startswith("stage "):
        setup += watching(of.removeprefix("stage "), stages(type(module)))
    inputs = adapter.inputs(call, mode)
    symbols = {name: Symbol(name) for name, value in vars(inputs).items() if value is not None}
    if mode.itself and "key" not in adapter.forward:
        symbols |= dict.fromkeys(INPUTS, symbols["query"])
    training = call.training or mode.training
    given = adapter.arguments(call, symbols, training=training, weights=mode.weights)
    attend = written("module", *given)
    apart = taken_apart if mode.weights else output_of
    source = Source(
        imports,
        setup,
        apart(attend, adapter.answer, adapter.layout),
        adapter.answer.has_weights and mode.weights,
        held,
    )
    return script_of(call, mode, inputs, source, of)


def made_of(adapter: ClassAdapter, call: Call) -> list[str]:
    """Return the imports that a module needs, and the line that makes it."""
    arguments = adapter.constructor_call(call.build)
    made = written(name_of(adapter.subject_name, adapter.implementation), *arguments)
    return [*adapter.constructor_imports(), f"module = {made}"]
