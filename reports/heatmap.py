"""Expected, actual and difference of one failure, side by side as tables of shaded numbers.

A small array is shown whole.  Of a larger one, the block with the worst element (one head's map of one
example) is drawn as a picture, and the numbers around the worst element are given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headcheck.verdicts import Evidence

from .grid import Grid, Index, errors, finite, ratios, read
from .png import Palette, data_uri
from .words import number

ROWS, COLUMNS = 16, 12  # an array up to this size is shown whole
NUMBERS = 5  # rows and columns of numbers shown of a larger one, the worst in their middle
PIXELS = 64  # rows and columns of its picture
STEPS = 6  # shades of one sign
NOT_FINITE = STEPS + 1

VALUES: Palette = {
    -6: "#dea655", -5: "#e6b977", -4: "#edcb98", -3: "#f3dbb6", -2: "#f8e8d0", -1: "#fcf4e8",
    0: "#ffffff",
    1: "#eaf1f9", 2: "#d2e3f3", 3: "#b5d1ea", 4: "#95bcdf", 5: "#75a7d3", 6: "#5793c7",
    NOT_FINITE: "#202020",
}  # fmt: skip
EXCESS: Palette = {0: "#ffffff", 1: "#faddd8", 2: "#f4bcb3", 3: "#eb9588", 4: "#de6e5e"}


@dataclass(frozen=True)
class Cell:
    """One element: its number, the name of its shade, and whether it is the worst."""

    text: str
    shade: str
    worst: bool


@dataclass(frozen=True)
class Block:
    """The labelled rows of one example, or of one head of one example."""

    label: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Picture:
    """A whole block, one pixel an element."""

    uri: str
    rows: int
    columns: int
    label: str


@dataclass(frozen=True)
class Panel:
    """One of the three arrays."""

    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    picture: Picture | None


@dataclass(frozen=True)
class Comparison:
    """The panels of one failure and what their shades mean."""

    panels: tuple[Panel, ...]
    top: str  # the magnitude of the darkest shade; "" where every value is zero
    signed: bool  # negative values occur
    judged: bool  # a difference is shown
    note: str  # what is not shown, and why


@dataclass(frozen=True)
class _Scale:
    """How one array is shaded: a level for each element, a name and a colour for each level."""

    prefix: str
    palette: Palette
    level: Callable[[Index], int]

    def name(self, index: Index) -> str:
        level = self.level(index)
        return f"{self.prefix}{'m' if level < 0 else ''}{abs(level)}" if level else ""


@dataclass(frozen=True)
class _Window:
    """The part of the arrays that is shown: everything, or what lies around one element."""

    grid: Grid
    centre: Index

    @property
    def whole(self) -> bool:
        columns = self.grid.axes[-1]
        return columns <= COLUMNS and len(self.grid.elements) <= ROWS * columns

    @property
    def blocks(self) -> list[Index]:
        return self.grid.blocks if self.whole else [self.centre[:-2]]

    def span(self, axis: int, most: int) -> range:
        """Return the indices shown along an axis: all of them, or ``most`` around the centre."""
        size = self.grid.axes[axis]
        if self.whole or size <= most:
            return range(size)
        start = max(0, min(self.centre[axis] - most // 2, size - most))
        return range(start, start + most)


def compare(evidence: Evidence) -> Comparison | None:
    """Return expected, actual and difference for the page; None where what came back is not numbers."""
    actual, expected = read(evidence.actual), read(evidence.expected)
    if actual is None:
        return None
    expected = (expected.spread(actual) or expected) if expected else None
    difference = errors(expected, actual) if expected and expected.shape == actual.shape else None
    over = ratios(difference, read(evidence.bound)) if difference else {}
    worst = actual.index(evidence.worst_index) or _worst(over)
    grids = [grid for grid in (expected, actual) if grid]
    top = max(grid.top for grid in grids)
    titles = ("expected", "actual") if expected else ("actual",)

    panels = [
        _panel(title, grid, _Scale("s", VALUES, _shades(grid.elements, top)), worst)
        for title, grid in zip(titles, grids, strict=True)
    ]
    if difference:
        panels.append(_panel("difference", difference, _Scale("d", EXCESS, lambda i: excess(over[i])), worst))
    return Comparison(
        panels=tuple(panels),
        top=number(top) if top else "",
        signed=any(x is not None and x < 0 for grid in grids for x in grid.elements.values()),
        judged=difference is not None,
        note=_note(expected, actual, worst),
    )


def shade(value: float | None, top: float) -> int:
    """Return the shade of a value, -STEPS to STEPS, the darkest at ``top``; NOT_FINITE where it is not."""
    if value is None or not math.isfinite(value):
        return NOT_FINITE
    steps = math.ceil(STEPS * min(1.0, abs(value) / top)) if top else 0
    return -steps if value < 0 else steps


def excess(ratio: float) -> int:
    """Return the shade of an error over its bound: 0 within it, one more for every three decades over it."""
    if ratio <= 1:
        return 0
    return 4 if math.isinf(ratio) else min(4, 1 + int(math.log10(ratio) / 3))


def _shades(elements: Mapping[Index, float | None], top: float) -> Callable[[Index], int]:
    return lambda index: shade(elements[index], top)


def _worst(over: Mapping[Index, float]) -> Index | None:
    index = max(over, key=over.__getitem__, default=None)
    return index if index is not None and over[index] > 1 else None


def _panel(title: str, grid: Grid, scale: _Scale, worst: Index | None) -> Panel:
    window = _Window(grid, worst if worst in grid.elements and worst else (0,) * len(grid.axes))
    rows, columns = window.span(-2, NUMBERS), window.span(-1, NUMBERS)
    sign = "+" if title == "difference" else ""

    def cell(index: Index) -> Cell:
        value = grid.elements[index]
        text = number(value).replace("-", "−")
        positive = finite(value) and value > 0
        return Cell(sign + text if positive else text, scale.name(index), index == worst)

    return Panel(
        title=title,
        columns=tuple(f"{_column_name(grid)}{column}" for column in columns),
        blocks=tuple(
            Block(
                _block_name(grid, block),
                tuple(
                    (f"{_row_name(grid)}{row}", tuple(cell((*block, row, column)) for column in columns))
                    for row in rows
                ),
            )
            for block in window.blocks
        ),
        picture=None if window.whole else _picture(title, window, scale),
    )


def _picture(title: str, window: _Window, scale: _Scale) -> Picture:
    block = window.centre[:-2]
    rows, columns = window.span(-2, PIXELS), window.span(-1, PIXELS)
    levels = [[scale.level((*block, row, column)) for column in columns] for row in rows]
    name = _block_name(window.grid, block)
    part = f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}"
    label = f"{title}{f' of {name}' if name else ''}, {part}"
    return Picture(data_uri(levels, scale.palette), len(rows), len(columns), label)


def _block_name(grid: Grid, block: Index) -> str:
    names = {3: ("example",), 4: ("example", "head")}.get(len(grid.shape))
    if not names:
        return f"[{', '.join(map(str, block))}]" if block else ""
    several = zip(names, block, grid.axes, strict=False)
    return ", ".join(f"{name} {i}" for name, i, size in several if size > 1)


def _row_name(grid: Grid) -> str:
    if len(grid.shape) < 2:
        return ""
    return "q" if len(grid.shape) == 4 else "row "


def _column_name(grid: Grid) -> str:
    return "k" if len(grid.shape) == 4 else ""


def _note(expected: Grid | None, actual: Grid, worst: Index | None) -> str:
    notes = []
    if expected and expected.shape != actual.shape:
        notes.append(f"The shapes differ: expected {expected.shape}, got {actual.shape}.")
    if any(not _Window(grid, grid.axes).whole for grid in (expected, actual) if grid):
        around = "the worst element" if worst else "the first"
        notes.append(
            f"Of an array of shape {actual.shape}, the block and the numbers around {around} are shown."
        )
    return " ".join(notes)
