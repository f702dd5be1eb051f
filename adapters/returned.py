"""What an implementation returned, in words."""

from __future__ import annotations

from typing import Any

LONGEST = 6  # names or items listed


def in_words(value: Any) -> str:
    """Return a short description: "None", "a dict with the keys 'output', 'weights'", ..."""
    if value is None:
        return "None"
    kind = type(value)
    shape = getattr(value, "shape", None)
    if shape is not None:
        top = kind.__module__.partition(".")[0]
        return f"{top}.{kind.__name__} of shape {tuple(shape)}"
    if isinstance(value, dict | tuple | list) and not value:
        return f"an empty {kind.__name__}"
    if isinstance(value, dict):
        return f"a dict with the keys {_listed(map(repr, value))}"
    if isinstance(value, tuple | list):
        return f"a {kind.__name__} of {len(value)}: {_listed(map(in_words, value))}"
    return f"an object of type {kind.__name__}"


def _listed(items: Any) -> str:
    listed = list(items)
    return ", ".join(listed[:LONGEST]) + (", ..." if len(listed) > LONGEST else "")
