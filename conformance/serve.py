"""What runs beside the implementation: the adapter, driven by plain values, in any process.

The only module that touches adapters.  It is called directly where subject and judge share a process,
and in a worker that can be killed where they do not.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from time import process_time
from typing import Any, Literal

from headcheck.adapters.protocol import (
    Adapter,
    Build,
    Call,
    Declaration,
    Outcome,
    Raised,
    SubjectError,
)
from headcheck.reference.parameters import Parameters

MESSAGE_LIMIT = 2000
Phase = Literal["build", "write", "call"]


class Server:
    """Drives one adapter.  Nothing that the implementation raises leaves it as an exception."""

    def __init__(self, adapter: Adapter, *, own_process: bool):
        self._adapter = adapter
        self._own_process = own_process

    def declare(self) -> Declaration:
        """Return the adapter's declaration; SubjectError where the subject cannot be driven."""
        return self._adapter.declare()

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
                result = self._adapter.call(module, call)
            except SubjectError:
                raise
            except BaseException as error:
                raised = self._described(error, phase)
            inside = self._adapter.subject_seconds
            seconds = process_time() - start if inside is None else inside - marked
            outcomes.append(Outcome(result, raised, seconds))
        return outcomes

    def _described(self, error: BaseException, phase: Phase) -> Raised:
        """Return an exception as a value."""
        if isinstance(error, KeyboardInterrupt) and not self._own_process:
            raise error  # the judge lives in this process too: Ctrl-C is the user's
        return described(error, phase)

    def construct(self, build: Build) -> Raised | None:
        """Build a module and forget it; return what it raised."""
        try:
            self._adapter.build(build)
        except SubjectError:
            raise
        except BaseException as error:
            return self._described(error, "build")
        return None

    def read(self, build: Build, parameters: Parameters | None = None) -> Parameters:
        """Return the weights of a fresh module, or of one into which these were put."""
        module = self._adapter.build(build)
        if parameters is not None:
            module = self._adapter.write(module, parameters)
        return self._adapter.read(module)

    def count(self, call: Call) -> Mapping[str, int]:
        """Return the operations of one call."""
        module = self._adapter.build(call.build)
        if call.parameters is not None:
            module = self._adapter.write(module, call.parameters)
        return self._adapter.count(module, call)

    def script(self, call: Call) -> list[str]:
        """Return lines of Python that make this call without headcheck."""
        return self._adapter.script(call)


def described(error: BaseException, phase: Phase) -> Raised:
    """Return an exception as a value: type, message, and the innermost line outside of headcheck."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next(
        (f"{frame.filename}:{frame.lineno}" for frame in reversed(frames) if "headcheck" not in frame.name),
        "",
    )
    try:
        message = str(error)
    except Exception:  # a message that cannot be made is the implementation's fault as well
        message = "(its message could not be made)"
    return Raised(type(error).__name__, message[:MESSAGE_LIMIT], where, phase)


_servers: dict[str, Server] = {}


def perform(reference: str, verb: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Do one thing with the subject of this reference, loading it first: what a worker runs."""
    if reference not in _servers:
        from headcheck.adapters.subjects import load

        _servers[reference] = Server(load(reference), own_process=True)
    return getattr(_servers[reference], verb)(*arguments, **options)
