"""Where a torch module keeps its projections: layers and bare tensors, packed or apart, a list a head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from headcheck.reference.parameters import Parameters
from torch import Tensor, nn

from .discovery import advice, projections, unrecognised
from .names import projection
from .protocol import Build, SubjectError
from .storage import Order, Slot, assembled, axes_of, orders

ALL = ("q", "k", "v", "o")


@dataclass(frozen=True)
class Leaf:
    """One stored matrix and, where it has one, the bias beside it."""

    weight: str
    bias: str | None = None
    rows: str = ""  # what its rows are: "out" in an nn.Linear, "in" in a Conv1D, "" where that is open


@dataclass(frozen=True)
class Storage:
    """The slots of a module, and the orders of axes possible where its type does not settle them."""

    slots: tuple[Slot, ...]
    possible: dict[tuple[str, ...], list[Order]]
    found: dict[str, str]  # "W_q" -> path; an asterisk stands for the heads


def storage(module: nn.Module, build: Build, subject: str) -> Storage:
    """Find the projections of a module by the names of its attributes; SubjectError where it cannot."""
    found = named(module, subject)
    slots: list[Slot] = []
    possible: dict[tuple[str, ...], list[Order]] = {}
    for role, path in found.items():
        letters = role[2:]
        leaves = list(_leaves(module, path, build.num_heads, subject))
        if len(leaves) not in {1, build.num_heads}:
            raise unrecognised(
                subject, [f"{role} (one layer, or one a head)"], [f"{path} ({len(leaves)} of them)"]
            )
        names = tuple(f"{role[0]}_{letter}" for letter in letters)
        biases = tuple(f"b_{letter}" for letter in letters)
        for i, leaf in enumerate(leaves):
            slot = Slot(leaf.weight, names, axes_of(names[0]), i if len(leaves) > 1 else None)
            fitting = _fitting(slot, leaf.rows, tuple(tensor(module, leaf.weight).shape), build)
            slots.append(replace(slot, order=fitting[0]))
            if len(fitting) > 1 and role.startswith("W"):
                possible[names] = fitting
            if leaf.bias:
                slots.append(Slot(leaf.bias, biases, axes_of(biases[0]), slot.head))
    return Storage(tuple(slots), possible, found)


def named(module: nn.Module, subject: str) -> dict[str, str]:
    """Return where each projection is; of a list of whole heads, the projections of its items."""
    held = attributes(module)
    for container, value in held.items():
        if _is_list(value) and isinstance(value[0], nn.Module):
            inner = {projection(name): name for name in attributes(value[0])}
            if {"W_q", "W_k", "W_v"} <= set(inner):
                outer = {role: name for name in held if (role := projection(name)) in {"W_o", "b_o"}}
                if "W_o" not in outer:
                    raise unrecognised(subject, ["W_o"], held)
                return {role: f"{container}.*.{name}" for role, name in inner.items() if role} | outer
    found = projections(held, subject)
    listed = found.pop("W_list", None)
    letters = ALL[: 4 - ("W_o" in found)]
    if listed and len(held[listed]) != len(letters):
        raise unrecognised(
            subject, [f"W_{letter}" for letter in letters], [f"{listed} ({len(held[listed])} layers)"]
        )
    return found | ({f"W_{letter}": f"{listed}.{i}" for i, letter in enumerate(letters)} if listed else {})


def attributes(module: nn.Module) -> dict[str, Any]:
    """Return what may hold weights: layers with parameters, parameters, bare tensors, lists of any."""
    everything = {**module._modules, **module._parameters, **module._buffers, **vars(module)}
    return {name: value for name, value in everything.items() if not name.startswith("_") and _holds(value)}


def tensor(module: nn.Module, path: str) -> Tensor:
    """Return the tensor at a path like "heads.0.key.weight"."""
    value: Any = _at(module, path)
    if not isinstance(value, Tensor):
        raise TypeError(f"{path} is {type(value).__name__}, expected a torch.Tensor")
    return value


def write(module: nn.Module, slots: Sequence[Slot], parameters: Parameters, build: Build) -> None:
    """Put the weights in; ValueError where an array cannot hold them."""
    with torch.no_grad():
        for slot in slots:
            held = tensor(module, slot.path)
            held.copy_(torch.from_numpy(slot.stored(parameters, build, tuple(held.shape))))


def read(module: nn.Module, slots: Sequence[Slot], build: Build) -> Parameters:
    """Return the weights as float64 arrays, (in, out)."""
    held = {slot.path: tensor(module, slot.path).detach().to(torch.float64).cpu().numpy() for slot in slots}
    arrays = assembled(((slot, held[slot.path]) for slot in slots), build)
    return Parameters(**{name: array.copy() for name, array in arrays.items()})


def _holds(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return any(True for _ in value.parameters())
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_holds, value))
    return isinstance(value, Tensor) and value.is_floating_point()


def _at(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = module[int(part)] if part.isdigit() else getattr(module, part)
    return module


def _is_list(value: Any) -> bool:
    return isinstance(value, nn.ModuleList | nn.ParameterList | list | tuple)


def _leaves(module: nn.Module, path: str, num_heads: int, subject: str) -> Iterator[Leaf]:
    """Yield what is stored at a path; a list gives one leaf an item, a wrapper the one layer in it."""
    if "*" in path:
        for i in range(num_heads):
            yield from _leaves(module, path.replace("*", str(i)), num_heads, subject)
        return
    value = _at(module, path)
    if _is_list(value):
        for i in range(len(value)):
            yield from _leaves(module, f"{path}.{i}", num_heads, subject)
    elif isinstance(value, Tensor):
        yield Leaf(path)
    elif isinstance(getattr(value, "weight", None), Tensor):
        bias = f"{path}.bias" if isinstance(getattr(value, "bias", None), Tensor) else None
        known = "out" if isinstance(value, nn.Linear) else "in" if type(value).__name__ == "Conv1D" else ""
        yield Leaf(f"{path}.weight", bias, known)
    else:
        inner = list(attributes(value))
        if len(inner) != 1:
            raise SubjectError(
                f"{subject}: {path} holds {', '.join(inner)}; expected one layer.\n{advice(subject)}"
            )
        yield from _leaves(module, f"{path}.{inner[0]}", num_heads, subject)


def _fitting(slot: Slot, rows: str, shape: tuple[int, ...], build: Build) -> list[Order]:
    """Return the orders of axes that the layer's type and the shape allow; the usual one where none does."""
    fitting = orders(slot, shape, build)
    if rows:
        fitting = [order for order in fitting if (order[-1] == "in" or order[0] == "out") == (rows == "out")]
    if fitting or rows != "out":
        return fitting or [slot.axes]
    inner = tuple(axis for axis in slot.axes if axis not in {"in", "out"})
    return [(*inner, "in") if "in" in slot.axes else ("out", *inner)]
