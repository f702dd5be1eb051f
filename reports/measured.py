"""What was measured on the way to a verdict, sorted into what can be drawn and what is listed.

Of `Verdict.measured`, these names are drawn; every other is shown with its value:

    scale       [{"d_k", "num_heads", "measured", "expected"}, ...], one for every size tried
    polynomial  "4 n^2 d + 8 n d^2"
    table       {"columns": ["", "parameters"], "rows": [["one head", 1024], ...]}
    plots       [{"title", "x", "y", "points": [[x, y], ...], "law": [coefficient, exponent],
                "interval": [low, high], "unit": "s"}, ...]; law and interval where one was fitted,
                the unit where y has one
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from headcheck.verdicts import Verdict
from markupsafe import Markup

from .charts import Law, loglog, scale_axis
from .words import number

T = TypeVar("T")
_DRAWN = frozenset({"scale", "polynomial", "table", "plots"})


@dataclass(frozen=True)
class Table:
    """A small table; its first column names the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scale:
    """The scale measured at the most telling size: where it was furthest from the right one."""

    size: str
    found: str
    expected: str
    axis: Markup


@dataclass(frozen=True)
class Measured:
    """The measurements of one verdict, ready to be shown."""

    verdict: Verdict
    scale: Scale | None
    polynomial: str
    table: Table | None
    plots: tuple[tuple[str, Markup], ...]
    others: tuple[tuple[str, str], ...]


def measured(verdict: Verdict) -> Measured:
    """Return the measurements of a verdict; what does not have the form described above is left out."""
    given = dict(verdict.measured)
    plots = given.get("plots")
    plots = plots if isinstance(plots, list | tuple) else ()
    return Measured(
        verdict=verdict,
        scale=_drawn(_scale, given.get("scale")),
        polynomial=str(given.get("polynomial") or ""),
        table=_drawn(_table, given.get("table")),
        plots=tuple(drawn for plot in plots if (drawn := _drawn(_plot, plot))),
        others=tuple((str(name), words(value)) for name, value in given.items() if name not in _DRAWN),
    )


def near_misses(d_k: int, num_heads: int) -> dict[str, float]:
    """Return the scales that have been shipped by mistake, the right one first; equal ones share a name."""
    named = {
        "1/√d_k": d_k**-0.5,
        "1": 1.0,
        "1/d_k": 1 / d_k,
        "1/√d_model": (d_k * num_heads) ** -0.5,
        "1/√h": num_heads**-0.5,
        "1/8": 1 / 8,
    }
    names: dict[float, str] = {}
    for name, value in named.items():
        names[value] = f"{names[value]}, {name}" if value in names else name
    return {name: value for value, name in names.items()}


def words(value: Any) -> str:
    """Return any recorded value as a short line of text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {words(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(words(part) for part in value)
    return str(value)


def _drawn(draw: Callable[[Any], T], value: Any) -> T | None:
    try:
        return draw(value) if value else None
    except (TypeError, ValueError, LookupError):  # not of the form described above
        return None


def _scale(value: Any) -> Scale:
    worst = max(value, key=_telling)
    d_k, num_heads = int(worst["d_k"]), int(worst["num_heads"])
    found = float(worst["measured"])
    return Scale(
        size=f"d_k {d_k}, h {num_heads}",
        found=number(found, 6),
        expected=number(float(worst["expected"]), 6),
        axis=scale_axis(found, near_misses(d_k, num_heads)),
    )


def _telling(size: Mapping[str, float]) -> tuple[float, int]:
    """Order sizes by how far the scale is off there, then by how many near misses can be told apart."""
    off = abs(math.log(size["measured"] / size["expected"]))
    return round(off, 3), len(near_misses(int(size["d_k"]), int(size["num_heads"])))


def _table(value: Any) -> Table:
    columns = tuple(str(column) for column in value["columns"])
    rows = tuple(tuple(words(cell) for cell in row) for row in value["rows"])
    return Table(columns, tuple(row for row in rows if len(row) == len(columns)))


def _plot(value: Any) -> tuple[str, Markup]:
    points = [(float(x), float(y)) for x, y in value["points"]]
    law = None
    if fitted := value.get("law"):
        interval = tuple(float(end) for end in value.get("interval") or ())
        law = Law(float(fitted[0]), float(fitted[1]), (interval[0], interval[1]) if interval else None)
    return str(value["title"]), loglog(
        points, law, str(value["x"]), str(value["y"]), str(value.get("unit") or "")
    )
