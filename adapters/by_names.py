"""An implementation driven by what its names say: what is the same in every framework.

The constructor's and forward's parameters tell what the class takes; its attributes, where the weights are;
one plain call, where the results are; and a call each, which masks and dtypes run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, get_args

import numpy as np
from headcheck.reference.parameters import Parameters

from . import configurations, discovery, sequences, trial
from .constructed import Constructed
from .declared import declared, overridden
from .importing import is_the_users
from .projections import Kind, Orders, Storage, alternatives, as_stored, one_token, reordered, storage
from .protocol import (
    INPUTS,
    Build,
    Call,
    Capability,
    Conventions,
    DType,
    Layout,
    Meaning,
    Result,
    SubjectError,
)
from .scripting import TURN, Symbol
from .storage import Slot
from .trial import Answer

PADDING_TRUE: Meaning = "block"  # a padding mask marks the padding, as in torch.nn.MultiheadAttention


class ByNames(Constructed):
    """What an adapter of classes needs to know of a class; each part is found out once, when first asked."""

    kind: ClassVar[Kind]

    def __init__(self, implementation: Callable[..., Any], subject: str):
        super().__init__(implementation, subject)
        self.said = declared(implementation, subject)
        self.layout: Layout = self.said.get("layout", "batch first")
        self._known: dict[tuple[int, bool], Sequence[Slot]] = {}

    @abstractmethod
    def function(self, module: Any) -> Callable[..., Any]:
        """Return the method that attends, as its class defines it."""

    @abstractmethod
    def plain(self, module: Any, call: Call) -> Any:
        """Return whatever a call gives in eval mode, without gradients."""

    @abstractmethod
    def put(self, module: Any, slots: Sequence[Slot], parameters: Parameters, build: Build) -> None:
        """Put the weights in."""

    @abstractmethod
    def numbers(self, value: Any) -> np.ndarray | None:
        """Return an array of the framework as float64; None for anything else."""

    @abstractmethod
    def holds_triangle(self, module: Any) -> bool:
        """Return whether a module holds a triangular matrix, as for a causal mask."""

    @abstractmethod
    def plainly(self, call: Call) -> Result:
        """Return a call's result on a fresh module, its mask handed over as it is."""

    def slots(self, module: Any, build: Build) -> Sequence[Slot]:
        """Return where a module of this build keeps its weights, looked up once for each number of heads."""
        key = build.num_heads, build.bias
        if key not in self._known:
            found = storage(module, build, self.subject_name, self.kind)
            self._known[key] = reordered(found.slots, self._orders)
        return self._known[key]

    def arguments(
        self, call: Call, given: Mapping[str, Any], *, training: bool, weights: bool = True
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of forward; ``given`` are query, key, value, mask and padding.

        ``weights``: whether the attention weights are asked for, where that can be chosen.
        """
        values = {**self._turned(given), "causal": call.causal, "need weights": weights, "average": False}
        values |= {"training": training, "deterministic": not training}
        if "mask" in given and "mask" not in self.forward:
            values["additive"] = given["mask"]
        apart = values["key"] is not values["query"] and self._takes_memory(call)
        if apart or self.forward.requires("memory"):
            values["memory"] = values["key"]
        if call.build.scale is not None:
            values["scale"] = call.build.scale
        return self.forward.arguments(values)

    def _takes_memory(self, call: Call) -> bool:
        """Return whether a call has keys of their own: where that was found out, or on trial."""
        return "memory" in self.forward and (call.query is not call.key or self.memory)

    def _turned(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments in the layout of the class, one object in several roles staying one."""
        if self.layout == "batch first":
            return dict(given)
        turned: dict[int, Any] = {}
        for value in (given[name] for name in INPUTS if name in given):
            known = isinstance(value, Symbol)
            turned[id(value)] = Symbol(f"{value}{TURN}") if known else value.swapaxes(0, 1)
        return {name: turned.get(id(value), value) for name, value in given.items()}

    def accepted(self, call: Call) -> Call:
        """Return the call with its mask in a form that the class takes.

        Whatever trial calls this needs are made now, not in the middle of a call that is timed or counted.
        """
        _ = self.answer
        if call.mask is None or call.mask.form in self.conventions.mask_forms:
            return call
        return replace(call, mask=replace(call.mask, form=self.conventions.mask_forms[0]))

    @cached_property
    def storage(self) -> Storage:
        """Where the trial module keeps its weights."""
        return storage(self.trial_module, self.trial_build, self.subject_name, self.kind)

    @cached_property
    def forward(self) -> discovery.Matched:
        """The parameters of the method that attends."""
        module = self.trial_module
        return discovery.forward(self.function(module), self.subject_name, type(module))

    @cached_property
    def trial_call(self) -> Call:
        """A plain call of the trial module."""
        return trial.trial_call(self.trial_build, itself="key" not in self.forward)

    @cached_property
    def _memory(self) -> sequences.Memory:
        """What a sequence given beside x is."""
        if self.answer.raised or self.always_causal:
            return "none"
        return sequences.memory_of(self.forward, self.said, self._plain_result, self.trial_build)

    @property
    def memory(self) -> bool:
        """Whether keys and values are one sequence, which may differ from the queries."""
        return self._memory != "none"

    @property
    def alone(self) -> bool:
        """Whether queries, keys and values are one sequence in every call."""
        return "key" not in self.forward and not self.memory

    def _plain_result(self, call: Call) -> Result:
        """Return the output of a plain call of a fresh module, whose weights are not those it starts with."""
        module, (parameters, *_) = self.build(call.build).module, one_token(call.build)
        self.put(module, self.slots(module, call.build), parameters, call.build)
        found = self.results(module, self.plain(module, call))
        return Result(self.numbers(found[0]) if found else None)

    @property
    def mask_true(self) -> Meaning:
        """What True and 1 say in the mask: in one of padding, that a key is padding."""
        padding = discovery.masks_padding(self.forward)
        usual = self.said.get("padding_true", PADDING_TRUE) if padding else "attend"
        meaning: Meaning = self.said.get("mask_true", usual)
        return meaning

    @cached_property
    def answer(self) -> Answer:
        """Where the class leaves its results, by a plain call."""
        if self.untried:
            return Answer(note="a plain call ends its process, or never ends", raised=True)
        try:
            return self._answered(self.layout)
        except BaseException as error:  # judged where it is met again, with its case and its proof
            if is_the_users(error):
                raise
            raised = error
        if "layout" not in self.said and "key" in self.forward:
            try:  # queries and keys of two lengths are two batch sizes to a class that is sequence first
                return self._answered("sequence first", sure=True)
            except BaseException as error:
                if is_the_users(error):
                    raise
                self.layout = "batch first"
        why = f"a plain call raises {type(raised).__name__}: {raised}"
        left = [name for name in self.forward.left if self.forward.defaults.get(name) is None]
        if isinstance(raised, configurations.NotConfiguredError) or left:  # it may want more
            given = f". Of {self.forward.signature} nothing was given for {', '.join(left)}" if left else ""
            advice = discovery.advice(self.subject_name)
            raise SubjectError(f"{self.subject_name}: {why}{given}.\n{advice}")
        return Answer(note=why, raised=True)

    def _answered(self, layout: Layout, *, sure: bool = False) -> Answer:
        """Return where the results of a plain call in this layout are; LookupError where it must be sure."""
        self.layout = layout
        value = self.plain(self.trial_module, self.trial_call)
        batch, length, width = self.trial_call.query.shape
        shape = (batch, length, width) if layout == "batch first" else (length, batch, width)
        answer = trial.answer(value, self.trial_call, shape, self.kind.attributes(self.trial_module))
        output = trial.parts(value).get(answer.output, value)
        if sure and tuple(getattr(output, "shape", ())) != shape:
            raise LookupError(f"no output of shape {shape}")
        return answer

    def results(self, module: Any, value: Any) -> tuple[Any, Any] | None:
        """Return output and weights (None: there are none) of what came back; None where it is neither."""
        where = self.answer
        found = trial.parts(value)
        output = value if self.kind.is_array(value) else found.get(where.output)
        weights = found.get(where.weights) if where.weights else None
        if where.kept:
            kept = getattr(module, where.kept, None)
            weights = kept if self.kind.is_array(kept) else None
        if self.layout == "sequence first" and output is not None and self.kind.is_array(output):
            output = output.swapaxes(0, 1)
        fine = self.kind.is_array(output) and (weights is None or self.kind.is_array(weights))
        return (output, weights) if fine else None

    @cached_property
    def conventions(self) -> Conventions:
        """Which masks the class takes, and what it says of itself."""
        additive = "additive" in self.forward and "mask" not in self.forward
        if self.answer.raised or not (additive or "mask" in self.forward):
            taken = overridden(Conventions(), self.said)
        else:
            said = {"mask_true": self.mask_true, **self.said}
            call = trial.trial_call(self.trial_build, itself=self.alone, shared=self.memory)
            taken = trial.conventions(self.plainly, call, said, additive=additive)
            if self._as_in_transformers and trial.only_added(self.plainly, call, taken):
                taken = replace(taken, mask_forms=("finite",))
            elif "mask_forms" not in self.said and trial.adds_floats(self.plainly, call, taken):
                forms = ("additive" if form == "float" else form for form in taken.mask_forms)
                taken = replace(taken, mask_forms=tuple(forms))
        return replace(taken, layout=self.layout)

    @property
    def _as_in_transformers(self) -> bool:
        """Whether names are those of transformers, which adds masks of zeros and the least number."""
        return self.forward.names["query"] == ("hidden_states",) and "mask_forms" not in self.said

    def dtypes(self, candidates: Sequence[DType]) -> tuple[DType, ...]:
        """Return the dtypes that the class says it is meant for, or those in which a plain call runs."""
        if "dtypes" in self.said:
            return tuple(dtype for dtype in candidates if dtype in self.said["dtypes"])
        return (
            tuple(candidates)
            if self.answer.raised
            else trial.dtypes(self.plainly, self.trial_call, candidates)
        )

    @cached_property
    def _orders(self) -> Orders:
        """How bare and packed arrays are stored: the usual way, unless one token comes out of another."""
        possible, build = dict(self.storage.possible), self.trial_build
        if "stored" in self.said:
            possible = {names: as_stored(orders, self.said["stored"]) for names, orders in possible.items()}
        every = list(alternatives(possible))
        if len(every) == 1 or self.answer.raised:
            return every[0]
        parameters, token, expected = one_token(build)
        for orders in every:
            module = self.build(build).module
            self.put(module, reordered(self.storage.slots, orders), parameters, build)
            found = self.results(module, self.plain(module, Call(build, token, token, token)))
            output = self.numbers(found[0]) if found else None
            if output is not None and output.shape == expected.shape and np.allclose(output, expected):
                return orders
        return every[0]

    def capabilities(self, **others: bool) -> frozenset[Capability]:
        """Return what the names promise, and what the framework adds to it."""
        forward = self.forward
        biases = {name for slot in self.storage.slots for name in slot.names if name.startswith("b")}
        offered = {
            "parameters": True,
            "read": True,
            "weights": self.answer.has_weights,
            "cross": "key" in forward and not self.always_causal,
            "memory": self.memory,
            "mask": "mask" in forward or "additive" in forward,
            "padding": "padding" in forward,
            "causal": "causal" in forward or self.always_causal,
            "scale": "scale" in forward or self.takes("scale"),
            "bias": len(biases) == 4,
            "indivisible": self.takes("d_model") and not self.takes("d_k"),
        } | others
        known: tuple[Capability, ...] = get_args(Capability)
        return frozenset(capability for capability in known if offered.get(capability))

    def found(self) -> dict[str, str]:
        """Return everything that was matched, for the report."""
        slots = self.slots(self.trial_module, self.trial_build)
        stored = {name: str(slot) for slot in slots for name in slot.names}
        held = {role: f"{path} ({stored[role[:3]]})" for role, path in self.storage.found.items()}
        stages = {f"stage {stage}": name for stage, name in discovery.stages(type(self.trial_module)).items()}
        where = self.answer
        weights = f"self.{where.kept}" if where.kept else f"returned{where.weights}"
        padding = self.forward.names.get("padding", ())
        meaning = f"True means {self.said.get('padding_true', PADDING_TRUE)}"
        return {
            **self.constructor.found("constructor"),
            **self.forward.found("forward"),
            **({"forward padding": f"{padding[0]} ({meaning})"} if padding else {}),
            **held,
            **stages,
            "attention weights": weights if where.has_weights else "none",
        }

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know besides."""
        causal = "is causal in every call, and judged as that" if self.always_causal else ""
        wanted = self.forward.requires("memory") and not self.memory
        name = self.forward.names.get("memory", ("",))[0]
        itself = f"{name} is given the query: no cross-attention is judged" if wanted else ""
        never = discovery.never_given(self.forward, memory=self.memory)
        memory = sequences.unread(name) if self._memory == "ignored" else ""
        notes = [self.answer.note, causal, itself, never, memory]
        return tuple(note for note in notes if note)

    @cached_property
    def always_causal(self) -> bool:
        """Whether every call is causal: by the class's word, or by a call.

        The call is made where name or a triangle say so, and where nothing but x is taken, as by the decoder
        of a language model.  SubjectError where name or triangle say so and the call does not: one of them
        is wrong.
        """
        said = self.said.get("always_causal")
        if said is not None:
            return bool(said)
        free = "causal" in self.forward or self.takes("causal")
        named = "causal" in type(self.trial_module).__name__.lower()
        hinted = not free and (named or self.holds_triangle(self.trial_module))
        alone = not free and self.forward.x_alone
        if self.answer.raised or not (hinted or alone):
            return False
        ahead = sequences.looks_ahead(self._plain_result, self.trial_build)
        if ahead and hinted:
            raise SubjectError(
                f"{self.subject_name}: {'is called causal' if named else 'holds a triangle'}, and its first "
                'query sees later keys.\nPut headcheck = {"always_causal": True} into the class if that is a '
                "mistake of it, and False if it is meant to see them."
            )
        return hinted if ahead is None else not ahead
