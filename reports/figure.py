"""Several charts as one SVG file of its own, for where there is no page around them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

# The charts hold classes and no colours: these are the report's, for light, dark and print.
_STYLE = """
svg { --paper: #fff; --ink: #1b1d1f; --quiet: #5b6064; --rule: #d8d9d7; --strong: #8b8f92; --accent: #0b559f }
@media screen and (prefers-color-scheme: dark) {
  svg { --paper: #16181a; --ink: #e4e4e1; --quiet: #a2a7ab }
  svg { --rule: #34383b; --strong: #6b7073; --accent: #86b8f2 }
}
.paper { fill: var(--paper); }
text { fill: var(--quiet); font: 11px system-ui, "Liberation Sans", Arial, sans-serif; text-anchor: middle; }
.end { text-anchor: end; }
.title { fill: var(--ink); font-size: 13px; font-weight: 600; text-anchor: start; }
.value { fill: var(--ink); font-weight: 600; }
line { stroke: var(--strong); stroke-width: 1; }
.grid { stroke: var(--rule); }
.point { fill: var(--accent); }
.law { stroke: var(--accent); stroke-width: 1.5; stroke-dasharray: 5 4; }
"""
_WIDTH, _HEIGHT, _TITLE, _GAP = 440, 280, 26, 24  # of one chart


def figure(title: str, charts: Sequence[tuple[str, Markup]], columns: int = 2) -> str:
    """Return charts, each with its title above it, beside and below each other as an SVG document."""
    columns = min(columns, max(len(charts), 1))
    rows = -(-len(charts) // columns)
    width = columns * _WIDTH + (columns + 1) * _GAP
    height = rows * (_HEIGHT + _TITLE) + (rows + 1) * _GAP
    placed = Markup()
    for number, (name, chart) in enumerate(charts):
        x = _GAP + number % columns * (_WIDTH + _GAP)
        y = _GAP + number // columns * (_HEIGHT + _TITLE + _GAP)
        inner = Markup(str(chart).replace("<svg ", f'<svg x="{x}" y="{y + _TITLE}" ', 1))
        placed += Markup('<text class="title" x="{}" y="{}">{}</text>{}').format(x, y + 12, name, inner)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{_STYLE}</style><rect class="paper" width="100%" height="100%"/>{placed}</svg>\n'
    )
