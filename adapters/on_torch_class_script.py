"""The script of one call of a class that was driven by its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from .importing import name_of
from .on_torch_script import Source, module_of, stored
from .on_torch_script import script as script_of
from .protocol import Call
from .scripting import Symbol, taken_apart, written

if TYPE_CHECKING:
    from .on_torch import ClassAdapter


def script(adapter: ClassAdapter, call: Call, module: nn.Module) -> list[str]:
    """Return plain torch that makes a call; ``module`` is one of its build."""
    mode = adapter.mode(call)
    inputs = adapter.inputs(call, mode)
    weights = stored(module, adapter.slots(module, call.build), call)
    arguments = adapter.constructor_call(call.build)
    made = written(name_of(adapter.subject_name, adapter.implementation), *arguments)
    symbols = {name: Symbol(name) for name, value in vars(inputs).items() if value is not None}
    given = adapter.arguments(call, symbols, training=call.training or mode.training)
    source = Source(
        adapter.constructor_imports(),
        module_of(made, weights, call, mode),
        taken_apart(written("module", *given), adapter.answer, adapter.layout),
        adapter.answer.has_weights,
    )
    return script_of(call, mode, inputs, source)
