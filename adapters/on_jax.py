"""Any JAX class of the tutorial's shape: parts found by their names, weights passed as arrays.

    module = Attention(d_model, num_heads)            # perhaps key= or rngs=
    output, weights = module.forward(Q, K, V, mask)   # or module(Q, K, V, mask)

with the matrices W_q, W_k, W_v and W_o, stored (in, out), and perhaps biases b_q .. b_o, as attributes.
The class is driven as a function: a copy of the object holds the arrays, or tracers, of the call.  Only
the eager path calls the object itself, where what it remembers from call to call can show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from headcheck.reference.parameters import Parameters

from . import discovery, sequences
from .declared import declared
from .importing import source_of
from .on_jax_function import DTYPES, Arrays, JaxAdapter, Path, precision_of, versions_of
from .on_jax_leaves import leaves
from .on_jax_linen import Bound, is_nnx
from .on_jax_masks import spoken
from .on_jax_method import BARE, Method, Unreadable
from .on_jax_object_script import object_alone, object_source
from .on_jax_objects import Objects
from .on_jax_script import Source, script
from .on_jax_stages import watched
from .protocol import Build, Call, Capability, Declaration, Result, Variant
from .scripting import watching


@dataclass(eq=False)
class Module:
    """One module of a session; the object is made when something needs the object itself."""

    build: Build
    parameters: Parameters | None = None
    held: Any = None


class ClassAdapter(JaxAdapter):
    """Drives a class of the tutorial's shape, or a function that makes an object of one.

    SubjectError where its parts are not recognised; the message names them.
    """

    def __init__(self, implementation: Callable[..., Any], subject: str):
        super().__init__()
        self._said = declared(implementation, subject)
        self._objects = Objects(implementation, subject, self._said)

    @property
    def one_memory(self) -> bool:  # type: ignore[override]
        """Whether one array is key and value."""
        return self._method.memory

    @cached_property
    def _method(self) -> Method:
        method = Method(self._objects, self._said)
        if discovery.masks_padding(method.matched):
            self._said.setdefault("mask_true", self._said.get("padding_true", "block"))
        self._objects.orders = method.orders()
        return method

    def declare(self) -> Declaration:
        """Return what the class offers, by its parameters and by tracing calls of it."""
        objects, method = self._objects, self._method
        slots = objects.places(objects.size).slots
        held = {name: f"{slot.path} ({slot})" for slot in slots for name in slot.names}
        untraceable = method.untraceable
        causal = "is causal in every call, and judged as that" if method.always_causal else ""
        notes = [
            method.answer.note,
            causal,
            discovery.never_given(method.matched, memory=method.memory),
            sequences.unread(method.matched.names["memory"][0]) if method.memory_is == "ignored" else "",
            untraceable and f"runs eagerly, for it cannot be jitted: {untraceable}",
        ]
        return Declaration(
            longest=discovery.LONGEST if "length" in self._objects.constructor else 0,
            framework="jax",
            compiles=True,
            capabilities=self._capabilities(),
            dtypes=method.dtypes,
            conventions=method.conventions,
            variants=self._paths(),
            versions=versions_of("jax", "jaxlib"),
            source=source_of(objects.implementation),
            found=objects.constructor.found("constructor") | method.matched.found(method.name) | held,
            notes=tuple(note for note in notes if note),
            always_causal=method.always_causal,
        )

    def _capabilities(self) -> frozenset[Capability]:
        constructor, method, untraceable = self._objects.constructor, self._method, self._method.untraceable
        forward = method.matched
        switch = any(role in forward for role in ("dropout key", "rngs", "training", "deterministic"))
        switch = switch or is_nnx(self._objects.trial)  # has train() and eval()
        offered: dict[Capability, bool] = {
            "parameters": True,
            "read": True,
            "weights": method.answer.has_weights,
            "cross": "key" in forward and not method.always_causal,
            "memory": method.memory,
            "mask": "mask" in forward or "additive" in forward,
            "padding": "padding" in forward,
            "causal": "causal" in forward or method.always_causal,
            "scale": "scale" in forward or "scale" in constructor,
            "bias": {"b_q", "b_k", "b_v", "b_o"} <= self._objects.places(self._objects.size).parameters,
            "gradients": not untraceable,
            "dropout": "dropout" in constructor and switch,
            "indivisible": "d_model" in constructor and "d_k" not in constructor,
            "cost": not untraceable,
        }
        return frozenset(capability for capability, there in offered.items() if there)

    def _paths(self) -> tuple[Variant, ...]:
        method = self._method
        alone = method.alone  # self-attention: the one argument plays all three roles
        path = partial(Variant, self_attention=alone, weights=method.answer.has_weights)
        if method.untraceable:
            return (path("eager", eager=True),)
        # Where a mask is a page for each example in fewer axes than four, the batch cannot be told from it.
        shapes = (shape.split() for shape in method.conventions.mask_shapes)
        paged = all(len(axes) == 4 for axes in shapes if "B" in axes)
        asked = method.answer.has_weights and "need weights" in method.matched
        return (
            path("jit"),
            *([] if alone else [path("same object", self_attention=True)]),
            path("eager", eager=True),
            path("optimised", eager=True),
            *([] if method.single else [path("vmap", masks=paged, eager=True)]),
            *([path(BARE, weights=False, eager=True)] if asked else []),
        )

    def build(self, build: Build) -> Module:
        """Return a module; a constructor that refuses these arguments does so here."""
        with self.subject():
            self._objects.template(replace(build, seed=0))
        return Module(build)

    def write(self, module: Module, parameters: Parameters) -> Module:
        """Return a module that holds these weights."""
        return Module(module.build, parameters)

    def read(self, module: Module) -> Parameters:
        """Return the weights that the object itself holds."""
        return self._objects.places(module.build).taken(leaves(self._held(module)))

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
                module.held = objects.filled(own, build, arrays)
        return module.held

    def spoken(self, call: Call) -> Call:
        """Return the call with its masks as the class reads them, in a form that it takes."""
        forms = self._method.conventions.mask_forms
        if call.mask is not None and call.mask.form not in forms:
            call = replace(call, mask=replace(call.mask, form=forms[0]))
        return spoken(call, self._said)

    def inputs(self, module: Module, call: Call) -> dict[str, Any]:
        """Return the arguments of the call, and what the object holds besides weights."""
        objects, given = self._objects, super().inputs(module, call)
        if objects.stateful:
            state = objects.state(self._held(module), module.build)
            given["state"] = drawn_anew(state, call.seed) if call.training else state
        return given

    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Call the object itself where nothing is traced, and otherwise a copy that holds the tracers."""
        if self.runs_eagerly(path) and not isinstance(parameters["W_q"], jax.core.Tracer):
            return self._method(self._held(path.module), path, inputs)
        build, state = path.build, inputs.get("state")
        own = self._objects.filled(self._objects.template(build), build, parameters, state)
        return self._method(own, path, inputs)

    def call(self, module: Module, call: Call) -> Result:
        """Call the class on one path; with the shapes of its stages, where they are asked for."""
        try:
            result = super().call(module, call)
        except Unreadable as error:
            return Result(output=None, returned=str(error))
        return replace(result, stages=self._stages(module, call, result)) if call.stages else result

    def _stages(self, module: Module, call: Call, result: Result) -> dict[str, tuple[int, ...]]:
        """Trace the call once more, with the methods watched that make intermediate results."""
        seen: dict[str, tuple[int, ...]] = {}
        if not self._method.untraceable:
            path = self.path(module, call)
            with precision_of(call.build.dtype):
                parameters, inputs, _ = self.arguments(module, call)
                build, state = path.build, inputs.get("state")

                def look(given: dict[str, Any]) -> None:
                    # Filled in here, for an object of another trace may not write to what it holds.
                    own = self._objects.filled(self._objects.template(build), build, parameters, state)
                    watch = watched(own, discovery.stages(type(own)))
                    self._method(own, path, given)
                    seen.update(watch)

                jax.eval_shape(look, inputs)
        ends = {"output": result.output, "weights": result.weights}
        return seen | {name: array.shape for name, array in ends.items() if array is not None}

    def source(self, call: Call, variant: Variant) -> Source:
        """Return plain JAX that makes this call."""
        return object_source(self._objects, self._method, call, variant)

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain JAX that makes this call, and ends with what is asked for."""
        if of in {"module", "parameters"}:
            return object_alone(self._objects, call, of)
        if not of.startswith("stage "):
            return super().script(call, of)
        call, variant = self.spoken(call), self.variants[call.variant]
        source = self.source(call, variant)
        methods = discovery.stages(type(self._objects.trial))
        watched_ = watching(of.removeprefix("stage "), methods, frozen=self._objects.frozen)
        return script(call, variant, replace(source, setup=[*source.setup, *watched_]), of)

    def scripts_own_weights(self, call: Call) -> bool:
        """Return whether the object itself brings its own, as all but linen modules do."""
        return not isinstance(self._objects.trial, Bound)


def drawn_anew(state: Mapping[Any, Any], seed: int) -> dict[Any, Any]:
    """Return what an object holds, with this seed in each of its random keys: another draw for each call."""
    return {
        name: jax.random.fold_in(leaf, seed) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for name, leaf in state.items()
    }
