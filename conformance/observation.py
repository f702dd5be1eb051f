"""Observations: what an implementation gave, with what it should have given beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from headcheck.adapters.protocol import Build, Call, Outcome, Raised, Result

from .expectation import Expectation
from .serve import in_full

PHASES = {"build": "building the module", "write": "putting the weights in", "call": "the call"}


@dataclass(frozen=True)
class Shown:
    """What a script shows of a failure, where it is not that an answer departs from the oracle's.

    ``found`` is an expression of the script's arrays, and ``claim`` one of its value, ``found``, that holds
    of a right implementation.  ``of`` is what the script works out, in the words of `Adapter.script`, or
    "returned", the output as it came; "argument NAME", with a copy of it in ``before``; "earlier NAME", the
    output or the weights of the call before, ``kept``, with their copy; "refusal", the exception ``error``.
    """

    claim: str
    found: str
    of: str = "output"
    draws: int = 0  # so often is the call made, the outputs kept in an array ``drawn``


def worst_place(name: str, found: np.ndarray, expected: np.ndarray, bound: np.ndarray, of: str) -> Shown:
    """Return what a script shows of the array of this name: the number furthest out of its bound."""
    place = np.unravel_index(int((np.abs(found - expected) / bound).argmax()), found.shape)
    claim = f"abs(found - {float(expected[place])!r}) <= {bound[place]:.3g}"
    return Shown(claim, f"{name}[{', '.join(map(str, place))}]", of)


@dataclass(frozen=True, eq=False)
class Failure:
    """One departure from the specification, with its proof."""

    message: str
    quantity: str = ""
    actual: np.ndarray | None = None
    expected: np.ndarray | None = None
    bound: np.ndarray | None = None
    call: Call | None = None  # the call that went wrong
    earlier: tuple[Call, ...] = ()  # calls on the same module that it needs first
    others: tuple[Call, ...] = ()  # calls whose answers contradict this one: one of them all is wrong
    build: Build | None = None  # of the module that went wrong before any call
    shown: Shown | None = None
    grounds: str = "property"
    kind: str = "fail"
    raised: Raised | None = None
    waited: float = 0.0  # seconds, for an answer that did not come
    measured: dict[str, Any] = field(default_factory=dict)


def nothing(build: Build) -> Call:
    """Return a call that stands for its build alone."""
    empty = np.zeros((0, 0, build.d_model if build.d_model > 0 else 0))
    return Call(build, empty, empty, empty)


class Broken(Exception):
    """Raised where a judgement cannot go on because the implementation broke a promise."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


class NotMet(Exception):
    """Raised where a case cannot be put into the situation that a requirement is about."""


class Undecided(NotMet):
    """Raised where the situation was met, and what came of it settles nothing."""


