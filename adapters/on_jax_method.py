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

from . import discovery, trial
from .on_jax_compiled import Compiled
from .on_jax_function import Arrays, Path, inputs_of, precision_of
from .on_jax_leaves import is_array, with_leaves
from .on_jax_masks import spoken
from .on_jax_objects import UNTRACEABLE, Objects
from .protocol import Call, Conventions, DType, Mask, Result, Variant
from .returned import in_words
from .trial import Answer

BARE = "no weights"  # the path on which attention weights are not asked for, where that can be chosen
DTYPES: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")


class Unreadable(Exception):
    """What came back holds no output; the message says what it is."""


class Method:
    """Calls the objects of one class.

    SubjectError where the parameters of its ``forward`` or ``__call__`` are not recognised.
    """

    def __init__(self, objects: Objects, said: Mapping[str, Any]):
        self.name = "forward" if hasattr(objects.trial, "forward") else "__call__"
        self.matched = discovery.forward(getattr(type(objects.trial), self.name), objects.subject)
        self._objects = objects
        self._said = said

    def __call__(self, own: Any, path: Path, inputs: Arrays) -> tuple[Any, Any]:
        """Call an object; return output and attention weights, or None for weights that it does not return.

        Raises:
            Unreadable: what came back holds no output.
        """
        value = self._passed(own, path, inputs)
        if is_array(value):
            output, weights = value, getattr(own, self.answer.kept, None) if self.answer.kept else None
        elif isinstance(value, tuple | list) and len(value) > self.answer.output:
            output, place = value[self.answer.output], self.answer.weights
            weights = value[place] if place is not None and place < len(value) else None
        else:
            raise Unreadable(in_words(value))
        if not is_array(output) or not (weights is None or is_array(weights)):
            raise Unreadable(in_words(value))
        return output, None if path.variant.name == BARE else weights

    def _passed(self, own: Any, path: Path, inputs: Arrays) -> Any:
        """Call an object with whatever of the inputs its method has parameters for."""
        values = {role: array for role, array in inputs.items() if role != "state"} | {
            "memory": inputs["key"],
            "causal": path.causal,
            "need weights": path.variant.name != BARE,
            "average": False,
            "training": path.training,
            "deterministic": not path.training,
        }
        if "additive" in values and "additive" not in self.matched:
            values["mask"] = values["additive"]
        if path.build.scale is not None:
            values["scale"] = path.build.scale
        if path.training:
            values["dropout key"] = jax.random.key(inputs["seed"])
            if "rngs" in self.matched:
                values["rngs"] = import_module("flax.nnx").Rngs(dropout=values["dropout key"])
        arguments, keywords = self.matched.arguments(values)
        return getattr(own, self.name)(*arguments, **keywords)

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
        except BaseException as error:  # judged where it is met again, with its case and its proof
            return Answer(note=f"a plain call raises {type(error).__name__}: {error}", raised=True)

    @cached_property
    def dtypes(self) -> tuple[DType, ...]:
        """The dtypes in which a plain call runs."""
        if self.answer.raised or self.untraceable:  # what cannot be traced would have to be compiled
            return DTYPES
        return trial.dtypes(self._shaped, self.call, DTYPES)

    @cached_property
    def conventions(self) -> Conventions:
        """Which masks the class takes, and what it says itself."""
        additive = "additive" in self.matched and "mask" not in self.matched
        return trial.conventions(self._shaped, self.call, self._said, additive=additive)

    def reads_transposed(self) -> bool:
        """Return whether one token comes out as if bare matrices were stored (out, in).

        A single key has the weight 1 whatever mask, scale and softmax do: the answer is x W_v W_o.
        """
        build, rng = self._objects.size, np.random.default_rng(0)
        W = rng.integers(-2, 3, (4, build.d_model, build.d_model)).astype(np.float32) / 4
        token = rng.integers(-2, 3, (1, 1, build.d_model)).astype(np.float32) / 2
        parameters = dict(zip(("W_q", "W_k", "W_v", "W_o"), map(jnp.asarray, W), strict=True))
        inputs = dict.fromkeys(("query", "key", "value"), jnp.asarray(token))

        def attend(path: Path, parameters: Arrays, inputs: Arrays) -> Any:
            own = self._objects.filled(self._objects.template(path.build), parameters)
            return self(own, path, inputs)[0]

        run = attend if self.untraceable else Compiled(attend)
        try:
            with precision_of(build.dtype):
                output = np.asarray(run(Path(build, Variant("trial")), parameters, inputs))
        except BaseException:  # judged where it is met again
            return False
        straight, turned = token @ W[2] @ W[3], token @ W[2].T @ W[3].T
        return (
            output.shape == token.shape and not np.allclose(output, straight) and np.allclose(output, turned)
        )

    def _look(self, call: Call, *, traced: bool) -> tuple[Answer, tuple[int, ...]]:
        """Call an object, traced so that nothing is computed; return where its output was, and its shape."""
        path, seen = Path(call.build, Variant("trial")), list[tuple[Answer, tuple[int, ...]]]()

        def attend(inputs: Arrays) -> None:
            value = self._passed(own, path, inputs)
            answer = trial.answer(value, call, getattr(own, "__dict__", {}))
            output = value[answer.output] if isinstance(value, tuple | list) and value else value
            seen.append((answer, tuple(getattr(output, "shape", ()))))

        inputs = inputs_of(spoken(call, self._said))
        with precision_of(call.build.dtype):
            own = with_leaves(self._objects.template(call.build), {})
            if traced:
                jax.eval_shape(attend, inputs)
            else:
                attend(jax.tree.map(jnp.asarray, inputs))
        return seen[0]

    def _shaped(self, call: Call) -> Result:
        """Return a result of the right shape and no values, for trials that ask whether a call runs."""
        _, shape = self._look(call, traced=not self.untraceable)
        return Result(np.empty(shape))
