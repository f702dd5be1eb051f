"""Sessions: where a subject lives while it is judged, in this process or in a worker that may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from time import process_time
from types import TracebackType
from typing import Any, TypeVar, cast

from headcheck.adapters.protocol import Adapter, Build, Call, Declaration, Outcome, Raised
from headcheck.reference.parameters import Parameters

Answer = TypeVar("Answer")


class Crashed(Exception):
    """The worker died while the implementation ran: a segfault, an abort, an exit."""


class TimedOut(Exception):
    """The implementation did not answer in time and was stopped."""


class Session(ABC):
    """A subject that can be asked.  Arrays, names and declarations go in and come back."""

    reference = ""  # the subject's name, where another process could load it by that

    @abstractmethod
    def _perform(self, verb: str, *arguments: Any, **options: Any) -> Any: ...

    def declare(self) -> Declaration:
        """Return the adapter's declaration; SubjectError where the subject cannot be driven."""
        return cast(Declaration, self._perform("declare"))

    def attend(self, calls: Sequence[Call], *, same_module: bool = False) -> list[Outcome]:
        """Make the calls in order, each on a fresh module, or all on one."""
        return cast("list[Outcome]", self._perform("attend", list(calls), same_module=same_module))

    def construct(self, build: Build) -> Raised | None:
        """Build a module; return what it raised."""
        return cast("Raised | None", self._perform("construct", build))

    def read(self, build: Build, parameters: Parameters | None = None) -> Parameters:
        """Return the weights of a fresh module, or of one into which these were put."""
        return cast(Parameters, self._perform("read", build, parameters))

    def count(self, call: Call) -> Mapping[str, int]:
        """Return the operations of one call."""
        return cast("Mapping[str, int]", self._perform("count", call))

    def clock(self) -> float:
        """Return the CPU seconds spent so far on the subject's side and on the judge's together."""
        return process_time()

    def script(self, call: Call) -> list[str]:
        """Return lines of Python that make this call without headcheck."""
        return cast("list[str]", self._perform("script", call))

    def close(self) -> None:  # noqa: B027 -- nothing to close unless a process was started
        """Give back what the session holds."""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InProcess(Session):
    """The subject in this process: nothing protects the judge from a crash."""

    def __init__(self, adapter: Adapter):
        from .serve import Server

        self._server = Server(adapter, own_process=False)

    def _perform(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self._server, verb)(*arguments, **options)


class Isolated(Session):
    """The subject in a worker process of its own, started at once and again after each crash.

    The parent never imports the subject's framework, and loads its own modules while the worker does.
    """

    def __init__(self, reference: str, *, timeout: float = 60.0, patience: float = 300.0):
        from pebble import ProcessPool

        self.reference = reference
        self._timeout = timeout
        self._patience = patience  # for the first answer, which waits for imports and compilers
        self._pool = ProcessPool(
            max_workers=1,
            context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(os.getcwd(), list(sys.path)),
        )
        self._declaration = self._schedule("declare", (), {}, patience)

    def _schedule(
        self, verb: str, arguments: tuple[Any, ...], options: Mapping[str, Any], timeout: float
    ) -> Any:
        from .serve import perform

        return self._pool.schedule(perform, args=(self.reference, verb, arguments, options), timeout=timeout)

    def declare(self) -> Declaration:
        """Return the adapter's declaration, asked for when the worker was started."""
        return cast(Declaration, self._result(self._declaration, self._patience))

    def clock(self) -> float:
        """Return the CPU seconds spent so far in both processes."""
        return process_time() + cast(float, self._perform("clock"))

    def _perform(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return self._result(self._schedule(verb, arguments, options, self._timeout), self._timeout)

    def _result(self, future: Any, timeout: float) -> Any:
        from pebble import ProcessExpired

        try:
            return future.result()
        except ProcessExpired as error:
            raise Crashed(_death(error.exitcode)) from None
        except (FutureTimeout, TimeoutError):
            raise TimedOut(f"no answer within {timeout:g} s") from None

    def close(self) -> None:
        """End the worker."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def in_a_process(function: Callable[[str], Answer], argument: str, *, timeout: float) -> Answer:
    """Return function(argument), called in a process of its own, which may die."""
    from pebble import ProcessExpired, ProcessPool

    context = multiprocessing.get_context("spawn")
    initargs = (os.getcwd(), list(sys.path))
    with ProcessPool(max_workers=1, context=context, initializer=_start_worker, initargs=initargs) as pool:
        future = pool.schedule(function, args=(argument,), timeout=timeout)
        try:
            return future.result()
        except ProcessExpired as error:
            raise Crashed(_death(error.exitcode)) from None
        except (FutureTimeout, TimeoutError):
            raise TimedOut(f"no answer within {timeout:g} s") from None


def _start_worker(directory: str, path: list[str]) -> None:
    """Prepare the worker: Ctrl-C is the parent's, and what the subject prints is not a result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(directory)
    sys.path[:] = path
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    # A compile cache of our own: jax would otherwise compile each small function again in each run.
    cache = os.environ.get("HEADCHECK_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "headcheck", "jax"
    )
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _death(exitcode: int | None) -> str:
    """Return how a process ended, in words."""
    if exitcode is None:
        return "the process ended"
    if exitcode < 0:
        try:
            return f"the process was killed by {signal.Signals(-exitcode).name}"
        except ValueError:
            return f"the process was killed by signal {-exitcode}"
    return f"the process exited with status {exitcode}"
