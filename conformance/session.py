"""Sessions: where a subject lives while it is judged, in this process or in a worker that may die."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from time import monotonic, process_time
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from headcheck.adapters.errors import SubjectError

from .worker import Crashed, TimedOut, Worker

if TYPE_CHECKING:
    from headcheck.adapters.protocol import Adapter, Build, Call, Declaration, Outcome, Raised
    from headcheck.reference.parameters import Parameters

IMPORTS = 120.0  # seconds that importing a subject may take
HASTE = 10.0  # so much less time has a call after one that hung, and so much more than the slowest answer
TRIALS, LEAST = 2, 10.0  # an adapter may try a subject out for so many times what one call may take, in s


class Session(ABC):
    """A subject that can be asked.  Arrays, names and declarations go in and come back."""

    reference = ""  # the subject's name, where another process could load it by that

    @abstractmethod
    def _perform(self, verb: str, *arguments: Any, **options: Any) -> Any: ...

    def declare(self) -> Declaration:
        """Return the adapter's declaration; SubjectError where the subject cannot be driven."""
        return cast("Declaration", self._perform("declare"))

    def attend(self, calls: Sequence[Call], *, same_module: bool = False) -> list[Outcome]:
        """Make the calls in order, each on a fresh module, or all on one."""
        return cast("list[Outcome]", self._perform("attend", list(calls), same_module=same_module))

    def construct(self, build: Build) -> Raised | None:
        """Build a module; return what it raised."""
        return cast("Raised | None", self._perform("construct", build))

    def read(self, build: Build, parameters: Parameters | None = None) -> Parameters | Raised:
        """Return the weights of a fresh module, or of one into which these were put."""
        return cast("Parameters | Raised", self._perform("read", build, parameters))

    def sizes(self, build: Build) -> Mapping[str, int] | Raised:
        """Return how many numbers each of the weights of a fresh module is."""
        return cast("Mapping[str, int] | Raised", self._perform("sizes", build))

    def count(self, call: Call) -> Mapping[str, int] | Raised:
        """Return the operations of one call."""
        return cast("Mapping[str, int] | Raised", self._perform("count", call))

    def clock(self) -> float:
        """Return the CPU seconds spent so far on the subject's side and on the judge's together."""
        return process_time()

    def script(self, call: Call, of: str = "output") -> list[str] | Raised:
        """Return lines of Python that make this call without headcheck, and end with what is asked for."""
        return cast("list[str] | Raised", self._perform("script", call, of))

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
    """The subject in a worker process of its own, started at once and again after each death.

    The parent never imports the subject's framework, and loads its own modules while the worker does.
    """

    def __init__(self, reference: str, *, timeout: float = 60.0):
        self.reference = reference
        self._timeout = self._longest = timeout
        self._untried = False  # a call on trial has ended a worker
        self._slowest = 0.0  # of the answers so far, in s
        self._start()
        self._ask("declare")
        self._declaring = True

    def _start(self) -> None:
        """Start a worker that loads the subject first, which counts towards no call's time."""
        self._worker, self._loaded = Worker(), False
        self._ask("load", untried=self._untried)

    def _ask(self, verb: str, *arguments: Any, **options: Any) -> None:
        self._worker.ask("headcheck.serve:perform", self.reference, verb, arguments, options)

    def _answer(self, timeout: float) -> Any:
        try:
            if not self._loaded:
                self._worker.answer(IMPORTS)
                self._loaded = True
            return self._worker.answer(timeout)
        except (Crashed, TimedOut):
            imported = self._loaded
            self._start()
            if not imported:  # or it died of the question behind, so soon that the two cannot be told apart
                self._import_alone()
            raise

    def _import_alone(self) -> None:
        """Wait for the import with nothing asked behind it; SubjectError where it ends the worker."""
        try:
            self._worker.answer(IMPORTS)
        except (Crashed, TimedOut) as death:
            raise SubjectError(f"{self.reference}: {death} while it was imported.") from None
        self._loaded = True

    def declare(self) -> Declaration:
        """Return the adapter's declaration, first asked for when the worker was started.

        Where a call on trial ends the worker, the next one declares without any, so that it is a requirement
        that makes the call, and has a case to show for it.
        """
        if not self._declaring:
            self._ask("declare")
        self._declaring = False
        try:
            return cast("Declaration", self._answer(max(TRIALS * self._timeout, LEAST)))
        except (Crashed, TimedOut):
            if self._untried:
                raise
        self._untried = True
        self._perform("load", untried=True)
        return self.declare()

    def clock(self) -> float:
        """Return the CPU seconds spent so far in both processes."""
        return process_time() + cast(float, self._perform("clock"))

    def _perform(self, verb: str, *arguments: Any, **options: Any) -> Any:
        self._ask(verb, *arguments, **options)
        asked = monotonic()
        try:
            answer = self._answer(self._timeout)
        except TimedOut:  # it hangs, which is found out: others that do are not waited for so long
            self._timeout = max(self._longest / HASTE, min(self._longest, HASTE * self._slowest))
            raise
        self._slowest = max(self._slowest, monotonic() - asked)
        return answer

    def close(self) -> None:
        """End the worker."""
        self._worker.stop()


def in_a_process(function: str, argument: str) -> Any:
    """Return what the function "module:name" gives for the argument, in a process that may die of it."""
    worker = Worker()
    try:
        worker.ask(function, argument)
        return worker.answer(IMPORTS)
    finally:
        worker.stop()