@dataclass(frozen=True, eq=False)
class Measured:
    """An array of the implementation's, with the lawful distance from the exact one, element by element."""

    quantity: str
    values: np.ndarray
    call: Call
    lawful: Callable[[], np.ndarray]
    floor: Callable[[], np.ndarray]  # a lower limit of the lawful distance that costs nothing to know
    exact: Callable[[], np.ndarray]
    others: tuple[Call, ...] = ()  # further calls that went into the values

    def __getitem__(self, index: Any) -> Measured:
        return Measured(
            self.quantity,
            self.values[index],
            self.call,
            lambda: self.lawful()[index],
            lambda: self.floor()[index],
            lambda: self.exact()[index],
            self.others,
        )

    def on_axis(self, axis: int, index: np.ndarray) -> Measured:
        """Return the same quantity with an axis reordered, or a part of it taken."""
        take = [slice(None)] * self.values.ndim
        take[axis] = index  # type: ignore[call-overload]
        return self[tuple(take)]

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.quantity,
            self.values + other.values,
            self.call,
            lambda: self.lawful() + other.lawful(),
            lambda: self.floor() + other.floor(),
            lambda: self.exact() + other.exact(),
            (*self.others, other.call, *other.others),
        )

    def plus(self, known: np.ndarray) -> Measured:
        """Return the same quantity moved by a vector that is known exactly."""
        return replace(self, values=self.values + known, exact=lambda: self.exact() + known)

    def __rmul__(self, factor: float) -> Measured:
        return Measured(
            self.quantity,
            factor * self.values,
            self.call,
            lambda: abs(factor) * self.lawful(),
            lambda: abs(factor) * self.floor(),
            lambda: factor * self.exact(),
        )

    def departs(self, expected: np.ndarray, message: str, *, grounds: str = "property") -> Failure | None:
        """Compare with values that are known exactly."""
        return self._compare(expected, self.lawful, self.floor, message, grounds)

    def departs_from(self, other: Measured, message: str) -> Failure | None:
        """Compare with another measured quantity; the one further from the oracle is called wrong.

        NotMet where they differ in nothing but what is NaN or infinity in both, which says nothing.
        """
        if self.values.shape != other.values.shape:
            return Failure(
                f"{message}: shape {self.values.shape}, expected {other.values.shape}",
                self.quantity,
                call=self.call,
                others=(other.call,),
            )
        failure = self._compare(
            other.values,
            lambda: self.lawful() + other.lawful(),
            lambda: self.floor() + other.floor(),
            message,
            "property",
        )
        if failure is None:
            return None
        failure = replace(failure, others=(*self.others, other.call, *other.others))
        ours, theirs = self.distance(), other.distance()
        if theirs > max(ours, 1.0):
            failure = Failure(
                message,
                other.quantity,
                other.values,
                self.values,
                failure.bound,
                other.call,
                others=(*other.others, self.call, *self.others),
                grounds="property",
            )
        both = "property and oracle" if max(ours, theirs) > 1.0 else "property"
        return replace(failure, grounds=both)

    def must_differ(self, other: Measured) -> bool:
        """Return whether two quantities have to differ, whatever is lost to rounding."""
        return bool(np.any(np.abs(self.exact() - other.exact()) > self.lawful() + other.lawful()))

    def distance(self) -> float:
        """Return the worst error over bound against the oracle."""
        bound = self.lawful()
        error = np.where(np.isposinf(bound), 0.0, np.abs(self.values - self.exact()))
        if not np.isfinite(error).all():
            return float("inf")
        with np.errstate(over="ignore"):  # a large error over a small bound
            return float(np.max(error / bound, initial=0.0))

    def _compare(
        self,
        expected: np.ndarray,
        lawful: Callable[[], np.ndarray],
        floor: Callable[[], np.ndarray],
        message: str,
        grounds: str,
    ) -> Failure | None:
        expected = np.broadcast_to(expected, self.values.shape)
        with np.errstate(invalid="ignore"):
            error = np.abs(self.values - expected)
        if np.array_equal(self.values, expected) or np.all(error <= floor()):
            return None
        bound = lawful()
        fine = (error <= bound) | np.isposinf(bound)
        if np.all(fine):
            return None
        if np.all(fine | ~(np.isfinite(self.values) | np.isfinite(expected))):
            raise NotMet(f"NaN or infinity in both {self.quantity}s that are compared")
        if not np.isfinite(self.values).all() and np.isfinite(expected).all():
            message = f"{message}: NaN or infinity in the {self.quantity}"
        return Failure(message, self.quantity, self.values, expected, bound, self.call, grounds=grounds)


