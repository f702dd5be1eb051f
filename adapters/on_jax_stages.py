"""The shapes on the way from the inputs to the output, as the methods of a JAX class show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .on_jax_leaves import is_array
from .stages import see


def watched(own: Any, methods: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Watch the methods of an object that make a stage; return the shapes, empty until it is called."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(stage: str, value: Any) -> None:
        if is_array(value):
            see(seen, stage, value)

    def watching(stage: str, method: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = method(*arguments, **keywords)
            if stage == "split" and arguments:
                note("projected", arguments[0])
            if stage == "context" and isinstance(result, tuple) and len(result) > 1:
                note("context", result[0])
                note("weights", result[1])
            else:
                note(stage, result)
            return result

        return call

    for stage, name in methods.items():
        object.__setattr__(own, name, watching(stage, getattr(own, name)))
    return seen
