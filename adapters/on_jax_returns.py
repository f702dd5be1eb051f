"""What a call of a JAX class gives back: output and weights, and the shapes on the way to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .on_jax_leaves import is_array


class Unreadable(Exception):
    """What came back is neither an output nor an output and weights; the message says what it is."""


def unpacked(returned: Any) -> tuple[Any, Any]:
    """Return output and weights, or None for weights that were not returned.

    Raises:
        Unreadable: anything but an array, or a sequence that starts with one.
    """
    if is_array(returned):
        return returned, None
    if isinstance(returned, tuple | list) and returned and is_array(returned[0]):
        weights = returned[1] if len(returned) > 1 else None
        return returned[0], weights if is_array(weights) else None
    raise Unreadable(in_words(returned))


def in_words(value: Any) -> str:
    """Return what a value is, for a message."""
    if value is None:
        return "None"
    if isinstance(value, dict):
        return f"a dict with {', '.join(map(repr, value)) or 'nothing'}"
    if isinstance(value, tuple | list):
        parts = ", ".join(type(part).__name__ for part in value) or "nothing"
        return f"a {type(value).__name__} of {parts}"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def shapes(own: Any, methods: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Watch the methods of an object that make a stage; return the shapes, empty until it is called."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(stage: str, value: Any) -> None:
        if is_array(value):
            seen.setdefault(stage, tuple(value.shape))

    def watched(stage: str, method: Any) -> Any:
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
        object.__setattr__(own, name, watched(stage, getattr(own, name)))
    return seen