@dataclass(frozen=True, eq=False)
class Observation:
    """One call and what it gave."""

    call: Call
    outcome: Outcome
    expectation: Expectation | None  # None where the weights are unknown

    @property
    def raised(self) -> Raised | None:
        """The exception, where the call was refused or failed."""
        return self.outcome.raised

    @property
    def result(self) -> Result:
        """What the call gave; Broken where it raised."""
        if self.outcome.result is None:
            assert self.raised is not None
            message = f"{PHASES[self.raised.phase]} raised {in_full(self.raised)}"
            raise Broken(Failure(message, call=self.call, raised=self.raised, kind="raised"))
        return self.outcome.result

    @property
    def expected(self) -> Expectation:
        """The oracle's answer; NotMet where the weights can be neither set nor read."""
        if self.expectation is None:
            raise NotMet("the weights can be neither set nor read")
        return self.expectation

    def _shaped(self, array: np.ndarray | None, shape: tuple[int, ...], quantity: str) -> np.ndarray:
        if array is None:
            came = self.result.returned or f"no {quantity}"
            message = f"{came} came back; expected the {quantity} as an array of shape {shape}"
            raise Broken(Failure(message, quantity, call=self.call))
        if array.shape != shape:
            message = f"the {quantity} {'have' if quantity.endswith('s') else 'has'} shape {array.shape}"
            raise Broken(Failure(f"{message}; expected {shape}", quantity, call=self.call, kind="misshapen"))
        return array

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(B, n_q, d)."""
        return self.call.query.shape

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(B, h, n_q, n_k)."""
        batch, n_q, _ = self.call.query.shape
        return (batch, self.call.build.num_heads, n_q, self.call.key.shape[1])

    @property
    def of_every_head(self) -> bool:
        """Whether attention weights came back, and in their shape, which SHAPE-WEIGHTS judges."""
        return self.result.weights is not None and self.result.weights.shape == self.weights_shape

    @cached_property
    def output(self) -> Measured:
        """The output (B, n_q, d); Broken where it has another shape."""
        values = self._shaped(self.result.output, self.output_shape, "output")
        return Measured(
            "output",
            values,
            self.call,
            lambda: self.expected.bounds.output,
            lambda: self.expected.floors.output,
            lambda: self.expected.exact.output,
        )

    @cached_property
    def weights(self) -> Measured:
        """The attention weights (B, h, n_q, n_k); Broken where they have another shape."""
        values = self._shaped(self.result.weights, self.weights_shape, "attention weights")
        return Measured(
            "attention weights",
            values,
            self.call,
            lambda: self.expected.bounds.weights,
            lambda: self.expected.floors.weights,
            lambda: self.expected.exact.weights,
        )

    def gradient(self, name: str) -> Measured:
        """The gradient with respect to an input or a parameter."""
        expected = self.expected
        exact = expected.gradients[name]
        values = self.result.gradients.get(name)
        if values is None:
            values = np.zeros_like(exact)
        return Measured(
            f"gradient of {name}",
            self._shaped(values, exact.shape, f"gradient of {name}"),
            self.call,
            lambda: expected.gradient_bounds[name],
            lambda: np.zeros_like(exact),
            lambda: exact,
        )

    @property
    def gradients(self) -> list[Measured]:
        """The gradients, input by input and parameter by parameter.

        An implementation that was given one array in several roles has one gradient for it: the roles' sum,
        or, of one array in all three, none where it tells nothing of it.
        """
        measured = {name: self.gradient(name) for name in self.expected.gradients}
        came, call = self.result.gradients, self.call
        if call.key is call.value and "key" in came and "value" not in came:
            value = measured.pop("value")
            total = measured["key"] + replace(value, values=np.zeros_like(value.values))
            measured["key"] = replace(total, others=())
        elif call.query is call.key is call.value and "key" not in came:
            query, key, value = (measured.pop(name) for name in ("query", "key", "value"))
            if "query" in came:
                nothing = np.zeros_like(key.values)
                total = query + replace(key, values=nothing) + replace(value, values=nothing)
                measured = {
                    "query": replace(total, quantity="gradient of the one array", others=()),
                    **measured,
                }
        return list(measured.values())

    def departs_from(self, other: Observation, message: str) -> Failure | None:
        """Compare with another observation: the output, then the weights, where both have them."""
        failure = self.output.departs_from(other.output, message)
        both = self.result.weights is not None and other.result.weights is not None
        if failure is None and both and (self.of_every_head or other.of_every_head):
            failure = self.weights.departs_from(other.weights, message)
        return failure

    def departs_from_oracle(self) -> Failure | None:
        """Compare attention weights, where those of every head came back, and output with the oracle."""
        if self.of_every_head:
            failure = self.weights.departs(self.expected.exact.weights, "", grounds="oracle")
            if failure:
                message = f"the attention weights are not {self._definition()}{failure.message}"
                return replace(failure, message=message)
        return self.output.departs(
            self.expected.exact.output, "the output is not the oracle's", grounds="oracle"
        )

    def _definition(self) -> str:
        """Return what the attention weights of this call are, in words."""
        scale, empty_row = self.call.build.scale, self.expected.conventions.empty_row
        words = "softmax(Q K^T / sqrt(d_k))" if scale is None else f"softmax({scale:.4g} Q K^T)"
        if self.expected.allowed is not None:
            words += " under the mask"
        if self.expected.empty_rows.any() and empty_row != "unknown":
            words += f", {empty_row} where no key is allowed"
        return words
