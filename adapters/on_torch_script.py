"""One call as a script of plain torch that needs no headcheck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from .literals import literal, with_imports
from .on_torch_call import Inputs, Mode
from .on_torch_weights import tensor as held
from .protocol import INPUTS, Call
from .scripting import indexed, shape_seen
from .scripting_storage import Stored, canonical
from .storage import Slot


@dataclass(frozen=True)
class Source:
    """What an implementation adds to the script.

    ``setup`` defines what ``attend`` needs besides ``query``, ``key``, ``value`` and, where the call has
    them, ``mask`` and ``padding``; ``attend`` defines ``output`` and, where they come back, ``weights``.
    """

    imports: Sequence[str]
    setup: Sequence[str]
    attend: Sequence[str]
    has_weights: bool
    held: Sequence[Stored] = field(default=())  # where the weights are that have a gradient


def script(call: Call, mode: Mode, inputs: Inputs, source: Source, of: str = "output") -> list[str]:
    """Return a script that ends with what is asked for, as `Adapter.script` says.

    Of ``inputs`` the masks are used, as the adapter hands them over.
    """
    dtype = dtype_of(call)
    lines = ["import numpy as np", "import torch", *source.imports, "", *source.setup]
    lines += given(call, mode, inputs, dtype)
    body = list(source.attend)
    if call.build.dropout:
        lines.append(f"torch.manual_seed({call.seed})")
    if call.cotangent is not None:
        apart = "query, key" if mode.shared else "query, key, value"
        lines.append("query.requires_grad_()" if mode.itself else f"for x in ({apart}): x.requires_grad_()")
        lines += tensor("cotangent", call.cotangent, dtype)
    elif of == "operations":
        lines.insert(2, "from torch.utils.flop_counter import FlopCounterMode")
        body = ["with torch.no_grad(), FlopCounterMode(display=False) as counter:", *indented(body)]
    elif not mode.gradients:
        body = ["with torch.no_grad():", *indented(body)]
    lines += [*body, *results(call, source, of)]
    return with_imports(lines)


def results(call: Call, source: Source, of: str) -> list[str]:
    """Return the lines that turn what the call gave into what is asked for."""
    if of == "operations":
        return ["operations = counter.get_total_flops()"]
    if of.startswith("gradient of "):
        tensors, gradient = differentiated(call, source, of.removeprefix("gradient of "))
        options = "allow_unused=True, materialize_grads=True"
        return [
            f"gradients = torch.autograd.grad(output, [{', '.join(tensors)}], cotangent, {options})",
            f"gradient = {gradient}",
        ]
    names = ["output", *(["weights"] if source.has_weights else [])]
    shape = shape_seen(of.removeprefix("stage ")) if of.startswith("stage ") else []
    return [*(f"{name} = {name}.detach().double().numpy()" for name in names), *shape]


def differentiated(call: Call, source: Source, name: str) -> tuple[list[str], str]:
    """Return the tensors that hold an input or a parameter, and the source of its gradient from theirs."""
    if name in INPUTS:
        return [name], "gradients[0].double().numpy()"
    there = [(tensor, slot, shape) for tensor, slot, shape in source.held if name in slot.names]
    theirs = [(f"gradients[{i}].double().numpy()", slot, shape) for i, (_, slot, shape) in enumerate(there)]
    return [tensor for tensor, *_ in there], canonical(theirs, call.build)[name]


def parameters(held: Sequence[Stored], call: Call) -> list[str]:
    """Return the lines that read the weights as NumPy float64 arrays."""
    read = [(f"{tensor}.detach().double().numpy()", slot, shape) for tensor, slot, shape in held]
    return [f"{name} = {source}" for name, source in canonical(read, call.build).items()]


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines as the body of a statement."""
    return [f"    {line}" for line in lines]


def module_of(made: str, weights: Sequence[tuple[str, np.ndarray]], call: Call, mode: Mode) -> list[str]:
    """Return the lines that make a module, by the expression given, and put its weights in."""
    training = call.training or mode.training
    lines = [f"module = {made}", f"module = module.to({dtype_of(call)}).{'train' if training else 'eval'}()"]
    if not weights:
        return [f"torch.manual_seed({call.build.seed})", *lines]
    lines.append("with torch.no_grad():")
    for path, array in weights:
        copied = f"module.{indexed(path)}.copy_({literal(array, 'torch', dtype_of(call))})"
        lines += [f"    {line}" for line in copied.splitlines()]
    return lines


def dtype_of(call: Call) -> str:
    """Return the call's dtype as a script writes it."""
    return f"torch.{call.build.dtype}"


def given(call: Call, mode: Mode, inputs: Inputs, dtype: str) -> list[str]:
    """Return the lines that define the arguments of the call."""
    lines = tensor("query", call.query, dtype)
    if mode.itself:
        lines.append("key = value = query")
    else:
        shared = {"value": "key"} if mode.shared else call.shared
        copies = {"key": call.key is call.query, "value": call.value is call.key}
        for name, before in (("key", "query"), ("value", "key")):
            if name in shared:
                lines.append(f"{name} = {shared[name]}")
            elif copies[name]:
                lines.append(f"{name} = {before}.clone()")
            else:
                lines += tensor(name, getattr(call, name), dtype)
    for name in INPUTS[: 1 if mode.itself else 2 if mode.shared else 3]:
        lines += laid_out(name, getattr(call, name), call)
    for name, value in (("mask", inputs.mask), ("padding", inputs.padding)):
        if value is not None:
            array = value.double().numpy() if value.is_floating_point() else value.numpy()
            lines += [*tensor(name, array, str(value.dtype)), *laid_out(name, array, call)]
    return lines


def laid_out(name: str, value: np.ndarray, call: Call) -> list[str]:
    """Return the lines that give an argument other strides."""
    if call.memory == "contiguous" or value.ndim < 2:
        return []
    if call.memory == "transposed":
        return [f"{name} = {name}.transpose(-1, -2).contiguous().transpose(-1, -2)"]
    alike = len(value) > 1 and np.array_equal(value, np.broadcast_to(value[:1], value.shape))
    if call.memory == "expanded" and alike:
        return [f"{name} = {name}[:1].clone().expand{value.shape}"]
    *outer, length, width = value.shape
    shape, rest = (*outer, length + 1, 2 * width), "torch.nan" if value.dtype.kind == "f" else "1"
    return [
        f"larger = {name}.new_full({shape}, {rest})",
        f"larger[..., 1:, ::2] = {name}",
        f"{name} = larger[..., 1:, ::2]",
    ]


def tensor(name: str, array: np.ndarray, dtype: str) -> list[str]:
    """Return the lines that define a tensor."""
    return f"{name} = {literal(array, 'torch', dtype)}".splitlines()


def held_by(module: nn.Module, slots: Sequence[Slot]) -> list[Stored]:
    """Return where a module keeps its weights, as a script says it."""
    return [(f"module.{indexed(slot.path)}", slot, tuple(held(module, slot.path).shape)) for slot in slots]


def stored(module: nn.Module, slots: Sequence[Slot], call: Call) -> list[tuple[str, np.ndarray]]:
    """Return the weights of a call as the module stores them, by path."""
    if call.parameters is None:
        return []
    shapes = {slot.path: tuple(held(module, slot.path).shape) for slot in slots}
    return [(slot.path, slot.stored(call.parameters, call.build, shapes[slot.path])) for slot in slots]
