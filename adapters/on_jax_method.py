"""The method of a JAX class that attends: how it is called, what it shows of itself in a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import discovery, sequences, trial
from .configurations import NotConfiguredError
from .on_jax_compiled import Compiled
from .on_jax_function import Arrays, Path, inputs_of, precision_of
from .on_jax_leaves import Names, is_array, leaves, with_leaves
from .on_jax_linen import Bound, is_nnx
from .on_jax_masks import of_examples, spoken
from .on_jax_objects import UNTRACEABLE, Objects
from .projections import Orders, alternatives, as_stored, one_token
from .protocol import Call, Conventions, DType, Mask, Result, SubjectError, Variant
from .returned import in_words
from .trial import Answer

TRIAL, APART = "trial", "trial with a memory"
BARE = "no weights"  # the path on which attention weights are not asked for, where that can be chosen
FULL = {"float64", "float32"}
DTYPES: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")


class Unreadable(Exception):
    """What came back holds no output; the message says what it is."""


class Method:
    """Calls the objects of one class.

    SubjectError where the parameters of its ``forward`` or ``__call__`` are not recognised.
    """

    def __init__(self, objects: Objects, said: Mapping[str, Any]):
        self.name = objects.attending
        self.matched = discovery.forward(objects.function, objects.subject, objects.made)
        self.single = False  # takes one example at a time, without an axis for the batch
        self._objects = objects
        self._said = said

    def __call__(self, own: Any, path: Path, inputs: Arrays) -> tuple[Any, Any]:
        """Call an object; return output and attention weights, or None for weights that it does not return.

        Raises:
            Unreadable: what came back holds no output.
        """
        value = self._passed(own, path, inputs)
        where = self.answer
        found = trial.parts(value)
        output = value if is_array(value) else found.get(where.output)
        weights = found.get(where.weights) if where.weights else None
        if where.kept:
            weights = getattr(own, where.kept, None)
        if not is_array(output) or not (weights is None or is_array(weights)):
            raise Unreadable(in_words(value))
        return output, None if path.variant.name == BARE else weights

    def _passed(self, own: Any, path: Path, inputs: Arrays) -> Any:
        """Call an object, on one example after the other where it takes one at a time."""
        if not self.single:
            return self._given(own, path, inputs)
        batch = len(inputs["query"])
        examples = {name: page for name, array in inputs.items() if (page := of_examples(name, array, batch))}
        together = {name: array for name, array in inputs.items() if name not in examples}
        pages = {name: array for name, (array, _) in examples.items()} | {"example": jnp.arange(batch)}
        axes = {name: axis for name, (_, axis) in examples.items()} | {"example": 0}
        return jax.vmap(lambda one: self._given(own, path, together | one), in_axes=(axes,))(pages)

    def _given(self, own: Any, path: Path, inputs: Arrays) -> Any:
        """Call an object with whatever of the inputs its method has parameters for."""
        values = {role: array for role, array in inputs.items() if role not in {"state", "example"}} | {
            "causal": path.causal,
            "need weights": path.variant.name != BARE,
            "average": False,
            "training": path.training,
            "deterministic": not path.training,
        }
        if "additive" in values and "additive" not in self.matched:
            values["mask"] = values["additive"]
        if self.matched.requires("memory") or self._gives_memory(path):
            values["memory"] = inputs["key"]
        if path.build.scale is not None:
            values["scale"] = path.build.scale
        if path.training:
            key = jax.random.key(inputs["seed"])
            key = jax.random.fold_in(key, inputs["example"]) if "example" in inputs else key
            values["dropout key"] = key
            if "rngs" in self.matched:
                values["rngs"] = import_module("flax.nnx").Rngs(dropout=key)
            own = own.keyed(key) if isinstance(own, Bound) else own
        if is_nnx(own):
            _ = own.train() if path.training else own.eval()
        arguments, keywords = self.matched.arguments(values)
        return getattr(own, self.name)(*arguments, **keywords)

    def _gives_memory(self, path: Path) -> bool:
        """Return whether a call has keys of their own: where that was found out, or on trial."""
        if path.variant.name in {TRIAL, APART}:
            return path.variant.name == APART
        return self.memory and not path.variant.self_attention

    @cached_property
    def memory_is(self) -> sequences.Memory:
        """What a sequence given beside x is."""
        if self.answer.raised or self.always_causal:
            return "none"
        return sequences.memory_of(self.matched, self._said, self._result(), self._objects.size)

    @property
    def memory(self) -> bool:
        """Whether keys and values are one sequence, which may differ from the queries."""
        return self.memory_is != "none"

    @property
    def alone(self) -> bool:
        """Whether queries, keys and values are one sequence in every call."""
        return "key" not in self.matched and not self.memory

    @cached_property
    def call(self) -> Call:
        """A plain call of modest size."""
        return trial.trial_call(self._objects.size, itself="key" not in self.matched)

    @cached_property
    def untraceable(self) -> str:
        """JAX's error where the class cannot be jitted."""
        open_mask = Mask(np.ones((self.call.query.shape[1], self.call.key.shape[1]), dtype=bool))
        for call in (self.call, *([replace(self.call, mask=open_mask)] if "mask" in self.matched else [])):
            try:
                self._look(call, traced=True)
            except UNTRACEABLE as error:
                return f"{type(error).__name__}: {str(error).splitlines()[0]}"
            except BaseException:  # met again where the answer is asked for
                continue
        return ""

    @cached_property
    def answer(self) -> Answer:
        """Where the class leaves its results."""
        try:
            return self._look(self.call, traced=not self.untraceable)[0]
        except NotConfiguredError as error:
            subject = self._objects.subject
            raise SubjectError(f"{subject}: {error}.\n{discovery.advice(subject)}") from None
        except BaseException as error:  # judged where it is met again, with its case and its proof
            answer = Answer(note=f"a plain call raises {type(error).__name__}: {error}", raised=True)
        self.single = not self.untraceable
        try:
            found, shape = self._look(self.call, traced=True)
        except BaseException:
            shape = ()
        if shape != self.call.query.shape:
            self.single = False
        return found if self.single else answer

    @cached_property
    def dtypes(self) -> tuple[DType, ...]:
        """The dtypes in which a plain call runs."""
        if self.answer.raised or self.untraceable:  # what cannot be traced would have to be compiled
            return DTYPES
        runs = trial.dtypes(self._shaped, self.call, DTYPES)
        return tuple(dtype for dtype in runs if dtype in FULL or self._compiles(dtype)) or runs

    def _compiles(self, dtype: DType) -> bool:
        """Return whether a plain call in this dtype compiles, which not every backend does in float16."""
        build = replace(self.call.build, dtype=dtype)
        own = self._objects.sample(build)

        def attend(path: Path, inputs: Arrays) -> Any:
            return self(own, path, inputs)[0]

        try:
            with precision_of(dtype):
                inputs = inputs_of(replace(self.call, build=build))
                Compiled(attend)(Path(build, Variant(TRIAL)), inputs)
        except ValueError:  # XLA's
            return False
        except trial.RAISED:  # judged where it is met again
            return True
        return True

    @cached_property
    def conventions(self) -> Conventions:
        """Which masks the class takes, and what it says itself."""
        additive = "additive" in self.matched and "mask" not in self.matched
        call = trial.trial_call(self._objects.size, itself=self.alone, shared=self.memory)
        taken = trial.conventions(self._shaped, call, self._said, additive=additive)
        return replace(taken, layout="one example" if self.single else "batch first")

    def orders(self) -> Orders:
        """Return how stored arrays are read: the usual way, unless one token comes out of another."""
        objects, build = self._objects, self._objects.size
        template, held = objects.template(build), objects.places(build)
        possible = {
            names: as_stored(orders, self._said["stored"]) if "stored" in self._said else orders
            for names, orders in held.possible.items()
        }
        every = list(alternatives(possible))
        if len(every) == 1 or self.answer.raised:
            return every[0]
        parameters, token, expected = one_token(build)
        weights = {name: array.astype(np.float32) for name, array in parameters.items()}
        inputs = dict.fromkeys(("query", "key", "value"), jnp.asarray(token, np.float32))

        def attend(path: Path, arrays: Mapping[Names, Any], inputs: Arrays) -> Any:
            return self(with_leaves(template, arrays), path, inputs)[0]

        run = attend if self.untraceable else Compiled(attend)
        for orders in every:
            arrays = held.read_as(orders).placed(weights, leaves(template))
            try:
                with precision_of(build.dtype):
                    arrays = {names: jnp.asarray(array) for names, array in arrays.items()}
                    output = np.asarray(run(Path(build, Variant(TRIAL)), arrays, inputs))
            except BaseException:  # judged where it is met again
                break
            if output.shape == expected.shape and np.allclose(output, expected):
                return orders
        return every[0]

    @cached_property
    def always_causal(self) -> bool:
        """Whether every call is causal: by the class's word, or by a call where it takes nothing but x."""
        said = self._said.get("always_causal")
        free = "causal" in self._objects.constructor
        if said is not None or free or not self.matched.x_alone or self.answer.raised:
            return bool(said)
        try:
            return sequences.looks_ahead(self._result(), self._objects.size) is False
        except trial.RAISED:  # judged where it is met again
            return False

    def _result(self) -> trial.Run:
        """Return what makes a plain call of an object with weights of its own."""
        objects, build = self._objects, self._objects.size
        weights = {name: array.astype(build.dtype) for name, array in one_token(build)[0].items()}

        def attend(path: Path, arrays: Arrays, inputs: Arrays) -> Any:
            return self(objects.filled(objects.template(build), build, arrays), path, inputs)[0]

        run = attend if self.untraceable else Compiled(attend)

        def result(call: Call) -> Result:
            with precision_of(build.dtype):
                given = jax.tree.map(jnp.asarray, (weights, inputs_of(call)))
                return Result(np.asarray(run(self._trial(call), *given), dtype=np.float64))

        return result

    def _trial(self, call: Call) -> Path:
        """Return the path of a trial call: with a sequence of keys and values, or without."""
        apart = call.query is not call.key and "key" not in self.matched
        return Path(call.build, Variant(APART if apart else TRIAL))

    def _look(self, call: Call, *, traced: bool) -> tuple[Answer, tuple[int, ...]]:
        """Call an object, traced so that nothing is computed; return where its output was, and its shape."""
        path, seen = self._trial(call), list[tuple[Answer, tuple[int, ...]]]()
        sample = self._objects.sample(call.build)  # not in a trace, whose tracers it would keep

        def attend(inputs: Arrays) -> None:
            own = with_leaves(sample, {})
            value = self._passed(own, path, inputs)
            answer = trial.answer(value, call, call.query.shape, getattr(own, "__dict__", {}))
            output = trial.parts(value).get(answer.output, value)
            seen.append((answer, tuple(getattr(output, "shape", ()))))

        inputs = inputs_of(spoken(call, self._said))
        with precision_of(call.build.dtype):
            if traced:
                jax.eval_shape(attend, inputs)
            else:
                attend(jax.tree.map(jnp.asarray, inputs))
        return seen[0]

    def _shaped(self, call: Call) -> Result:
        """Return a result of the right shape and no values, for trials that ask whether a call runs."""
        _, shape = self._look(call, traced=not self.untraceable)
        return Result(np.empty(shape))
