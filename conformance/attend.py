"""`Attend`: how a requirement puts its questions to a subject."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from headcheck.adapters.protocol import Build, Call, Conventions, Declaration, Mask, Outcome, Raised, Variant
from headcheck.reference.parameters import Parameters

from .cases import handed_over
from .expectation import Expectation
from .observation import Broken, Failure, NotMet, Observation
from .serve import in_full
from .session import Session
from .worker import Crashed, TimedOut

Answer = TypeVar("Answer")
AT_ONCE = 2**20  # numbers, of eight bytes each, that both sides hold twice while they are sent


class Attend:
    """Makes calls and hands back observations; remembers the plain ones, which many requirements share."""

    def __init__(self, session: Session, declaration: Declaration, conventions: Conventions):
        self._session = session
        self.declaration = declaration
        self.conventions = conventions
        self.seconds = 0.0  # CPU time inside the implementation
        self.measured: dict[str, Any] = {}  # what the requirement under judgement has measured
        self.ratios: dict[str, list[float]] = {}  # dtype -> worst error over bound, one a judged call
        self._seen: dict[Call, Observation] = {}

    @property
    def reference(self) -> str:
        """The subject's name, "" where it cannot be loaded by one."""
        return self._session.reference

    def __call__(self, *calls: Call) -> list[Observation]:
        """Make each call on a fresh module; Broken where one raises."""
        observations = self.outcomes(*calls)
        for observation in observations:
            _ = observation.result
        return observations

    def outcomes(self, *calls: Call) -> list[Observation]:
        """Make each call on a fresh module; what it raised is part of the observation."""
        new = [call for call in calls if call not in self._seen]
        for call, observation in zip(new, self._make(new, same_module=False), strict=True):
            self._seen[call] = observation
        return [self._seen[call] for call in calls]

    def in_sequence(self, *calls: Call) -> list[Observation]:
        """Make the calls one after the other on one module; Broken where one raises."""
        observations = self._make(calls, same_module=True)
        for observation in observations:
            _ = observation.result
        return observations

    def forget(self, *, keep: Container[Call]) -> None:
        """Drop the remembered observations but those of the plain calls that requirements share."""
        self._seen = {call: seen for call, seen in self._seen.items() if call in keep}

    def again(self, *calls: Call) -> Observation:
        """Make the calls on one module, and return what came of the last, whatever it raised."""
        if len(calls) == 1:
            [seen] = self.outcomes(*calls)
        else:
            *_, seen = self._make(calls, same_module=True)
        return seen

    def _make(self, calls: Sequence[Call], *, same_module: bool) -> list[Observation]:
        if not calls:
            return []
        handed = [self._handed_over(call) for call in calls]
        outcomes: list[Outcome] = []
        for part in [handed] if same_module else parts(handed):
            try:
                outcomes += self._session.attend(part, same_module=same_module)
            except (Crashed, TimedOut) as death:
                raise Broken(self._fatal(part, death, same_module=same_module)) from None
        self.seconds += sum(outcome.seconds for outcome in outcomes)
        return [self._observed(call, outcome) for call, outcome in zip(handed, outcomes, strict=True)]

    def _fatal(self, calls: Sequence[Call], death: Crashed | TimedOut, *, same_module: bool) -> Failure:
        """Return the failure of calls that one of them ended the process of."""
        *earlier, call = calls
        if not same_module and earlier:
            try:
                self._session.attend(earlier[:1])
            except (Crashed, TimedOut) as again:
                same = type(again) is type(death)  # then the time that was given first is what it had
                return self._fatal(earlier[:1], death if same else again, same_module=False)
            return self._fatal(calls[1:], death, same_module=False)
        before = tuple(earlier)
        if isinstance(death, TimedOut):
            return Failure(str(death), call=call, earlier=before, kind="timeout", waited=death.seconds)
        return Failure(f"{death} while it was called", call=call, earlier=before, kind="crash")

    def _observed(self, call: Call, outcome: Outcome) -> Observation:
        known = call.parameters is not None and "parameters" in self.declaration.capabilities
        expectation = (
            Expectation(call, self.conventions, call.parameters) if known and call.parameters else None
        )
        return Observation(call, outcome, expectation)

    def _handed_over(self, call: Call) -> Call:
        """Give a full (B, h, n_q, n_k) mask the shape that the implementation takes.

        What is causal in every call is so in this one, and what is key and value in every call one array.
        """
        if self.declaration.always_causal:
            call = replace(call, causal=True)
        if call.value is not call.key and not self.offers("cross"):
            if not np.array_equal(call.value, call.key, equal_nan=True):
                raise NotMet("key and value are one array here")
            call = replace(call, value=call.key)
        shapes = self.conventions.mask_shapes
        full = (len(call.query), call.build.num_heads, call.query.shape[1], call.key.shape[1])
        if call.mask is None or call.mask.allowed.shape != full or "B h n_q n_k" in shapes:
            return call
        allowed = handed_over(call.mask.allowed, shapes)
        if allowed is None:
            raise NotMet(f"no accepted mask shape ({', '.join(shapes)}) can hold this mask")
        return replace(call, mask=Mask(allowed, call.mask.form))

    def construct(self, build: Build) -> Raised | None:
        """Build a module; return what it raised."""
        return self._session.construct(build)

    def read(self, build: Build, parameters: Parameters | None = None) -> Parameters:
        """Return the weights of a fresh module, or of one into which these were put; Broken if it raises."""
        return answered(self._session.read(build, parameters), "reading its weights")

    def sizes(self, build: Build) -> Mapping[str, int]:
        """Return how many numbers each of the weights of a fresh module is; Broken if it raises."""
        return answered(self._session.sizes(build), "reading its weights")

    def count(self, call: Call) -> Mapping[str, int]:
        """Return the operations of one call, by kind; Broken where counting them raises."""
        return answered(self._session.count(self._handed_over(call)), "counting its operations")

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return lines of Python that make this call without headcheck; Broken where there are none.

        They end with what is asked for, as `headcheck.adapters.protocol.Adapter.script` says.
        """
        return answered(self._session.script(self._handed_over(call), of), "writing its script")

    def variants(self, call: Call) -> list[Variant]:
        """Return the paths, other than the first, that this call can take."""
        itself = call.query is call.key and call.key is call.value
        (batch, n_q, d_model), n_k = call.query.shape, call.key.shape[1]
        two = self.offers("two sequences")
        few = batch <= 2 and max(n_q, n_k) <= 7 and d_model <= 64 and (n_q != n_k or not two)
        masks = call.mask is not None or call.causal or call.padding is not None
        return [
            variant
            for variant in self.declaration.variants[1:]
            if (itself or not variant.self_attention)
            and (few or not variant.eager)
            and (variant.masks or not masks)
            and (not variant.dtypes or call.build.dtype in variant.dtypes)
        ]

    def turns(self, call: Call) -> list[Variant]:
        """Return those of the paths on which the implementation itself may take other turns."""
        first = self.declaration.primary
        return [
            one
            for one in self.variants(call)
            if one.self_attention or one.weights != first.weights or one.training != first.training
        ]

    def called(self, role: str) -> str:
        """Return the implementation's own name for a mask argument, where it is known."""
        methods = {
            where: name for where, name in self.declaration.found.items() if "constructor" not in where
        }
        named = (name for where, name in methods.items() if where.split()[1:] == [role])
        return next(named, role).split(" ")[0].rstrip(",")

    def offers(self, capability: str) -> bool:
        """Return whether the subject declares this capability."""
        return capability in self.declaration.offered


def parts(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Yield the calls in order, so many at once as keep their attention weights within `AT_ONCE`."""
    part: list[Call] = []
    held = 0
    for call in calls:
        numbers = len(call.query) * call.build.num_heads * call.query.shape[1] * call.key.shape[1]
        if part and held + numbers > AT_ONCE:
            yield part
            part, held = [], 0
        part.append(call)
        held += numbers
    if part:
        yield part


def answered(answer: Answer | Raised, work: str) -> Answer:
    """Return the answer to a question; Broken where the subject raised instead."""
    if isinstance(answer, Raised):
        raise Broken(Failure(f"{work} raised {in_full(answer)}", kind="raised", raised=answer))
    return answer
