"""A table for the terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> list[str]:
    """Return the lines of a table; columns of numbers stand to the right."""
    if markdown:
        return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    sides = [">" if all(row[i][:1].isdigit() for row in rows) else "<" for i in range(len(header))]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    layout = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    return [layout.format(*row).rstrip() for row in (header, *rows)]
