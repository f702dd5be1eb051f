"""The objects of one JAX class: how they are made, where they keep weights, and copies that hold others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from . import discovery
from .advice import unbuilt
from .configurations import class_of
from .on_jax_function import DTYPES, Arrays, precision_of
from .on_jax_leaves import Names, leaves, sketched, with_leaves
from .on_jax_linen import Bound, is_linen
from .on_jax_slots import Places, places
from .projections import Orders
from .protocol import Build, SubjectError
from .trial import SIZES

UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.UnexpectedTracerError,
)


class Objects:
    """Makes the objects of one class.

    SubjectError where the constructor's parameters or the attributes for the weights are not recognised.
    """

    def __init__(self, implementation: Callable[..., Any], subject: str, said: Mapping[str, Any]):
        self.implementation = implementation
        self.subject = subject
        self.constructor = discovery.constructor(implementation, subject)
        self._configuration = class_of(implementation, self.constructor.names)
        self.orders: Orders = {}  # of the axes of stored arrays, where their names and shapes leave that open
        self._places: dict[tuple[int, int, bool], Places] = {}
        self._templates: dict[Build, Any] = {}

    @cached_property
    def size(self) -> Build:
        """The first build of modest size that the constructor takes."""
        refused: list[BaseException] = []
        for d_model, num_heads in SIZES:
            try:
                self.template(Build(d_model, num_heads))
            except SubjectError:
                raise
            except BaseException as error:  # an exit of the constructor's own included
                refused.append(error)
            else:
                return Build(d_model, num_heads)
        raise unbuilt(self.subject, self.constructor.signature, SIZES, refused[0])

    @property
    def trial(self) -> Any:
        """An object to be looked at and not to be called."""
        return self.template(self.size)

    def places(self, build: Build) -> Places:
        """Return where an object of this build keeps each parameter."""
        key = build.d_model, build.num_heads, build.bias
        if key not in self._places:
            self._places[key] = places(self.template(build), build, self.subject)
        return self._places[key].read_as(self.orders)

    @property
    def function(self) -> Callable[..., Any]:
        """The method that attends, as its class defines it: forward or __call__."""
        function: Callable[..., Any] = getattr(self.made, self.attending)
        return function

    @property
    def attending(self) -> str:
        """Its name."""
        return discovery.attending(type(self.trial)) or "__call__"

    @property
    def made(self) -> type:
        """The class of the objects."""
        return type(self.trial.module if isinstance(self.trial, Bound) else self.trial)

    @cached_property
    def stateful(self) -> bool:
        """Whether an object holds arrays besides its weights, which its seed may decide."""
        return bool(self.state(self.trial, self.size))

    @cached_property
    def frozen(self) -> bool:
        """Whether an object refuses plain assignment to its attributes."""
        own = with_leaves(self.trial, {})
        name = next(iter(self.places(self.size).names.values()))[0]
        try:
            setattr(own, name, getattr(own, name))
        except (AttributeError, TypeError):
            return True
        return False

    def state(self, own: Any, build: Build) -> dict[Names, Any]:
        """Return the arrays that an object holds besides its weights."""
        return _besides(own, self.places(build))

    def construct(self, build: Build) -> Any:
        """Return a new object with its own initial weights."""
        values = discovery.constructor_values(build, self._configuration)
        with precision_of(build.dtype):
            values |= dict.fromkeys(("dtype", "param dtype"), DTYPES[build.dtype])
            if "key" in self.constructor:
                values["key"] = jax.random.key(build.seed)
            if "rngs" in self.constructor:
                values["rngs"] = import_module("flax.nnx").Rngs(build.seed)
            arguments, keywords = self.constructor.arguments(values)
            made = self.implementation(*arguments, **keywords)
            return Bound.initialised(made, build, self.subject) if is_linen(made) else made

    def template(self, build: Build) -> Any:
        """Return an object of this build, from which others are copied and which nobody calls.

        It is traced where it can be, because random weights cost a compilation for each new size.
        """
        if build not in self._templates:
            try:
                with precision_of(build.dtype):
                    sketch = self._holding(*sketched(lambda: self.construct(build)))
                complete = not _besides(sketch, places(sketch, build, self.subject))
            except UNTRACEABLE:
                complete = False
            self._templates[build] = sketch if complete else self.construct(build)
        return self._templates[build]

    def sample(self, build: Build) -> Any:
        """Return an object to be called in a trial, its weights in the dtype of the build as in any call."""
        own = self.template(build)
        held, slots = leaves(own), self.places(build)
        with precision_of(build.dtype):
            cast = {
                names: jnp.asarray(held[names], DTYPES[build.dtype]) for names in map(slots.of, slots.slots)
            }
            return self._holding(own, cast)

    def filled(
        self, own: Any, build: Build, parameters: Arrays, state: Mapping[Names, Any] | None = None
    ) -> Any:
        """Return a copy of an object that holds these arrays, by their names in `Parameters`."""
        return self._holding(own, self.places(build).placed(parameters, leaves(own)) | dict(state or {}))

    def _holding(self, own: Any, arrays: Mapping[Names, Any]) -> Any:
        """Return a copy of an object that holds these arrays; SubjectError where that cannot be."""
        try:
            return with_leaves(own, arrays)
        except (AttributeError, TypeError) as error:
            raise SubjectError(
                f"{self.subject}: weights cannot be put in: {error}. Expected an object that can be copied "
                f"and attributes that can be set.\n{discovery.advice(self.subject)}"
            ) from error


def _besides(own: Any, found: Places) -> dict[Names, Any]:
    """Return the arrays of JAX that are in no slot; those of NumPy are constants of the class."""
    known = {found.of(slot) for slot in found.slots}
    return {n: leaf for n, leaf in leaves(own).items() if n not in known and isinstance(leaf, jax.Array)}
