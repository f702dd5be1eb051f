"""One call of a torch module: arrays in, the right mode, arrays out, and nothing global left changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from headcheck.reference.parameters import Parameters
from torch import Tensor, nn

from . import on_torch_weights as weights
from .counting_torch import count
from .protocol import INPUTS, Adapter, Build, Call, DType, Mask, Meaning, Memory, Result
from .same_objects import as_before
from .storage import Slot, assembled

DTYPES: Mapping[DType, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, eq=False)
class Built:
    """A module, the arguments it was built with, and what its latest call returned and was given."""

    module: nn.Module
    build: Build
    returned: dict[str, Tensor] = field(default_factory=dict)
    given: dict[str, tuple[np.ndarray, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Inputs:
    """The arguments of one call as tensors; ``itself``: query, key and value are one object."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None = None
    padding: Tensor | None = None

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the tensor of every argument that is there, each object once."""
        seen: list[Tensor] = []
        for name, value in vars(self).items():
            if value is not None and not any(value is other for other in seen):
                seen.append(value)
                yield name, value


@dataclass(frozen=True, eq=False)
class Returned:
    """What a module returned: words where it is neither (output, weights) nor output."""

    output: Tensor | None = None
    weights: Tensor | None = None
    words: str = ""
    stages: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Mode:
    """How a variant calls a module."""

    training: bool = False
    gradients: bool = False
    itself: bool = False  # one object as query, key and value
    shared: bool = False  # one object as key and value
    weights: bool = True  # the attention weights are asked for, where that can be chosen
    options: Mapping[str, Any] = field(default_factory=dict)  # what else the adapter of the variant needs


class TorchAdapter(Adapter):
    """Drives a torch module; what differs is how it is made, where its weights are and how it is called."""

    padding_true: Meaning = "attend"

    @property
    def mask_true(self) -> Meaning:
        """What True and 1 say in a mask."""
        return "attend"

    @property
    @abstractmethod
    def modes(self) -> Mapping[str, Mode]:
        """The variants by name, the primary one first."""

    @abstractmethod
    def make(self, build: Build) -> nn.Module:
        """Return a module; its dtype and its random numbers are taken care of."""

    @abstractmethod
    def slots(self, module: nn.Module, build: Build) -> Sequence[Slot]:
        """Return where a module of this build keeps its weights."""

    @abstractmethod
    def attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        """Call the module."""

    def build(self, build: Build) -> Built:
        """Return a fresh module whose initial weights come from the seed."""
        dtype = DTYPES[build.dtype]
        with self.subject(), seeded(build.seed):
            module = self.make(build)
            if any(parameter.dtype != dtype for parameter in module.parameters()):
                module = module.to(dtype)
        return Built(module, build)

    def write(self, module: Built, parameters: Parameters) -> Built:
        """Put the weights in; a bias that the parameters lack becomes zeros."""
        weights.write(module.module, self.slots(module.module, module.build), parameters, module.build)
        return module

    def read(self, module: Built) -> Parameters:
        """Return the weights, (in, out)."""
        return weights.read(module.module, self.slots(module.module, module.build), module.build)

    def call(self, module: Built, call: Call) -> Result:
        """Call the module on the variant named by the call."""
        mode = self.mode(call)
        inputs = self.inputs(call, mode)
        if call.cotangent is None:  # a tensor with a gradient is of one call
            kept = as_before(
                module.given, call, vars(inputs), same_bits, itself=mode.itself, shared=mode.shared
            )
            inputs = replace(inputs, **kept)
        held = {**dict(inputs.items()), **module.returned}
        before = {name: value.clone() for name, value in held.items()}
        differentiate = call.cotangent is not None
        if differentiate:
            for name in INPUTS:
                getattr(inputs, name).requires_grad_()
        returned = self._attend(module.module, call, mode, inputs)
        output = returned.output
        written = tuple(name for name, value in held.items() if not same_bits(value, before[name]))
        left = {"earlier output": output, "earlier weights": returned.weights}
        module.returned.clear()
        module.returned.update({name: value.detach() for name, value in left.items() if value is not None})
        return Result(
            output=None if output is None else as_float64(output),
            weights=None if returned.weights is None else as_float64(returned.weights),
            dtype="" if output is None else str(output.dtype).removeprefix("torch."),
            gradients=self._gradients(module, call, inputs, output) if differentiate else {},
            stages=returned.stages,
            written_to=written,
            returned=returned.words,
        )

    def count(self, module: Built, call: Call) -> Mapping[str, int]:
        """Return the operations of one call, and those of its gradients where a cotangent is given."""
        mode = self.mode(call)
        inputs = self.inputs(call, mode)
        backward = call.cotangent is not None
        for name in INPUTS if backward else ():
            getattr(inputs, name).requires_grad_()

        def attend() -> Any:
            with torch.set_grad_enabled(backward):
                return self._attend(module.module, call, mode, inputs).output

        return count(attend, backward=backward).to_mapping()

    def mode(self, call: Call) -> Mode:
        """Return how the call's variant calls a module."""
        return self.modes[call.variant] if call.variant else next(iter(self.modes.values()))

    def inputs(self, call: Call, mode: Mode) -> Inputs:
        """Return the arguments as tensors of their own, in the dtype and the layout asked for."""
        dtype = DTYPES[call.build.dtype]
        given = {name: laid_out(as_tensor(getattr(call, name), dtype), call.memory) for name in INPUTS}
        shared = {"value": "key"} if mode.shared else call.shared
        shared = dict.fromkeys(INPUTS, "query") if mode.itself else shared
        given |= {name: given[other] for name, other in shared.items()}
        mask = None if call.mask is None else handed_over(call.mask, self.mask_true, dtype)
        padding = None if call.padding is None else as_tensor(call.padding == (self.padding_true == "attend"))
        mask, padding = (None if x is None else laid_out(x, call.memory) for x in (mask, padding))
        return Inputs(**given, mask=mask, padding=padding)

    def _attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        training = call.training or mode.training
        if module.training != training:
            module.train(training)
        with self.subject(), torch.set_grad_enabled(mode.gradients or call.cotangent is not None):
            if not training:
                return self.attend(module, call, mode, inputs)
            with seeded(call.seed):
                return self.attend(module, call, mode, inputs)

    def _gradients(
        self, module: Built, call: Call, inputs: Inputs, output: Tensor | None
    ) -> dict[str, np.ndarray]:
        """Return the vector-Jacobian product by name: zeros for what the output does not depend on."""
        given = {name: value for name, value in inputs.items() if name in INPUTS}
        slots = self.slots(module.module, module.build)
        stored = {slot.path: weights.tensor(module.module, slot.path) for slot in slots}
        wanted = [value for value in (*given.values(), *stored.values()) if value.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if output is not None and output.requires_grad and call.cotangent is not None:
            cotangent = as_tensor(call.cotangent, output.dtype)
            if output.shape != cotangent.shape:
                shapes = f"{tuple(cotangent.shape)}, got an output of {tuple(output.shape)}"
                raise RuntimeError(f"no gradients: expected an output of {shapes}")
            with self.subject():
                # As a sum: torch loads its symbolic shapes, a third of its import, to take a cotangent.
                found = torch.autograd.grad((output * cotangent).sum(), wanted, allow_unused=True)
        by_id = {id(value): gradient for value, gradient in zip(wanted, found, strict=True)}

        def gradient(value: Tensor) -> np.ndarray:
            one = by_id.get(id(value))
            return np.zeros(tuple(value.shape)) if one is None else as_float64(one)

        parts = ((slot, gradient(stored[slot.path])) for slot in slots)
        return {name: gradient(value) for name, value in given.items()} | assembled(parts, module.build)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from this seed; the caller's random numbers go on as if nothing had been drawn."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


def as_tensor(array: np.ndarray, dtype: torch.dtype | None = None) -> Tensor:
    """Return a tensor that shares no memory with the array."""
    tensor = torch.from_numpy(np.array(array, order="C"))
    return tensor if dtype is None else tensor.to(dtype)


def as_float64(value: Tensor) -> np.ndarray:
    """Return a NumPy array that shares no memory with the tensor."""
    array: np.ndarray = value.detach().to("cpu", torch.float64, copy=True).numpy()
    return array


def handed_over(mask: Mask, meaning: Meaning, dtype: torch.dtype) -> Tensor:
    """Return the mask in the form asked for; ``meaning`` is what True and 1 say."""
    if mask.additive:
        return as_tensor(mask.added(str(dtype).removeprefix("torch.")), dtype)  # type: ignore[arg-type]
    said = mask.allowed if meaning == "attend" else ~mask.allowed
    kinds = {"bool": torch.bool, "int": torch.int64, "float": dtype}
    return as_tensor(said, kinds[mask.form])


def laid_out(value: Tensor, memory: Memory) -> Tensor:
    """Return the same values with other strides.

    Only what is the same for every example can be expanded over the batch; anything else is sliced out of
    a larger array whose other elements are NaN, or 1 in a mask that has none.
    """
    if memory == "contiguous" or value.ndim < 2:
        return value
    if memory == "transposed":
        return value.transpose(-1, -2).contiguous().transpose(-1, -2)
    if memory == "expanded" and len(value) > 1 and torch.equal(value, value[:1].expand_as(value)):
        return value[:1].clone().expand_as(value)
    *outer, length, width = value.shape
    larger = value.new_full((*outer, length + 1, 2 * width), torch.nan if value.is_floating_point() else 1)
    larger[..., 1:, ::2] = value
    return larger[..., 1:, ::2]


def same_bits(value: Tensor, other: Tensor) -> bool:
    """Return whether two tensors hold the same, NaN and the sign of zero included."""
    bits = _BITS[value.element_size()]
    return value.shape == other.shape and torch.equal(value.detach().view(bits), other.view(bits))
