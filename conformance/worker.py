"""A worker: another process that answers questions one by one, and may die of one.

A question is a function, by its name, and its arguments; the answer is what it returns.  However the process
dies is noticed at once, an exit with status 0 included.  It and all that it started are gone when it is
stopped, when a question's time is over, and when the process that asks has died itself.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, Any
from weakref import finalize

from headcheck.adapters.protocol import SubjectError

START = "import sys; sys.path[:] = {path}; from headcheck.worker import main; main()"
GLANCE = 0.5  # seconds between looks at a process whose pipe one of its children may hold open
POSIX = os.name == "posix"


class Crashed(Exception):
    """The worker died while the implementation ran: a segfault, an abort, an exit."""


class TimedOut(Exception):
    """The implementation did not answer in time and was stopped."""


class Worker:
    """A process that starts at once and is asked in order; after Crashed or TimedOut it is no more."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", START.format(path=list(sys.path))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A group of its own: Ctrl-C is the asking process's, and what it started can be ended with it.
            process_group=0 if POSIX else None,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions = self._process.stdin
        self._answers: SimpleQueue[Any] = SimpleQueue()
        listener = Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True)
        listener.start()
        self.stop = finalize(self, _end, self._process, listener)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Put a question, without waiting for the answer."""
        with suppress(OSError, ValueError):  # it died in the meantime, as its answer will say
            _send((function, arguments), self._questions)

    def answer(self, timeout: float) -> Any:
        """Return the answer to the oldest open question.

        Raises Crashed where the process dies instead, TimedOut after `timeout` seconds, SubjectError where
        the function does, and RuntimeError with the traceback where it raises anything else.
        """
        end = monotonic() + timeout
        while True:
            try:
                answer = self._answers.get(timeout=max(min(end - monotonic(), GLANCE), 0.0))
                break
            except Empty:
                if self._process.poll() is not None:
                    answer = None
                    break
                if monotonic() >= end:
                    self.stop()
                    raise TimedOut(f"no answer within {timeout:g} s") from None
        if answer is None:
            with suppress(subprocess.TimeoutExpired):  # its pipe is closed a moment before it is dead
                self._process.wait(GLANCE)
            self.stop()
            raise Crashed(_death(self._process.returncode))
        value, error = answer
        if error is not None:
            raise error
        return value


def _end(process: subprocess.Popen[bytes], listener: Thread) -> None:
    """End a worker and all that it has started."""
    with suppress(OSError):
        if POSIX:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    listener.join(GLANCE)
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            assert pipe is not None
            pipe.close()


def _listen(pipe: IO[bytes], messages: SimpleQueue[Any]) -> None:
    """Put what comes through a pipe into a queue, and None when it is closed."""
    with suppress(Exception):
        while True:
            messages.put(pickle.load(pipe))
    messages.put(None)


def _send(message: Any, pipe: IO[bytes]) -> None:
    pipe.write(pickle.dumps(message))
    pipe.flush()


def _death(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"the process exited with status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"


def main() -> None:
    """Answer questions until there can be no more: what runs in the worker."""
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what the subject reads is empty, and what it prints is not a result
        os.dup2(nothing, stream)
    _keep_compiled()
    questions: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen_and_end, args=(pipes[0], questions), daemon=True).start()
    while True:
        function, arguments = questions.get()
        try:
            message = pickle.dumps((function(*arguments), None))
        except SubjectError as error:
            message = pickle.dumps((None, SubjectError(str(error))))
        except BaseException:
            message = pickle.dumps((None, RuntimeError(traceback.format_exc())))
        pipes[1].write(message)
        pipes[1].flush()


def _listen_and_end(pipe: IO[bytes], questions: SimpleQueue[Any]) -> None:
    """Listen; when nobody can ask any more, end this process, even in the middle of an answer."""
    _listen(pipe, questions)
    if POSIX:
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _keep_compiled() -> None:
    """Give jax a compile cache, or it would compile each small function again in each run."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.environ.get("HEADCHECK_CACHE") or os.path.join(home, "headcheck", "jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
