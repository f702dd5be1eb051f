"""Watching what an implementation's methods make while it runs, where their names say which stage it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

from .discovery import stages

Shapes = dict[str, tuple[int, ...]]
FLAT = {
    "projected",
    "combined",
}  # have three axes; of the others a method may make a flattened form


def see(seen: Shapes, stage: str, value: Any) -> None:
    """Record the shape of a stage the first time that it is made."""
    shape = getattr(value, "shape", None)
    if shape is not None and (stage in FLAT or len(shape) == 4):
        seen.setdefault(stage, tuple(shape))


@contextmanager
def watched(module: Any) -> Iterator[Shapes]:
    """Record the shapes that a module's methods return; the module is left as it was."""
    seen: Shapes = {}
    with ExitStack() as stack:
        for stage, name in stages(type(module)).items():
            stack.enter_context(_wrapped(module, name, stage, seen))
        yield seen


@contextmanager
def _wrapped(module: Any, name: str, stage: str, seen: Shapes) -> Iterator[None]:
    """Put a method that records what it returns before the class's own."""
    method: Callable[..., Any] = getattr(module, name)
    if name in vars(module):
        yield
        return

    @wraps(method)
    def recording(*args: Any, **kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        if stage == "split" and args:
            see(seen, "projected", args[0])
        several = isinstance(made, tuple) and len(made) > 1
        see(seen, stage, made[0] if several else made)
        if stage == "context" and several:
            see(seen, "weights", made[1])
        return made

    vars(module)[name] = recording
    try:
        yield
    finally:
        del vars(module)[name]
