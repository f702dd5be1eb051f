"""Any NumPy class of the tutorial's shape, its parts found by their names.

    forward(Q, K, V, mask=None) -> (output, attention weights)

or the same as ``__call__``, or output alone.  Weights are arrays stored (in, out), a projected row being
``x @ W_q + b_q``, unless the class says ``headcheck = {"stored": "out in"}``; they are given to the class in
the dtype of the call, in which it is expected to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from headcheck.reference.parameters import Parameters

from . import discovery
from .by_names import PADDING_TRUE, ByNames
from .counting import Count
from .counting_numpy import count, is_traceable
from .importing import source_of
from .on_numpy_script import script
from .projections import Kind, at
from .protocol import INPUTS, Build, Call, Declaration, DType, Mask, Memory, Result, SubjectError, Variant
from .returned import in_words
from .same_objects import as_before
from .stages import Shapes, watched
from .storage import Slot, assembled

DTYPES: tuple[DType, ...] = ("float64", "float32", "float16")
ONE_BY_ONE = 3_000_000  # operations: a few seconds
ITSELF = "same object"


@dataclass(frozen=True)
class Mode:
    """How a path is reached."""

    itself: bool = False  # one object as query, key and value
    asked: bool = True  # the attention weights are asked for
    training: bool = False


MODES = {
    "default": Mode(),
    ITSELF: Mode(itself=True),
    "no weights": Mode(asked=False),
    f"{ITSELF}, no weights": Mode(itself=True, asked=False),
    "training": Mode(training=True),
    "training, no weights": Mode(asked=False, training=True),
}


def _attributes(thing: Any) -> Mapping[str, Any]:
    held = thing if isinstance(thing, dict) else getattr(thing, "__dict__", {})
    return {name: value for name, value in held.items() if not _private(name) and _holds(value)}


def _private(name: Any) -> bool:
    """Return whether an attribute is nobody's business, or a key is none that a path can hold."""
    return not isinstance(name, str) or name.startswith("_") or "." in name


