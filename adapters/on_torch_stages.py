"""Watching the shapes of a torch module's stages while it runs, where its methods and layers show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

from torch import Tensor, nn

from .discovery import stages

Shapes = dict[str, tuple[int, ...]]


@contextmanager
def watched(module: nn.Module, projections: Mapping[str, str]) -> Iterator[Shapes]:
    """Record the shape of each stage the first time that it is made; the module is left as it was."""
    seen: Shapes = {}

    def see(stage: str, value: Any) -> None:
        if isinstance(value, Tensor):
            seen.setdefault(stage, tuple(value.shape))

    with ExitStack() as stack:
        for role, path in projections.items():
            layer = dict(module.named_modules()).get(path)
            if layer is None:
                continue
            if role == "W_o":
                handle = layer.register_forward_pre_hook(lambda _, given: see("combined", given[0]))
            elif role in {"W_q", "W_k", "W_v"}:
                handle = layer.register_forward_hook(lambda _, __, made: see("projected", made))
            else:
                continue
            stack.callback(handle.remove)
        for stage, name in stages(type(module)).items():
            stack.enter_context(_wrapped(module, name, _reporter(stage, see)))
        yield seen


def _reporter(stage: str, see: Callable[[str, Any], None]) -> Callable[[Any], None]:
    def report(made: Any) -> None:
        first = made[0] if isinstance(made, tuple) and made else made
        see(stage, first)
        if stage == "context" and isinstance(made, tuple) and len(made) > 1:
            see("weights", made[1])

    return report


@contextmanager
def _wrapped(module: nn.Module, name: str, report: Callable[[Any], None]) -> Iterator[None]:
    """Put a method that reports what it returns before the class's own."""
    method = getattr(module, name)
    if name in vars(module) or isinstance(method, nn.Module):
        yield
        return

    @wraps(method)
    def reporting(*args: Any, **kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        report(made)
        return made

    vars(module)[name] = reporting
    try:
        yield
    finally:
        del vars(module)[name]
