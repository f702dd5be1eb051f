"""A worker: another process that answers questions one by one, and may die of one.

A question is a function, by its name, and its arguments; the answer is what it returns.  Pebble runs the
process, notices its death and kills it when a question's time is over.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as OutOfTime
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pkgutil import resolve_name
from time import monotonic
from typing import Any

from headcheck.adapters.errors import SubjectError
from pebble import ProcessExpired, ProcessFuture, ProcessPool

GLANCE = 0.2  # seconds between two looks at a process that does not answer


class Crashed(Exception):
    """The worker died while the implementation ran: a segfault, an abort, an exit."""


class TimedOut(Exception):
    """The implementation did not answer in time and was stopped."""

    def __init__(self, seconds: float):
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class Worker:
    """A process that starts at once and is asked in order; after Crashed or TimedOut it is no more."""

    def __init__(self) -> None:
        self._pool = ProcessPool(
            max_workers=1,
            context=multiprocessing.get_context("spawn"),  # a forked framework deadlocks in its threads
            initializer=prepare,
            initargs=(os.getcwd(), list(sys.path)),
        )
        self._open: deque[ProcessFuture[Any]] = deque()
        with _undisturbed():  # the pool starts the process with its first task
            self._number = self._pool.schedule(os.getpid)
        self._process: BaseProcess | None = None  # once it is known which

    def ask(self, function: str, *arguments: Any) -> None:
        """Put a question, without waiting for the answer; the function is given as "module:name"."""
        self._open.append(self._pool.schedule(call, args=(function, *arguments)))

    def answer(self, timeout: float) -> Any:
        """Return the answer to the oldest open question.

        Raises Crashed where the process dies instead, TimedOut after `timeout` seconds, SubjectError where
        the function does, and RuntimeError where it raises anything else.
        """
        future = self._open.popleft()
        error = self._end(future, timeout)
        if isinstance(error, ProcessExpired):
            self.stop()
            raise Crashed(_death(error.exitcode))
        if isinstance(error, SubjectError):
            raise error
        if error is not None:
            raise RuntimeError(f"the worker failed: {type(error).__name__}: {error}") from error
        return future.result()

    def _end(self, future: ProcessFuture[Any], timeout: float) -> BaseException | None:
        """Wait for the end of a question, and return the exception that it ended in, if any.

        A process that exits with status 0 in the middle of one is not Pebble's concern: it starts the next.
        """
        until = monotonic() + timeout
        while (left := until - monotonic()) > 0:
            gone = self._left()
            try:
                return future.exception(min(GLANCE, left))
            except OutOfTime:
                if gone:  # and has left no answer
                    self.stop()
                    raise Crashed(_death(0)) from None
        self.stop()
        raise TimedOut(timeout)

    def _left(self) -> bool:
        """Return whether the process has ended with status 0."""
        number = self._number
        if self._process is None and number.done() and number.exception() is None:
            running = multiprocessing.active_children()
            self._process = next((one for one in running if one.pid == number.result()), None)
        return self._process is not None and self._process.exitcode == 0

    def stop(self) -> None:
        """End the process, in the middle of an answer where it is."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()  # not in a thread: pipes opened meanwhile could get the numbers of those it closes


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let threads and processes that start inside never hear of Ctrl-C, which is for this process to answer.

    A process that is just starting would answer with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call(function: str, *arguments: Any) -> Any:
    """Return function(*arguments): imported here alone, so that the process that asks need not load it."""
    return resolve_name(function)(*arguments)


def prepare(directory: str, path: Sequence[str]) -> None:
    """Make a new process one for a subject: what it reads is empty, and what it prints is not a result."""
    os.chdir(directory)
    sys.path[:] = path
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    _keep_compiled()


def _keep_compiled() -> None:
    """Give jax a compile cache, or it would compile each small function again in each run."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.environ.get("HEADCHECK_CACHE") or os.path.join(home, "headcheck", "jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _death(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"the process exited with status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"