def _holds(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_holds, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and value.ndim > 0
    if isinstance(value, type):
        return False
    arrays = (value if isinstance(value, dict) else getattr(value, "__dict__", {})).values()
    return any(isinstance(array, np.ndarray) for array in arrays)


NUMPY = Kind(
    attributes=_attributes,
    is_array=lambda value: isinstance(value, np.ndarray),
    lists=(list, tuple),
    rows=lambda layer: "",
    weight=("weight", "weights", "W", "w", "kernel"),
    bias=("bias", "b"),
)


@dataclass(frozen=True, eq=False)
class Built:
    """A module, the arguments it was built with, and what its latest call returned and was given."""

    module: Any
    build: Build
    returned: dict[str, np.ndarray] = field(default_factory=dict)
    given: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


class ClassAdapter(ByNames):
    """Drives a class, or a function that makes an object of one."""

    kind = NUMPY

    def __init__(self, implementation: Callable[..., Any], subject: str):
        super().__init__(implementation, subject)
        self.said.setdefault("stored", "in out")

    def declare(self) -> Declaration:
        """Find out what the class offers; SubjectError where it cannot be driven."""
        training = bool({"training", "deterministic"} & {*self.forward.names})
        return Declaration(
            longest=discovery.LONGEST if self.takes("length") else 0,
            framework="numpy",
            capabilities=self.capabilities(cost=True, dropout=training and self.takes("dropout")),
            dtypes=self.dtypes(DTYPES),
            conventions=self.conventions,
            variants=tuple(
                Variant(
                    name, mode.itself, weights=self.answer.has_weights and mode.asked, training=mode.training
                )
                for name, mode in MODES.items()
                if not (self.alone and mode.itself)
                and (mode.asked or self._may_leave_weights)
                and (training or not mode.training)
            ),
            versions={"numpy": np.__version__},
            source=source_of(self.implementation),
            found=self.found(),
            notes=self.notes(),
            always_causal=self.always_causal,
        )

    def make(self, build: Build) -> Any:
        """Call the constructor with the arguments that it has."""
        module = self.constructed(build)
        if not discovery.attending(type(module)):
            raise SubjectError(f"{self.subject_name}: {in_words(module)} has neither forward nor __call__.")
        return module

    def build(self, build: Build) -> Built:
        """Return a fresh module whose initial weights come from the seed."""
        with self.subject(), seeded(build.seed):
            return Built(self.make(build), build)

    def write(self, module: Built, parameters: Parameters) -> Built:
        """Put the weights in; a bias that the parameters lack becomes zeros."""
        self.put(module.module, self.slots(module.module, module.build), parameters, module.build)
        return module

    def read(self, module: Built) -> Parameters:
        """Return the weights, (in, out)."""
        slots = self.slots(module.module, module.build)
        held = ((slot, np.array(at(module.module, slot.path), dtype=np.float64)) for slot in slots)
        return Parameters(**assembled(held, module.build))

    def call(self, module: Built, call: Call) -> Result:
        """Call the module on the variant named by the call."""
        return self._call(module, self.accepted(call))

    def count(self, module: Built, call: Call) -> Mapping[str, int]:
        """Return the operations of one call."""
        (batch, n_q, d), n_k = call.query.shape, call.key.shape[1]
        if not self._traceable and 4 * batch * d * (n_q * n_k + d * (n_q + n_k)) > ONE_BY_ONE:
            return Count(unknown=("so many operations one by one",)).to_mapping()
        function, arrays = self._of_arrays(module, self.accepted(call))
        return count(function, *arrays, by_number=not self._traceable).to_mapping()

    @cached_property
    def _traceable(self) -> bool:
        """Whether tracing arrays see all that the class does; found out on a small call."""
        build = Build(8, 2, bias="bias" in self.constructor)
        rows = np.ones((1, 3, build.d_model))
        try:
            module = self.build(build)
            function, arrays = self._of_arrays(module, self.accepted(Call(build, rows, rows, rows)))
            return is_traceable(function, *arrays)
        except Exception:  # met again where the cost is counted
            return True

    def _of_arrays(self, module: Built, call: Call) -> tuple[Callable[..., Any], list[np.ndarray]]:
        """Return a call as a function of arrays, and the arrays: inputs and weights."""
        inputs = self.inputs(call)
        slots = self.slots(module.module, module.build)

        def attend(*arrays: Any) -> Any:
            for slot, array in zip(slots, arrays[len(INPUTS) :], strict=True):
                place(module.module, slot.path, array)
            found = self._passed(module.module, call, inputs | dict(zip(INPUTS, arrays, strict=False)))
            return (self.results(module.module, found) or (found,))[0]

        return attend, [*(inputs[name] for name in INPUTS), *(at(module.module, s.path) for s in slots)]

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain NumPy that makes this call, and ends with what is asked for."""
        return script(self, self.accepted(call), of)

    def function(self, module: Any) -> Callable[..., Any]:
        """Return forward or __call__."""
        function: Callable[..., Any] = getattr(type(module), discovery.attending(type(module)))
        return function

    def plain(self, module: Any, call: Call) -> Any:
        """Return whatever a call gives."""
        itself = call.query is call.key and "key" not in self.forward
        with seeded(0):
            return self._passed(module, call, self.inputs(replace(call, variant=ITSELF) if itself else call))

    def plainly(self, call: Call) -> Result:
        """Return a call's result on a fresh module, its mask handed over as it is."""
        return self._call(self.build(call.build), call)

    def holds_triangle(self, module: Any) -> bool:
        """Return whether an attribute is triangular."""
        held = vars(module).values()
        return any(isinstance(array, np.ndarray) and _is_triangle(array) for array in held)

    def put(self, module: Any, slots: Sequence[Slot], parameters: Parameters, build: Build) -> None:
        """Put the weights in, in the dtype of the build."""
        for slot in slots:
            array = slot.stored(parameters, build, at(module, slot.path).shape)
            place(module, slot.path, array.astype(build.dtype, order="C"))

    def numbers(self, value: Any) -> np.ndarray | None:
        """Return an array as float64."""
        return np.array(value, dtype=np.float64) if isinstance(value, np.ndarray) else None

    def inputs(self, call: Call) -> dict[str, np.ndarray]:
        """Return the arguments as arrays of their own, in the dtype and the layout asked for."""
        itself = _mode(call).itself
        given = {name: laid_out(getattr(call, name).astype(call.build.dtype), call.memory) for name in INPUTS}
        shared = dict.fromkeys(INPUTS, "query") if itself else call.shared
        given |= {name: given[other] for name, other in shared.items()}
        if call.mask is not None:
            given["mask"] = handed_over(call.mask, self.mask_true, call.build.dtype)
        if call.padding is not None:
            given["padding"] = call.padding == (self.said.get("padding_true", PADDING_TRUE) == "attend")
        masks = (name for name in ("mask", "padding") if name in given)
        return given | {name: laid_out(given[name], call.memory) for name in masks}

    @property
    def _may_leave_weights(self) -> bool:
        return self.answer.has_weights and "need weights" in self.forward

    def asks_for_weights(self, call: Call) -> bool:
        """Return whether a call asks for attention weights, where that can be chosen."""
        return _mode(call).asked

    def trains(self, call: Call) -> bool:
        """Return whether a call is in training."""
        return call.training or _mode(call).training

    def _call(self, module: Built, call: Call) -> Result:
        if call.parameters is None:  # initial weights, too, are of the dtype of the call
            for slot in self.slots(module.module, module.build):
                place(module.module, slot.path, at(module.module, slot.path).astype(call.build.dtype))
        inputs = self.inputs(call)
        itself = _mode(call).itself
        inputs |= as_before(module.given, call, inputs, _same_bytes, itself=itself, shared=self.memory)
        held = inputs | module.returned
        before = {name: array.copy() for name, array in held.items()}
        seen: Shapes = {}
        with ExitStack() as stack:
            if call.stages:
                seen = stack.enter_context(watched(module.module))
            stack.enter_context(seeded(call.seed))
            stack.enter_context(self.subject())
            value = self._passed(module.module, call, inputs)
        results = self.results(module.module, value)
        output, weights = results or (None, None)
        weights = weights if self.asks_for_weights(call) else None
        written = tuple(name for name, array in before.items() if held[name].tobytes() != array.tobytes())
        made = {"weights": weights, "output": output}
        module.returned.clear()
        left = {f"earlier {name}": array for name, array in made.items() if array is not None}
        module.returned.update(left)
        shapes = {name: array.shape for name, array in made.items() if array is not None and call.stages}
        return Result(
            output=self.numbers(output),
            weights=self.numbers(weights),
            dtype="" if output is None else str(output.dtype),
            stages=(seen if self.layout == "batch first" else {}) | shapes,
            written_to=written,
            returned="" if results else in_words(value),
        )

    def _passed(self, module: Any, call: Call, inputs: Mapping[str, Any]) -> Any:
        asked = self.asks_for_weights(call)
        positional, keywords = self.arguments(call, inputs, training=self.trains(call), weights=asked)
        return getattr(module, discovery.attending(type(module)))(*positional, **keywords)


def _mode(call: Call) -> Mode:
    return MODES[call.variant or "default"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw NumPy's global random numbers from this seed; the caller's go on as if nothing had been drawn."""
    state = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(state)


def place(module: Any, path: str, array: Any) -> None:
    """Put an array where a path leads."""
    *outer, last = path.split(".")
    holder = at(module, ".".join(outer)) if outer else module
    if last.startswith("["):
        holder[last[2:-2]] = array
    elif last.isdigit():
        holder[int(last)] = array
    else:
        setattr(holder, last, array)


def handed_over(mask: Mask, meaning: str, dtype: DType) -> np.ndarray:
    """Return the mask in the form asked for; ``meaning`` is what True and 1 say."""
    if mask.additive:
        return mask.added(dtype).astype(dtype)
    said = mask.allowed if meaning == "attend" else ~mask.allowed
    return said.astype({"bool": np.bool_, "int": np.int64}.get(mask.form, dtype))


def laid_out(array: np.ndarray, memory: Memory) -> np.ndarray:
    """Return the same values with other strides; what is not alike for all examples cannot be expanded."""
    if memory == "contiguous" or array.ndim < 2:
        return array
    if memory == "transposed":
        return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    alike = np.broadcast_to(array[:1].copy(), array.shape) if len(array) > 1 else None
    if memory == "expanded" and alike is not None and np.array_equal(array, alike):
        return alike
    *outer, length, width = array.shape
    rest = np.nan if array.dtype.kind == "f" else 1
    larger = np.full((*outer, length + 1, 2 * width), rest, dtype=array.dtype)
    larger[..., 1:, ::2] = array
    return larger[..., 1:, ::2]


def _same_bytes(array: np.ndarray, other: np.ndarray) -> bool:
    return array.tobytes() == other.tobytes()


def _is_triangle(array: np.ndarray) -> bool:
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] < 2:
        return False
    whole = np.nan_to_num(array.astype(np.float64))
    return bool(whole.any()) and any(np.array_equal(whole, half) for half in (np.tril(whole), np.triu(whole)))
