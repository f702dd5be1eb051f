"""Pieces of the scripts that prove a failure: calls, names and places as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
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
    given = [*map(_source, positional), *(f"{key}={_source(value)}" for key, value in keywords.items())]
    return f"{name}({', '.join(given)})"


def _source(value: Any) -> str:
    """Return the source of an argument."""
    return f'float("{value}")' if isinstance(value, float) and not isfinite(value) else repr(value)


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
    names = {"output": where.output} | ({} if where.weights is None else {"weights": where.weights})
    if names == {"output": "[0]", "weights": "[1]"}:
        return [f"output, weights, *_ = {call}", *kept]
    return [f"returned = {call}", *(f"{name} = returned{place}" for name, place in names.items()), *kept]


def output_of(call: str, where: Answer, layout: Layout) -> list[str]:
    """Return the lines that make a call which may return the output alone, or among others."""
    return [
        f"output = {call}",
        *([] if where.single else [f"output = output if hasattr(output, 'shape') else output{where.output}"]),
        *([f"output = output{TURN}"] if layout == "sequence first" else []),
    ]


def indexed(path: str) -> str:
    """Return a path as Python writes it: "linears.0.weight" as "linears[0].weight"."""
    parts = path.split(".")
    steps = (
        part if part.startswith("[") else f"[{part}]" if part.isdigit() else f".{part}" for part in parts
    )
    return "".join(steps).removeprefix(".")


def watching(stage: str, methods: Mapping[str, str], *, frozen: bool = False) -> list[str]:
    """Return lines that keep what the method of ``module`` that makes a stage gives, in a list ``seen``.

    Raises:
        NotImplementedError: no method makes it.
    """
    maker = {"projected": "split", "weights": "context"}.get(stage, stage)
    if maker not in methods:
        raise NotImplementedError(f"no method makes the stage {stage!r}")
    name = methods[maker]
    keep = "given[0]" if stage == "projected" else f"{name}(*given)"
    then = f"or {name}(*given)" if stage == "projected" else "or seen[-1]"
    watched = f"lambda *given: seen.append({keep}) {then}"
    put = f"object.__setattr__(module, {name!r}, {watched})" if frozen else f"module.{name} = {watched}"
    return [f"seen, {name} = [], module.{name}", put]


def shape_seen(stage: str) -> list[str]:
    """Return the line that gives the shape of a stage, after what was `watching` has run."""
    place = {"weights": "[1]", "context": "[0]"}.get(stage)
    one = f"(made{place} if isinstance(made, tuple) else made)" if place else "made"
    flat = stage in {"projected", "combined"}
    return [f"shape = [tuple({one}.shape) for made in seen{'' if flat else f' if {one}.ndim == 4'}][0]"]
