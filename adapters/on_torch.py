"""Any torch module of the tutorial's shape, its parts found by their names.

    forward(Q, K, V, mask=None) -> (output, attention weights)

or output alone, or ``forward(x)`` for self-attention.  Which arguments a class takes is read off its
signatures; which mask shapes and dtypes, off whether a call with them runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import discovery, trial
from .declared import declared, overridden
from .importing import name_of, source_of, statements
from .on_torch_call import DTYPES, Built, Inputs, Mode, Returned, TorchAdapter, as_float64, seeded
from .on_torch_script import Source, Symbol, module_of, needed, script, stored, taken_apart, written
from .on_torch_stages import watched
from .on_torch_weights import TORCH, tensor, write
from .projections import Orders, Storage, alternatives, as_stored, one_token, reordered, storage
from .protocol import Build, Call, Capability, Conventions, Declaration, Result, SubjectError, Variant
from .returned import in_words
from .storage import Slot
from .trial import Answer, trial_call

IGNORED = ("memory", "lengths")


class ClassAdapter(TorchAdapter):
    """Drives a class, or a function that makes a module."""

    def __init__(self, implementation: Callable[..., Any], subject: str):
        self._implementation = implementation
        self._subject = subject
        self._said = declared(implementation, subject)
        self._constructor = discovery.constructor(implementation, subject)
        self._known: dict[tuple[int, bool], Sequence[Slot]] = {}
        self.mask_true = self._said.get("mask_true", "attend")
        self.padding_true = self._said.get("padding_true", "block")  # as everything named key_padding_mask

    def declare(self) -> Declaration:
        """Find out what the class offers; SubjectError where it cannot be driven."""
        if self._always_causal:
            raise SubjectError(
                f"{self._subject}: is causal in every call; expected attention that sees every key unless "
                "told not to do so.\nGive forward an is_causal=False, or, if it is not so, put headcheck = "
                '{"always_causal": False} into the class.'
            )
        dtypes = tuple(DTYPES) if self._answer.raised else trial.dtypes(self._try, self._call, DTYPES)
        return Declaration(
            framework="torch",
            capabilities=self._capabilities(),
            dtypes=dtypes,
            conventions=self._conventions,
            variants=tuple(
                Variant(
                    name,
                    self_attention=mode.itself,
                    weights=self._answer.has_weights,
                    training=mode.training,
                )
                for name, mode in self.modes.items()
            ),
            versions={"torch": torch.__version__},
            source=source_of(self._implementation),
            found=self._found(),
            notes=self._notes(),
        )

    def make(self, build: Build) -> nn.Module:
        """Call the constructor with the arguments that it has."""
        positional, keywords = self._constructor.arguments(discovery.constructor_values(build))
        module = self._implementation(*positional, **keywords)
        if not isinstance(module, nn.Module):
            raise SubjectError(f"{self._subject}: made {in_words(module)}; expected a torch.nn.Module.")
        return module

    def slots(self, module: nn.Module, build: Build) -> Sequence[Slot]:
        """Return where a module of this build keeps its weights, looked up once for each number of heads."""
        key = build.num_heads, build.bias
        if key not in self._known:
            self._known[key] = reordered(storage(module, build, self._subject, TORCH).slots, self._orders)
        return self._known[key]

    def call(self, module: Built, call: Call) -> Result:
        """Call the module; a mask in a form that it does not take goes in as the first that it does."""
        return super().call(module, self._accepted(call))

    def attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        """Call the module with the arguments that its forward has, and sort what comes back."""
        if not call.stages:
            return self._sorted(module, self._passed(module, call, inputs))
        with watched(module, self._storage.found) as seen:
            returned = self._sorted(module, self._passed(module, call, inputs))
        for name, value in (("weights", returned.weights), ("output", returned.output)):
            if value is not None:
                seen[name] = tuple(value.shape)
        return replace(returned, stages=seen)

    def script(self, call: Call, name: str = "result") -> list[str]:
        """Return plain torch that makes this call."""
        call, mode = self._accepted(call), self.mode(call)
        inputs, where = self.inputs(call, mode), self._answer
        module = self.build(call.build).module
        weights = stored(module, self.slots(module, call.build), call)
        arguments = self._constructor.arguments(discovery.constructor_values(call.build))
        self._implementation(*arguments[0], **arguments[1])  # now a configuration knows what it is asked for
        made = written(name_of(self._subject, self._implementation), *arguments)
        symbols = {name: Symbol(name) for name, value in vars(inputs).items() if value is not None}
        values = self._values(call, symbols, training=call.training or mode.training)
        source = Source(
            [*statements(self._subject, self._implementation), *needed(made)],
            module_of(made, weights, call, mode),
            taken_apart(written("module", *self._forward.arguments(values)), where),
            where.has_weights,
        )
        return script(call, mode, inputs, source)

    def _accepted(self, call: Call) -> Call:
        """Return the call with its mask in a form that the class takes."""
        if call.mask is None or call.mask.form in self._conventions.mask_forms:
            return call
        return replace(call, mask=replace(call.mask, form=self._conventions.mask_forms[0]))

    def _values(self, call: Call, given: Mapping[str, Any], *, training: bool) -> dict[str, Any]:
        """Return the arguments of forward by their roles."""
        values = {**given, "causal": call.causal, "need weights": True, "average": False}
        values |= {"training": training, "deterministic": not training}
        if "mask" in given:
            values["additive"] = given["mask"]
        return values | ({} if call.build.scale is None else {"scale": call.build.scale})

    def _passed(self, module: nn.Module, call: Call, inputs: Inputs) -> Any:
        """Call the module and return whatever comes back."""
        given = {name: value for name, value in vars(inputs).items() if value is not None}
        values = self._values(call, given, training=module.training)
        positional, keywords = self._forward.arguments(values)
        return module(*positional, **keywords)

    def _sorted(self, module: nn.Module, value: Any) -> Returned:
        where = self._answer
        if isinstance(value, Tensor):
            kept = getattr(module, where.kept, None) if where.kept else None
            return Returned(value, kept if isinstance(kept, Tensor) else None)
        if isinstance(value, tuple | list) and len(value) > where.output:
            output = value[where.output]
            weights = (
                value[where.weights] if where.weights is not None and where.weights < len(value) else None
            )
            if isinstance(output, Tensor) and isinstance(weights, Tensor | None):
                return Returned(output, weights)
        return Returned(words=in_words(value))

    @cached_property
    def _trial(self) -> Built:
        """A module of the first size with which one can be built."""
        errors: list[BaseException] = []
        for d_model, num_heads in trial.SIZES:
            build = Build(d_model, num_heads)
            try:
                with seeded(0):
                    return Built(self.make(build), build)
            except SubjectError:
                raise
            except BaseException as error:  # an exit of the constructor's own included
                errors.append(error)
        raise SubjectError(
            f"{self._subject}: {self._constructor.signature} with d_model=8, num_heads=2 raised "
            f"{type(errors[0]).__name__}: {errors[0]}. Expected a module."
        )

    @cached_property
    def _storage(self) -> Storage:
        return storage(self._trial.module, self._trial.build, self._subject, TORCH)

    @cached_property
    def _forward(self) -> discovery.Matched:
        return discovery.forward(type(self._trial.module).forward, self._subject)

    @cached_property
    def _call(self) -> Call:
        return trial_call(self._trial.build, itself="key" not in self._forward)

    @cached_property
    def _answer(self) -> Answer:
        """Make a plain call and look at what comes back."""
        module = self._trial.module.eval()
        try:
            with torch.no_grad():
                value = self._passed(module, self._call, self.inputs(self._call, Mode()))
        except BaseException as error:  # judged where it is met again, with its case and its proof
            return Answer(note=f"a plain call raises {type(error).__name__}: {error}", raised=True)
        return trial.answer(value, self._call, {**vars(module), **module._buffers})

    def _try(self, call: Call) -> Result:
        return TorchAdapter.call(self, self.build(call.build), call)

    @cached_property
    def _conventions(self) -> Conventions:
        additive = "additive" in self._forward
        if self._answer.raised or not (additive or "mask" in self._forward):
            return overridden(Conventions(), self._said)
        return trial.conventions(self._try, self._call, self._said, additive=additive)

    @cached_property
    def _orders(self) -> Orders:
        """How bare and packed arrays are stored: the usual way, unless one token comes out of another."""
        possible, build = dict(self._storage.possible), self._trial.build
        if "stored" in self._said:
            possible = {names: as_stored(orders, self._said["stored"]) for names, orders in possible.items()}
        every = list(alternatives(possible))
        if len(every) == 1 or self._answer.raised:
            return every[0]
        parameters, token, expected = one_token(build)
        call = Call(build, token, token, token)
        for orders in every:
            module = self.make(build).eval()
            write(module, reordered(self._storage.slots, orders), parameters, build)
            with torch.no_grad():
                output = self._sorted(module, self._passed(module, call, self.inputs(call, Mode()))).output
            if (
                output is not None
                and output.shape == token.shape
                and np.allclose(as_float64(output), expected)
            ):
                return orders
        return every[0]

    @cached_property
    def modes(self) -> Mapping[str, Mode]:
        """The paths: eval first, and training with a dropout of zero where the class lets it be set."""
        fixed = any(isinstance(module, nn.Dropout) and module.p for module in self._trial.module.modules())
        return {
            "eval": Mode(),
            **({} if fixed else {"train": Mode(training=True, gradients=True)}),
            "grad": Mode(gradients=True),
            **({"same object": Mode(itself=True)} if "key" in self._forward else {}),
        }

    @property
    def _always_causal(self) -> bool:
        """Whether the class says so: in words, by its name, or by a triangle that it keeps."""
        if "always_causal" in self._said or "causal" in self._forward or "causal" in self._constructor:
            return bool(self._said.get("always_causal"))
        named = "causal" in type(self._trial.module).__name__.lower()
        return named or any(map(_is_triangle, self._trial.module.buffers()))

    def _capabilities(self) -> frozenset[Capability]:
        constructor, forward = self._constructor, self._forward
        biases = {name for slot in self._storage.slots for name in slot.names if name.startswith("b")}
        offered: dict[Capability, bool] = {
            "parameters": True,
            "read": True,
            "gradients": True,
            "cost": True,
            "weights": self._answer.has_weights,
            "cross": "key" in forward,
            "mask": "mask" in forward or "additive" in forward,
            "padding": "padding" in forward,
            "causal": "causal" in forward,
            "scale": "scale" in forward or "scale" in constructor,
            "bias": len(biases) == 4,
            "dropout": "dropout" in constructor,
            "indivisible": "d_model" in constructor and "d_k" not in constructor,
        }
        return frozenset(capability for capability, there in offered.items() if there)

    def _found(self) -> dict[str, str]:
        stored = {name: str(slot) for slot in self._storage.slots for name in slot.names}
        weights = f"self.{self._answer.kept}" if self._answer.kept else str(self._answer.weights)
        return {
            **self._constructor.found("constructor"),
            **self._forward.found("forward"),
            **{
                role: f"{path} ({stored[role]})"
                for role, path in self._storage.found.items()
                if role in stored
            },
            **{f"stage {stage}": name for stage, name in discovery.stages(type(self._trial.module)).items()},
            "returned weights": weights if self._answer.has_weights else "none",
        }

    def _notes(self) -> tuple[str, ...]:
        held = {id(tensor(self._trial.module, slot.path)) for slot in self._storage.slots}
        others = [name for name, p in self._trial.module.named_parameters() if id(p) not in held]
        notes = [self._answer.note]
        if others:
            notes.append(
                f"parameters that are no projection stay as they are initialised: {', '.join(others)}"
            )
        notes += [
            f"the argument {self._forward.names[r][0]} is not used" for r in IGNORED if r in self._forward
        ]
        return tuple(note for note in notes if note)


def _is_triangle(buffer: Tensor) -> bool:
    if buffer.ndim < 2 or buffer.shape[-1] != buffer.shape[-2] or buffer.shape[-1] < 2:
        return False
    whole = buffer.float().nan_to_num()
    return any(torch.equal(whole, half) for half in (whole.tril(), whole.triu())) and bool(whole.any())
