"""Where a torch module keeps its projections, and how weights get in and out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from headcheck.reference.parameters import Parameters
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .projections import Kind, at
from .protocol import Build
from .storage import Slot, assembled


def tensor(module: nn.Module, path: str) -> Tensor:
    """Return the tensor at a path like "heads.0.key.weight"."""
    value = at(module, path)
    if not isinstance(value, Tensor):
        raise TypeError(f"{path} is {type(value).__name__}, expected a torch.Tensor")
    return value


def unparametrised(module: nn.Module) -> nn.Module:
    """Return the module with plain weights, as its parametrizations (weight_norm, ...) make them now.

    A weight that is computed cannot be put in; what the layer makes of it is the same.
    """
    for layer in [*module.modules()]:
        for name in [*getattr(layer, "parametrizations", {})]:
            parametrize.remove_parametrizations(layer, name)
    return module


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


def _attributes(module: Any) -> Mapping[str, Any]:
    """Return layers with parameters, parameters, bare tensors, and lists of any of them."""
    if not isinstance(module, nn.Module):
        return {}
    everything = {**module._modules, **module._parameters, **module._buffers, **vars(module)}
    return {name: value for name, value in everything.items() if not name.startswith("_") and _holds(value)}


def _holds(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return any(True for _ in value.parameters())
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_holds, value))
    return isinstance(value, Tensor) and value.is_floating_point()


def _rows(layer: Any) -> str:
    if isinstance(layer, nn.Linear | nn.Conv1d):
        return "out"
    return "in" if type(layer).__name__ == "Conv1D" else ""


TORCH = Kind(
    attributes=_attributes,
    is_array=lambda value: isinstance(value, Tensor),
    lists=(nn.ModuleList, nn.ParameterList, list, tuple),
    rows=_rows,
)
