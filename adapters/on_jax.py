"""Any JAX class of the tutorial's shape: parts found by their names, weights passed as arrays.

    module = Attention(d_model, num_heads)            # perhaps key= or rngs=
    output, weights = module.forward(Q, K, V, mask)   # or module(Q, K, V, mask)

with the matrices W_q, W_k, W_v and W_o, stored (in, out), and perhaps biases b_q .. b_o, as attributes.
The class is driven as a function: a copy of the object holds the arrays, or tracers, of the call.  Only
the eager path calls the object itself, where what it remembers from call to call can show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from headcheck.reference.parameters import Parameters

from . import discovery
from .on_jax_function import DTYPES, Arrays, JaxAdapter, Path, place, precision_of, versions_of
from .on_jax_leaves import leaves
from .on_jax_object_script import object_source
from .on_jax_objects import TRIAL, UNTRACEABLE, Objects
from .on_jax_returns import Unreadable, shapes, unpacked
from .on_jax_script import Source
from .on_jax_slots import taken
from .protocol import Build, Call, Capability, Conventions, Declaration, Result, Variant


@dataclass(eq=False)
class Module:
    """One module of a session; the object is made when something needs the object itself."""

    build: Build
    parameters: Parameters | None = None
    held: Any = None


@dataclass(frozen=True)
class Answer:
    """What a trial call gave."""

    weights: bool = True
    untraceable: str = ""  # JAX's error where the class cannot be jitted


class ClassAdapter(JaxAdapter):
    """Drives a class of the tutorial's shape.

    SubjectError where its parts are not recognised, which the message names.
    """

    def __init__(self, implementation: Callable[..., Any], subject: str):
        super().__init__()
        self._objects = Objects(implementation, subject)

    @cached_property
    def _method(self) -> str:
        return "forward" if hasattr(self._objects.trial, "forward") else "__call__"

    @cached_property
    def _forward(self) -> discovery.Matched:
        return discovery.forward(getattr(type(self._objects.trial), self._method), self._objects.subject)

    @cached_property
    def _answer(self) -> Answer:
        """Trace one call, so that nothing is computed."""
        rows = np.zeros((2, 3, TRIAL.d_model), np.float32)
        inputs = {"query": rows, "key": rows, "value": rows}
        if "mask" in self._forward:
            inputs["mask"] = np.ones((3, 3), bool)
        path, own = Path(TRIAL, Variant("trial")), self._objects.trial
        try:
            with precision_of(TRIAL.dtype):
                _, weights = jax.eval_shape(lambda given: self._attend(own, path, given), inputs)
        except UNTRACEABLE as error:
            return Answer(untraceable=f"{type(error).__name__}: {str(error).splitlines()[0]}")
        except Exception:  # judged where it is met, with its case and its proof
            return Answer()
        return Answer(weights=weights is not None)

    def declare(self) -> Declaration:
        """Return what the class offers, by its parameters and by tracing one call."""
        held = {name: ".".join(slot.names) for name, slot in self._objects.slots.items()}
        matched = self._objects.constructor.found("constructor") | self._forward.found(self._method)
        untraceable = self._answer.untraceable
        return Declaration(
            framework="jax",
            capabilities=self._capabilities(),
            dtypes=("float64", "float32", "bfloat16", "float16"),
            conventions=Conventions(
                mask_forms=("bool", "int", "float", *(("additive",) if "additive" in self._forward else ()))
            ),
            variants=self._paths(),
            versions=versions_of("jax", "jaxlib"),
            source=place(self._objects.implementation),
            found=matched | held,
            notes=(f"runs eagerly, because it cannot be jitted: {untraceable}",) if untraceable else (),
        )

    def _capabilities(self) -> frozenset[Capability]:
        constructor, forward, answer = self._objects.constructor, self._forward, self._answer
        switch = any(role in forward for role in ("dropout key", "rngs", "training", "deterministic"))
        offered: dict[Capability, bool] = {
            "parameters": True,
            "read": True,
            "weights": answer.weights,
            "cross": "key" in forward,
            "mask": "mask" in forward,
            "padding": "padding" in forward,
            "causal": "causal" in forward,
            "scale": "scale" in forward or "scale" in constructor,
            "bias": "b_q" in self._objects.slots,
            "gradients": not answer.untraceable,
            "dropout": "dropout" in constructor and switch,
            "indivisible": "num_heads" in constructor or "config" in constructor,
            "cost": not answer.untraceable,
        }
        return frozenset(capability for capability, there in offered.items() if there)

    def _paths(self) -> tuple[Variant, ...]:
        weights = self._answer.weights
        eager = Variant("eager", weights=weights, eager=True)
        if self._answer.untraceable:
            return (eager,)
        same = Variant("same object", weights=weights, self_attention=True)
        return (
            Variant("jit", weights=weights),
            *([same] if "key" in self._forward else []),
            eager,
            Variant("vmap", weights=weights, eager=True),
        )

    def build(self, build: Build) -> Module:
        """Return a module; a constructor that refuses these arguments does so here."""
        self._objects.template(replace(build, seed=0))
        return Module(build)

    def write(self, module: Module, parameters: Parameters) -> Module:
        """Return a module that holds these weights."""
        return Module(module.build, parameters)

    def read(self, module: Module) -> Parameters:
        """Return the weights that the object itself holds."""
        return taken(leaves(self._held(module)), self._objects.slots)

    def weights_of(self, module: Module) -> Parameters:
        """Return the weights of a call: those written, without a detour through an object."""
        return self.read(module) if module.parameters is None else module.parameters

    def _held(self, module: Module) -> Any:
        if module.held is not None:
            return module.held
        build, objects = module.build, self._objects
        if module.parameters is None:
            module.held = objects.construct(build)
        else:
            own = objects.construct(build) if objects.stateful else objects.template(replace(build, seed=0))
            with precision_of(build.dtype):
                dtype = DTYPES[build.dtype]
                arrays = {name: jnp.asarray(array, dtype) for name, array in module.parameters.items()}
                module.held = objects.filled(own, arrays)
        return module.held

    def inputs(self, module: Module, call: Call) -> dict[str, Any]:
        """Return the arguments of the call, and what the object holds besides weights."""
        objects = self._objects
        state = {"state": objects.state(self._held(module))} if objects.stateful else {}
        return super().inputs(module, call) | state

    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Call the object itself where nothing is traced, and otherwise a copy that holds the tracers."""
        if path.variant.eager and not isinstance(parameters["W_q"], jax.core.Tracer):
            return self._attend(self._held(path.module), path, inputs)
        own = self._objects.filled(self._objects.template(path.build), parameters, inputs.get("state"))
        return self._attend(own, path, inputs)

    def _attend(self, own: Any, path: Path, inputs: Arrays) -> tuple[Any, Any]:
        """Call an object with whatever of the inputs its method has parameters for."""
        values: dict[str, Any] = {
            "memory": inputs["key"],
            "causal": path.causal,
            "need weights": True,
            "average": False,
            "training": path.training,
            "deterministic": not path.training,
        }
        given = {
            role: inputs[role] for role in ("query", "key", "value", "mask", "padding") if role in inputs
        }
        if "additive" in inputs:
            given["additive" if "additive" in self._forward else "mask"] = inputs["additive"]
        if path.build.scale is not None:
            given["scale"] = path.build.scale
        if path.training:
            given["dropout key"] = jax.random.key(inputs["seed"])
            if "rngs" in self._forward:
                given["rngs"] = import_module("flax.nnx").Rngs(dropout=given["dropout key"])
        arguments, keywords = self._forward.arguments(values | given)
        return unpacked(getattr(own, self._method)(*arguments, **keywords))

    def call(self, module: Module, call: Call) -> Result:
        """Call the class on one path; with the shapes of its stages, where they are asked for."""
        try:
            result = super().call(module, call)
        except Unreadable as error:
            return Result(output=None, returned=str(error))
        return replace(result, stages=self._stages(module, call, result)) if call.stages else result

    def _stages(self, module: Module, call: Call, result: Result) -> dict[str, tuple[int, ...]]:
        """Trace the call once more, with the methods that make intermediate results watched."""
        seen = {} if self._answer.untraceable else self._watched(module, call)
        ends = {"output": result.output, "weights": result.weights}
        return seen | {name: array.shape for name, array in ends.items() if array is not None}

    def _watched(self, module: Module, call: Call) -> dict[str, tuple[int, ...]]:
        path = self.path(module, call)
        with precision_of(call.build.dtype):
            parameters, inputs, _ = self.arguments(module, call)
            own = self._objects.filled(self._objects.template(path.build), parameters, inputs.get("state"))
            watch = shapes(own, discovery.stages(type(own)))
            jax.eval_shape(lambda given: self._attend(own, path, given), inputs)
        return watch

    def source(self, call: Call, variant: Variant) -> Source:
        """Return plain JAX that makes this call."""
        return object_source(self._objects, self._forward, self._method, call, variant)
