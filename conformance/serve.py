"""What runs beside the implementation: the adapter, driven by plain values, in any process.

The only module that touches adapters.  It is called directly where subject and judge share a process,
and in a worker that can be killed where they do not.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any, Literal, TypeVar

import headcheck.adapters
import numpy as np
from headcheck.adapters.protocol import (
    Adapter,
    Build,
    Call,
    Declaration,
    Outcome,
    Raised,
    Result,
    SubjectError,
)
from headcheck.reference.parameters import Parameters

MESSAGE_LIMIT = 2000
OWN = (Path(__file__).parent, Path(headcheck.adapters.__file__).parent)  # no place to send a reader to
Phase = Literal["build", "write", "call"]
Answer = TypeVar("Answer")


class Server:
    """Drives one adapter.  Nothing leaves it as an exception but SubjectError, and Ctrl-C."""

    def __init__(self, adapter: Adapter, *, own_process: bool):
        self._adapter = adapter
        self._own_process = own_process

    def load(self, *, untried: bool) -> None:
        """Take note whether the subject may be called on trial; that there is a server is the answer."""
        self._adapter.untried = untried

    def declare(self) -> Declaration:
        """Return the adapter's declaration; SubjectError where the subject cannot be driven."""
        declared: Declaration | Raised
        try:
            declared = self._adapter.declare()
        except SubjectError:
            raise
        except BaseException as error:
            declared = self._described(error, "build")
        if isinstance(declared, Declaration):
            # A version may be text of the framework's own type, which the judge would import to read it.
            versions = {str(name): str(version) for name, version in declared.versions.items()}
            return replace(declared, versions=versions)
        name = type(self._adapter).__name__
        came = f"raised {in_full(declared)}" if isinstance(declared, Raised) else f"gave {declared!r:.80}"
        raise SubjectError(f"asking {name} what its subject offers {came}. Expected a Declaration.")

    def clock(self) -> float:
        """Return the CPU seconds that this process has spent."""
        return process_time()

    def attend(self, calls: Sequence[Call], *, same_module: bool = False) -> list[Outcome]:
        """Make the calls in order, each on a fresh module, or all on one."""
        outcomes: list[Outcome] = []
        module, built, holds = None, None, None
        for call in calls:
            start, marked = process_time(), self._adapter.subject_seconds or 0.0
            result, raised = None, None
            phase: Phase = "build"
            try:
                if not (same_module and built == call.build):
                    module, built, holds = self._adapter.build(call.build), call.build, None
                if call.parameters is not None and call.parameters is not holds:
                    phase = "write"
                    module, holds = self._adapter.write(module, call.parameters), call.parameters
                phase = "call"
                result = checked(self._adapter.call(module, call), self._adapter)
            except BaseException as error:
                raised = self._described(error, phase)
            inside = self._adapter.subject_seconds
            seconds = process_time() - start if inside is None else inside - marked
            outcomes.append(Outcome(result, raised, seconds))
        return outcomes

    def construct(self, build: Build) -> Raised | None:
        """Build a module and forget it; return what it raised."""
        built = self._tried(lambda: self._adapter.build(build), "build")
        return built if isinstance(built, Raised) else None

    def read(self, build: Build, parameters: Parameters | None = None) -> Parameters | Raised:
        """Return the weights of a fresh module, or of one into which these were put."""

        def weights() -> Parameters:
            return self._adapter.read(self._holding(build, parameters))

        return self._tried(weights, "build")

    def sizes(self, build: Build) -> Mapping[str, int] | Raised:
        """Return how many numbers each of the weights of a fresh module is."""
        return self._tried(lambda: self._adapter.sizes(self._adapter.build(build)), "build")

    def count(self, call: Call) -> Mapping[str, int] | Raised:
        """Return the operations of one call."""
        return self._tried(
            lambda: self._adapter.count(self._holding(call.build, call.parameters), call), "call"
        )

    def script(self, call: Call, of: str = "output") -> list[str] | Raised:
        """Return lines of Python that make this call without headcheck, and end with what is asked for."""
        asked = {} if of == "output" else {"of": of}  # an adapter may know no more than calls
        return self._tried(lambda: self._adapter.script(call, **asked), "call")

    def _holding(self, build: Build, parameters: Parameters | None) -> Any:
        """Return a fresh module that holds these weights, or its own."""
        module = self._adapter.build(build)
        return module if parameters is None else self._adapter.write(module, parameters)

    def _tried(self, work: Callable[[], Answer], phase: Phase) -> Answer | Raised:
        """Return what some work gives, or what it raised."""
        try:
            return work()
        except BaseException as error:
            return self._described(error, phase)

    def _described(self, error: BaseException, phase: Phase) -> Raised:
        """Return an exception as a value.

        Once declared, a subject that is refused lacks at some sizes what it has at others.
        """
        if isinstance(error, SubjectError) and phase == "call":
            raise error
        if isinstance(error, KeyboardInterrupt) and not self._own_process:
            raise error  # the judge lives in this process too: Ctrl-C is the user's
        return described(error, phase)


def checked(result: Any, adapter: Adapter) -> Result:
    """Return the result of an adapter's call; SubjectError where it is not what the protocol asks for."""
    name = type(adapter).__name__
    if not isinstance(result, Result):
        raise SubjectError(
            f"{name}.call() gave {kind_of(result)}; expected a headcheck.adapters.protocol.Result."
        )
    arrays = {"output": result.output, "weights": result.weights, **result.gradients}
    for what, array in arrays.items():
        if array is not None and not (isinstance(array, np.ndarray) and array.dtype == np.float64):
            raise SubjectError(
                f"{name}.call() gave {kind_of(array)} as {what}; expected a NumPy array of float64, or None."
            )
    return result


def kind_of(value: Any) -> str:
    """Return the type of a value with the package that it comes from, and the dtype of an array."""
    kind = type(value)
    package = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}."
    return f"{package}{kind.__name__}" + (f" of {value.dtype}" if isinstance(value, np.ndarray) else "")


def described(error: BaseException, phase: Phase) -> Raised:
    """Return an exception as a value: type, message, and the innermost line outside of headcheck."""
    places = [(Path(f.filename), f.lineno) for f in reversed(traceback.extract_tb(error.__traceback__))]
    where = next((f"{path}:{line}" for path, line in places if not _own(path)), "")
    try:
        message = str(error)
    except Exception:  # a message that cannot be made is the implementation's fault as well
        message = "(its message could not be made)"
    return Raised(type(error).__name__, message[:MESSAGE_LIMIT], where, phase)


def _own(path: Path) -> bool:
    return any(folder in path.parents for folder in OWN)


def in_full(raised: Raised) -> str:
    """Return an exception on one line, with the place where it was raised."""
    return f"{raised} ({raised.where})" if raised.where else str(raised)


def _loaded(reference: str) -> Adapter:
    """Return the adapter of a subject; SubjectError says why there is none."""
    from headcheck.adapters.subjects import load

    gc.disable()  # what a framework's import makes stays: to look for garbage in it takes a tenth of its time
    try:
        return load(reference)
    except SubjectError:
        raise
    except BaseException as error:
        raise SubjectError(f"{reference}: loading it raised {in_full(described(error, 'build'))}.") from None
    finally:
        gc.freeze()
        gc.enable()


_servers: dict[str, Server] = {}


def perform(reference: str, verb: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Do one thing with the subject of this reference, loading it first: what a worker runs."""
    if reference not in _servers:
        _servers[reference] = Server(_loaded(reference), own_process=True)
    return getattr(_servers[reference], verb)(*arguments, **options)
