"""Three small charts as inline SVG: a scale among its near misses, a distribution, a law on log-log paper.

They hold no colours: the page's style sheet gives them by class, so that one drawing serves light, dark
and print.  Each says in words, as its label, what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from .words import number

_LETTER = 6.2  # width of a character of a chart's text, in its own units
_PREFIXES = ("p", "n", "µ", "m", "", "k", "M", "G", "T")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from ``low`` to ``high``, drawn from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + (self.end - self.start) * min(1.0, max(0.0, share)), 1)

    @property
    def decades(self) -> list[float]:
        exponents = range(
            math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1
        )
        return [10.0**exponent for exponent in exponents]

    @property
    def ticks(self) -> list[float]:
        """Decades, or 1, 2 and 5 in each where there are fewer than three."""
        if len(self.decades) > 2:
            return self.decades
        below = 10.0 ** math.floor(math.log10(self.low))
        finer = [below * 10**k * step for k in range(4) for step in (1, 2, 5)]
        return [tick for tick in finer if self.low <= tick * (1 + 1e-9) and tick <= self.high * (1 + 1e-9)]


def scale_axis(measured: float, candidates: Mapping[str, float], width: int = 460) -> Markup:
    """Draw a measured scale among named candidates, the right one first, on a logarithmic axis."""
    candidates = {name: value for name, value in candidates.items() if value > 0}
    values = [*candidates.values(), measured]
    if not candidates or not measured > 0 or not all(map(math.isfinite, values)):
        return Markup()
    axis = _Axis(min(values) / 1.4, max(values) * 1.4, 8, width - 8)
    rows: list[float] = []  # where the last label of each row ends
    parts = [_line(axis.start, 26, axis.end, 26, "rule")]
    right = next(iter(candidates))
    for name, value in sorted(candidates.items(), key=lambda item: item[1]):
        at, half = axis(value), len(name) * _LETTER / 2
        middle = min(max(at, half + 1), width - half - 1)
        row = next((i for i, end in enumerate(rows) if middle - half > end + 6), len(rows))
        rows[row : row + 1] = [middle + half]
        kind = "mark right" if name == right else "mark"
        parts.append(_line(at, 21, at, 31 + 13 * row, kind))
        parts.append(_text(middle, 42 + 13 * row, name, "label right" if name == right else "label"))
    at, found = axis(measured), number(measured, 4)
    half = len(found) * _LETTER / 2
    parts.append(Markup('<path class="point" d="M{0} 25l-4.5-8h9z"/>').format(at))
    parts.append(_text(min(max(at, half + 1), width - half - 1), 12, found, "value"))
    nearest = min(candidates, key=lambda name: abs(math.log(candidates[name] / measured)))
    label = f"measured scale {found}; nearest of {', '.join(candidates)}: {nearest}"
    return _svg(width, 35 + 13 * len(rows), label, parts, "scale")


def distribution(ratios: Sequence[float], width: int = 260) -> Markup:
    """Draw how often the error was what part of the bound: a histogram from 1e-4 to 1e2, the bound at 1.

    Heights are square roots of the counts, so that one error over the bound is seen among a thousand.
    """
    axis, floor, bins = _Axis(1e-4, 1e2, 4, width - 4), 34.0, 36
    edges = [axis.low * (axis.high / axis.low) ** (i / bins) for i in range(bins + 1)]
    counts = [0] * bins
    for ratio in ratios:
        inside = axis.low < ratio < axis.high
        share = (
            math.log(ratio / axis.low) / math.log(axis.high / axis.low) if inside else not ratio <= axis.low
        )
        counts[min(bins - 1, int(share * bins + 1e-9))] += 1
    tallest = math.sqrt(max(counts, default=0) or 1)
    parts = [_line(axis.start, floor, axis.end, floor, "rule")]
    bars: dict[str, list[str]] = {"bar": [], "bar over": []}
    for count, (left, right) in zip(counts, pairwise(edges), strict=True):
        if count:
            height = round(max(2.0, 28 * math.sqrt(count) / tallest), 1)
            x, across = axis(left), round(axis(right) - axis(left) - 0.8, 1)
            bars["bar over" if left >= 1 - 1e-9 else "bar"].append(
                f"M{x} {floor:g}h{across}v{-height}h{-across}z"
            )
    parts += [Markup('<path class="{}" d="{}"/>').format(kind, "".join(d)) for kind, d in bars.items() if d]
    parts.append(_line(axis(1.0), 2, axis(1.0), floor + 3, "mark right"))
    for tick, text in ((1e-4, "≤10⁻⁴"), (1e-2, "10⁻²"), (1.0, "bound"), (1e2, "≥10²")):
        half = len(text) * _LETTER / 2
        parts.append(_text(min(max(axis(tick), half), width - half), floor + 14, text, "label"))
    over = sum(not ratio <= 1 for ratio in ratios)
    label = f"error over bound of {len(ratios)} comparisons, {over} of them over the bound"
    return _svg(width, 50, label, parts, "distribution")


@dataclass(frozen=True)
class Law:
    """A fitted power law: y = coefficient * x ** exponent, with an interval of the exponent."""

    coefficient: float
    exponent: float
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        text = f"exponent {self.exponent:.2f}"
        return f"{text} (95 %: {self.interval[0]:.2f} to {self.interval[1]:.2f})" if self.interval else text


def loglog(
    points: Sequence[tuple[float, float]], law: Law | None, x_name: str, y_name: str, unit: str = ""
) -> Markup:
    """Draw measured points and the law fitted to them on two logarithmic axes; the unit is of ``y``."""
    points = sorted((x, y) for x, y in points if 0 < x < math.inf and 0 < y < math.inf)
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return Markup()
    width, height, left, foot = 440, 280, 62, 40
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across = _Axis(min(xs) / 1.15, max(xs) * 1.15, left, width - 12)
    up = _Axis(min(ys) / 1.6, max(ys) * 1.6, height - foot, 12)
    parts = []
    for tick in up.ticks:
        parts.append(_line(left, up(tick), width - 12, up(tick), "grid"))
        parts.append(_text(left - 7, up(tick) + 4, _quantity(tick, unit), "label end"))
    for tick in sorted(set(xs)) if len(set(xs)) <= 8 else across.ticks:
        parts.append(_line(across(tick), height - foot, across(tick), height - foot + 4, "rule"))
        parts.append(_text(across(tick), height - foot + 16, number(tick, 4), "label"))
    parts.append(_line(left, height - foot, width - 12, height - foot, "rule"))
    parts.append(_line(left, 12, left, height - foot, "rule"))
    if law:
        ends = [(x, law.coefficient * x**law.exponent) for x in (xs[0], xs[-1])]
        if all(0 < y < math.inf for _, y in ends):
            (x1, y1), (x2, y2) = ends
            parts.append(_line(across(x1), up(y1), across(x2), up(y2), "law"))
        parts.append(_text(width - 16, height - foot - 8, str(law), "value end"))
    dot = Markup('<circle class="point" cx="{}" cy="{}" r="3.2"/>')
    parts += [dot.format(across(x), up(y)) for x, y in points]
    parts.append(_text((left + width) / 2, height - 6, x_name, "label"))
    turned = Markup('<text class="label" transform="translate(13 {}) rotate(-90)">{}</text>')
    parts.append(turned.format((height - foot) / 2 + 6, y_name))
    label = f"{y_name} against {x_name}, {len(points)} points" + (f"; {law}" if law else "")
    return _svg(width, height, label, parts, "loglog")


def _quantity(value: float, unit: str) -> str:
    """Return a value with its unit as an engineer writes it: "50 ms", "2 MB"; a power of ten where bare."""
    if not unit:
        return _power(value)
    thousands = min(max(math.floor(math.log10(value) / 3 + 1e-9), -4), 4)
    return f"{number(value / 1000.0**thousands)} {_PREFIXES[thousands + 4]}{unit}"


def _power(value: float) -> str:
    exponent = math.log10(value)
    if abs(exponent - round(exponent)) < 1e-9 and not -3 < exponent < 4:
        return "10" + str(round(exponent)).translate(_SUPERSCRIPTS)
    return number(value)


def _svg(width: int, height: float, label: str, parts: Iterable[Markup], kind: str) -> Markup:
    return Markup(
        '<svg class="chart {}" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">{}</svg>'
    ).format(kind, label, width, height, width, height, Markup().join(parts))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, round(x, 1), round(y, 1), text)
