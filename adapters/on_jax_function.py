"""A JAX implementation driven as one pure function: jitted once, differentiated, in every dtype.

Tracing and compiling for a new shape costs a thousand warm calls.  So whatever a call depends on is
either an array, weights and mask included, or part of its `Path`, which is hashable and knows no object
identity: two modules built alike share what was compiled.  JAX arrays cannot be written to and have no
strides, so no argument is ever changed and ``Call.memory`` makes no difference.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from headcheck.reference.parameters import Parameters

from .counting_jax import apart, count
from .on_jax_compiled import Compiled
from .on_jax_masks import handed_over, one_page_an_example
from .on_jax_script import Source, script
from .protocol import Adapter, Build, Call, DType, Result, Variant

Arrays = Mapping[str, Any]
"""Arrays by name: of JAX, of NumPy, or the tracers that stand for them."""

DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(getattr(jnp, name)) for name in ("float64", "float32", "bfloat16", "float16")
}


@dataclass(frozen=True)
class Path:
    """All that a call depends on besides arrays: the key under which it is compiled."""

    build: Build  # its seed taken out, because it decides arrays only
    variant: Variant
    causal: bool = False
    training: bool = False
    module: Any = field(default=None, compare=False)  # any module of this build stands for all


@dataclass(frozen=True, eq=False)
class Holder:
    """A module of a functional framework: a configuration and its weights, kept side by side."""

    build: Build
    parameters: Parameters | None = None  # None: not initialised yet


def precision_of(dtype: DType) -> AbstractContextManager[Any]:
    """Return the context in which `dtype` exists; JAX knows no float64 unless told."""
    home: Any = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
    context: AbstractContextManager[Any] = home.enable_x64(dtype == "float64")
    return context


def versions_of(*distributions: str) -> dict[str, str]:
    """Return the installed versions of these distributions."""
    return {name: version(name) for name in distributions}


class JaxAdapter(Adapter):
    """Drives an implementation that is a function of its weights and its inputs."""

    one_memory = False  # one array is key and value

    def __init__(self) -> None:
        self._jitted = Compiled(self.compute)
        self._optimised = Compiled(self.compute, quick=False)

    @abstractmethod
    def forward(self, path: Path, parameters: Arrays, inputs: Arrays) -> tuple[Any, Any]:
        """Return output and attention weights, or None for weights that this path does not return.

        ``parameters`` are the fields of `Parameters` that exist.  ``inputs`` holds "query", "key",
        "value", and, where the call has them, "mask" or "additive" (a mask in that form), "padding", and
        the "seed" of the dropout.
        """

    @cached_property
    def variants(self) -> Mapping[str, Variant]:
        """The paths declared, by name; the empty name is the first's."""
        declaration = self.declare()
        return {"": declaration.primary} | {variant.name: variant for variant in declaration.variants}

    def path(self, module: Any, call: Call) -> Path:
        """Return what this call depends on besides arrays."""
        return Path(
            replace(call.build, seed=0), self.variants[call.variant], call.causal, call.training, module
        )

    def runs_eagerly(self, path: Path) -> bool:
        """Return whether this path compiles every operation for itself."""
        return path.variant.name == "eager"

    def weights_of(self, module: Any) -> Parameters:
        """Return the weights that a module is called with."""
        return self.read(module)

    def spoken(self, call: Call) -> Call:
        """Return the call with its masks as the implementation reads them."""
        return call

    def inputs(self, module: Any, call: Call) -> dict[str, Any]:
        """Return the arguments of the call in its dtype."""
        return inputs_of(self.spoken(call))

    def compute(
        self, path: Path, parameters: Arrays, inputs: Arrays, cotangent: Any = None
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Return output, attention weights, and the gradients where a cotangent is given."""
        apart = ("query", "key") if self.one_memory else ("query", "key", "value")
        roles = ("query",) if path.variant.self_attention else apart
        others = {name: array for name, array in inputs.items() if name not in ("query", "key", "value")}

        def forward(parameters: Arrays, sequences: Arrays) -> tuple[Any, Any]:
            key = sequences.get("key", sequences["query"])
            everything = {"key": key, "value": key, **sequences, **others}
            if path.variant.name == "vmap":
                return over_batch(partial(self.forward, path, parameters), everything)
            return self.forward(path, parameters, everything)

        sequences = {role: inputs[role] for role in roles}
        if cotangent is None:
            return (*forward(parameters, sequences), {})
        output, pullback, weights = jax.vjp(forward, parameters, sequences, has_aux=True)
        by_parameter, by_sequence = pullback(cotangent.astype(output.dtype))
        return output, weights, {**by_parameter, **by_sequence}

    def call(self, module: Any, call: Call) -> Result:
        """Call the implementation, jitted unless the variant is eager."""
        path = self.path(module, call)
        with precision_of(call.build.dtype):
            arguments = self.arguments(module, call)
            with self.subject():
                if self.runs_eagerly(path):
                    results = self.compute(path, *jax.tree.map(jnp.asarray, arguments))
                else:
                    compiled = self._optimised if path.variant.name == "optimised" else self._jitted
                    results = compiled(path, *arguments)
                output, weights, gradients = jax.block_until_ready(results)  # type: ignore[no-untyped-call]
            return Result(
                output=as_float64(output),
                weights=None if weights is None else as_float64(weights),
                dtype=str(output.dtype),
                gradients={name: as_float64(gradient) for name, gradient in gradients.items()},
            )

    def count(self, module: Any, call: Call) -> Mapping[str, int]:
        """Return the operations of one call, those of its gradients apart; it is traced and not run."""
        compute = partial(self._optimised, self.path(module, call))  # its traces are kept
        with precision_of(call.build.dtype):
            parameters, inputs, cotangent = self.arguments(module, call)
            counted = count(compute, parameters, inputs)
            if cotangent is not None:
                counted = apart(counted, count(compute, parameters, inputs, cotangent))
        return counted.to_mapping()

    @abstractmethod
    def source(self, call: Call, variant: Variant) -> Source:
        """Return what a script of this call needs besides its arrays."""

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain JAX that makes this call, and ends with what is asked for."""
        variant = self.variants[call.variant]
        if call.parameters is None and not self.scripts_own_weights(call):
            call = replace(call, parameters=self.read(self.build(call.build)))
        call = self.spoken(call)
        return script(call, variant, self.source(call, variant), of)

    def scripts_own_weights(self, call: Call) -> bool:
        """Return whether a script need not be given the weights of a call that names none."""
        return False

    def arguments(self, module: Any, call: Call) -> tuple[Any, Any, Any]:
        """Return weights, inputs and cotangent in the dtype of the call."""
        dtype = DTYPES[call.build.dtype]
        parameters = {name: array.astype(dtype) for name, array in self.weights_of(module).items()}
        cotangent = None if call.cotangent is None else call.cotangent.astype(dtype)
        return parameters, self.inputs(module, call), cotangent


class FunctionalAdapter(JaxAdapter):
    """Drives an implementation whose weights live outside it, so that a module is a `Holder`."""

    def __init__(self) -> None:
        super().__init__()
        self._initialise = Compiled(self.initialise, kept=2)  # large, for a generator is unrolled in each

    @abstractmethod
    def initialise(self, build: Build, seed: Any) -> dict[str, Any]:
        """Return initial weights by their names in `Parameters`; ``seed`` may be a tracer."""

    def build(self, build: Build) -> Holder:
        """Return a module whose weights are initialised when they are first asked for."""
        return Holder(build)

    def write(self, module: Holder, parameters: Parameters) -> Holder:
        """Return the module with these weights."""
        return replace(module, parameters=parameters)

    def read(self, module: Holder) -> Parameters:
        """Return the weights, initial ones from the seed where none were written."""
        if module.parameters is not None:
            return module.parameters
        build = module.build
        with precision_of(build.dtype):
            arrays = self._initialise(replace(build, seed=0), np.uint32(build.seed))
            return Parameters(**{name: as_float64(array) for name, array in arrays.items()})

    def sizes(self, module: Holder) -> Mapping[str, int]:
        """Return how many numbers each of the initial weights is, which compiles nothing."""
        with precision_of(module.build.dtype):
            arrays = jax.eval_shape(partial(self.initialise, module.build), np.uint32(0))
            return {name: array.size for name, array in arrays.items()}


def inputs_of(call: Call) -> dict[str, Any]:
    """Return the arguments of a call in its dtype."""
    dtype = DTYPES[call.build.dtype]
    given: dict[str, Any] = {name: getattr(call, name).astype(dtype) for name in ("query", "key", "value")}
    if call.mask is not None:
        given["additive" if call.mask.additive else "mask"] = handed_over(call.mask, dtype)
    if call.padding is not None:
        given["padding"] = call.padding
    if call.training:
        given["seed"] = np.uint32(call.seed)
    return given


def over_batch(forward: Callable[[Arrays], tuple[Any, Any]], inputs: Arrays) -> tuple[Any, Any]:
    """Call `forward` on one example at a time, through jax.vmap."""
    mapped = {name: name in ("query", "key", "value", "padding") for name in inputs}
    for name in ("mask", "additive"):
        mapped[name] = one_page_an_example(inputs.get(name), inputs["query"].shape[0])
    examples = {name: array[:, None] if mapped[name] else array for name, array in inputs.items()}
    axes = {name: 0 if mapped[name] else None for name in inputs}
    output, weights = jax.vmap(forward, in_axes=(axes,))(examples)
    return output[:, 0], None if weights is None else weights[:, 0]


def as_float64(array: Any) -> np.ndarray:
    """Return any JAX array as NumPy float64, which every dtype under test fits into."""
    return np.asarray(array, dtype=np.float64)
