"""Pieces of the scripts that prove a failure: calls, names and places as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .protocol import Layout
from .trial import Answer

TURN = ".swapaxes(0, 1)"  # from batch first to sequence first, and back


class Symbol(str):
    """A name in a script: it is written as it is, not as a string."""

    __slots__ = ()
    __repr__ = str.__str__


def written(name: str, positional: Sequence[Any], keywords: Mapping[str, Any]) -> str:
    """Return the source of a call with these arguments."""
    given = [*map(repr, positional), *(f"{key}={value!r}" for key, value in keywords.items())]
    return f"{name}({', '.join(given)})"


def needed(source: str) -> list[str]:
    """Return the import of the stand-in for a configuration, where the source has one."""
    return ["from types import SimpleNamespace"] if "SimpleNamespace(" in source else []


def taken_apart(call: str, where: Answer, layout: Layout) -> list[str]:
    """Return the lines that make a call and name its results, the output batch first."""
    kept = [f"weights = module.{where.kept}"] if where.kept else []
    if layout == "sequence first":
        kept.append(f"output = output{TURN}")
    if where.single:
        return [f"output = {call}", *kept]
    names = {where.output: "output"} | ({} if where.weights is None else {where.weights: "weights"})
    if names == {"[0]": "output", "[1]": "weights"}:
        return [f"output, weights, *_ = {call}", *kept]
    return [f"returned = {call}", *(f"{name} = returned{place}" for place, name in names.items()), *kept]


def indexed(path: str) -> str:
    """Return a path as Python writes it: "linears.0.weight" as "linears[0].weight"."""
    parts = path.split(".")
    steps = (
        part if part.startswith("[") else f"[{part}]" if part.isdigit() else f".{part}" for part in parts
    )
    return "".join(steps).removeprefix(".")
