"""Any torch module of the tutorial's shape, its parts found by their names.

    forward(Q, K, V, mask=None) -> (output, attention weights)

or output alone, or ``forward(x)`` for self-attention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from headcheck.reference.parameters import Parameters
from torch import Tensor, nn

from . import discovery
from . import on_torch_weights as weights
from .by_names import PADDING_TRUE, ByNames
from .importing import source_of
from .on_torch_call import DTYPES, Built, Inputs, Mode, Returned, TorchAdapter, as_float64, seeded
from .on_torch_class_script import script
from .on_torch_stages import watched
from .protocol import Build, Call, Declaration, Result, SubjectError, Variant
from .returned import in_words
from .storage import Slot


class ClassAdapter(ByNames, TorchAdapter):
    """Drives a class, or a function that makes a module."""

    kind = weights.TORCH

    def __init__(self, implementation: Callable[..., Any], subject: str):
        super().__init__(implementation, subject)
        self.padding_true = self.said.get("padding_true", PADDING_TRUE)

    def declare(self) -> Declaration:
        """Find out what the class offers; SubjectError where it cannot be driven."""
        return Declaration(
            longest=discovery.LONGEST if self.takes("length") else 0,
            framework="torch",
            capabilities=self.capabilities(gradients=True, cost=True, dropout=self.takes("dropout")),
            dtypes=self.dtypes(tuple(DTYPES)),
            conventions=self.conventions,
            variants=tuple(
                Variant(name, mode.itself, self.answer.has_weights and mode.weights, training=mode.training)
                for name, mode in self.modes.items()
            ),
            versions={"torch": torch.__version__},
            source=source_of(self.implementation),
            found=self.found(),
            notes=(*self.notes(), *self._strangers()),
            always_causal=self.always_causal,
        )

    @cached_property
    def modes(self) -> Mapping[str, Mode]:
        """The paths: eval first, and training with a dropout of zero where the class lets it be set."""
        fixed = any(isinstance(module, nn.Dropout) and module.p for module in self.trial_module.modules())
        plain = Mode(itself=self.alone, shared=self.memory)
        modes = {
            "eval": plain,
            **({} if fixed else {"train": replace(plain, training=True, gradients=True)}),
            "grad": replace(plain, gradients=True),
            **({} if self.alone else {"same object": Mode(itself=True)}),
        }
        asked = self.answer.has_weights and "need weights" in self.forward
        bare = {f"{name}, no weights": replace(mode, weights=False) for name, mode in modes.items()}
        return {**modes, **bare} if asked else modes

    def make(self, build: Build) -> nn.Module:
        """Call the constructor with the arguments that it has."""
        module = self.constructed(build)
        if not isinstance(module, nn.Module):
            raise SubjectError(f"{self.subject_name}: made {in_words(module)}; expected a torch.nn.Module.")
        if any(map(nn.parameter.is_lazy, module.parameters())):
            self._materialise(module, build)
        return weights.unparametrised(module)

    def _materialise(self, module: nn.Module, build: Build) -> None:
        """Call a module whose lazy layers take their sizes from the first call."""
        matched = discovery.forward(self.function(module), self.subject_name, type(module))
        token = torch.zeros(1, 1, max(build.d_model, 1))
        positional, keywords = matched.arguments(dict.fromkeys(("query", "key", "value", "memory"), token))
        with torch.no_grad():
            module(*positional, **keywords)

    def call(self, module: Built, call: Call) -> Result:
        """Call the module on the variant named by the call."""
        return super().call(module, self.accepted(call))

    def count(self, module: Built, call: Call) -> Mapping[str, int]:
        """Return the operations of one call, and those of its gradients where a cotangent is given."""
        return super().count(module, self.accepted(call))

    def attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        """Call the module with the arguments that its forward has, and sort what comes back."""
        if not mode.weights:
            return replace(
                self._sorted(module, self._passed(module, call, inputs, weights=False)), weights=None
            )
        if not call.stages:
            return self._sorted(module, self._passed(module, call, inputs))
        with watched(module, self.storage.found) as seen:
            returned = self._sorted(module, self._passed(module, call, inputs))
        made = {"weights": returned.weights, "output": returned.output}
        shapes = {name: tuple(value.shape) for name, value in made.items() if value is not None}
        inner = seen if self.layout == "batch first" else {}
        return replace(returned, stages=inner | shapes)

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain torch that makes this call, and ends with what is asked for."""
        return script(self, self.accepted(call), of)

    def function(self, module: nn.Module) -> Callable[..., Any]:
        """Return forward."""
        function: Callable[..., Any] = type(module).forward
        if function is nn.Module.forward:
            raise SubjectError(f"{self.subject_name}: has no forward; expected forward(Q, K, V, mask=None).")
        return function

    def plain(self, module: nn.Module, call: Call) -> Any:
        """Return whatever forward gives in eval mode, without gradients."""
        with seeded(0), torch.no_grad():
            mode = Mode(itself=call.query is call.key and "key" not in self.forward)
            return self._passed(module.eval(), call, self.inputs(call, mode))

    def plainly(self, call: Call) -> Result:
        """Return a call's result on a fresh module, its mask handed over as it is."""
        return TorchAdapter.call(self, self.build(call.build), call)

    def holds_triangle(self, module: nn.Module) -> bool:
        """Return whether a buffer is triangular."""
        return any(map(_is_triangle, module.buffers()))

    def put(self, module: nn.Module, slots: Sequence[Slot], parameters: Parameters, build: Build) -> None:
        """Put the weights in."""
        weights.write(module, slots, parameters, build)

    def numbers(self, value: Any) -> np.ndarray | None:
        """Return a tensor as float64."""
        return as_float64(value) if isinstance(value, Tensor) else None

    def _passed(self, module: nn.Module, call: Call, inputs: Inputs, *, weights: bool = True) -> Any:
        given = {name: value for name, value in vars(inputs).items() if value is not None}
        positional, keywords = self.arguments(call, given, training=module.training, weights=weights)
        return module(*positional, **keywords)

    def _sorted(self, module: nn.Module, value: Any) -> Returned:
        results = self.results(module, value)
        return Returned(words=in_words(value)) if results is None else Returned(*results)

    def _strangers(self) -> list[str]:
        """Return a note on parameters that belong to no projection."""
        held = {id(weights.tensor(self.trial_module, slot.path)) for slot in self.storage.slots}
        others = [name for name, value in self.trial_module.named_parameters() if id(value) not in held]
        return [f"parameters of no projection, left as they are: {', '.join(others)}"] if others else []


def _is_triangle(buffer: Tensor) -> bool:
    if buffer.ndim < 2 or buffer.shape[-1] != buffer.shape[-2] or buffer.shape[-1] < 2:
        return False
    whole = buffer.float().nan_to_num()
    return any(torch.equal(whole, half) for half in (whole.tril(), whole.triu())) and bool(whole.any())
