from __future__ import annotations

import re
from itertools import pairwise
from math import inf, log, nan, sqrt
from xml.etree.ElementTree import Element, fromstring

import pytest
from headcheck.reports.charts import Law, distribution, loglog, scale_axis
from headcheck.reports.measured import measured, near_misses, words
from headcheck.verdicts import Level, Status, Verdict


def of_class(chart: str, kind: str) -> list[Element]:
    return [element for element in fromstring(chart).iter() if kind in (element.get("class") or "").split()]


def x_of(element: Element) -> float:
    return float(re.match(r"M([\d.]+)", element.get("d", "")).group(1))  # type: ignore[union-attr]


def test_the_scale_axis_is_logarithmic_and_marks_the_right_one() -> None:
    chart = scale_axis(0.5, {"1/√d_k": 0.5, "1": 1.0, "1/d_k": 0.25})
    marks = {float(mark.get("x1", "")): "right" in mark.get("class", "") for mark in of_class(chart, "mark")}
    low, middle, high = sorted(marks)
    assert middle - low == pytest.approx(high - middle, abs=0.2)
    assert [marks[x] for x in (low, middle, high)] == [False, True, False]
    assert x_of(of_class(chart, "point")[0]) == pytest.approx(middle)
    assert fromstring(chart).get("aria-label") == "measured scale 0.5; nearest of 1/√d_k, 1, 1/d_k: 1/√d_k"


def test_labels_of_neighbours_do_not_overlap() -> None:
    candidates = {f"candidate {i}": 1 + i / 100 for i in range(6)}
    labels = of_class(scale_axis(1.0, candidates), "label")
    boxes = sorted((float(e.get("y", "")), float(e.get("x", "")), len(e.text or "") * 6.2) for e in labels)
    for (y1, x1, w1), (y2, x2, w2) in pairwise(boxes):
        assert y1 != y2 or x2 - x1 >= (w1 + w2) / 2


@pytest.mark.parametrize("found", [0.0, -0.5, nan, inf])
def test_a_scale_that_has_no_place_on_the_axis_is_not_drawn(found: float) -> None:
    assert scale_axis(found, {"1": 1.0}) == ""


def test_near_misses_share_a_name_where_they_coincide() -> None:
    misses = near_misses(64, 1)
    assert misses == {"1/√d_k, 1/√d_model, 1/8": 1 / 8, "1, 1/√h": 1.0, "1/d_k": 1 / 64}
    assert next(iter(near_misses(3, 4).items())) == ("1/√d_k", pytest.approx(1 / sqrt(3)))


def test_a_distribution_counts_every_ratio_and_colours_those_over_the_bound() -> None:
    chart = distribution([0.0, 1e-9, 0.01, 0.01, 0.01, 0.01, 0.5, 1.5, inf, nan])
    bars = of_class(chart, "bar")
    [over] = [bar for bar in bars if "over" in bar.get("class", "")]
    [within] = [bar for bar in bars if bar is not over]
    heights = [float(v) for v in re.findall(r"v-([\d.]+)", within.get("d", ""))]
    # two exact ones, four of 0.01, one of 0.5: heights as square roots
    assert heights == pytest.approx([28 * sqrt(2 / 4), 28, 14], abs=0.1)
    assert over.get("d", "").count("M") == 2
    assert (
        fromstring(chart).get("aria-label") == "error over bound of 10 comparisons, 3 of them over the bound"
    )


def test_an_empty_distribution_is_an_empty_axis() -> None:
    assert of_class(distribution([]), "bar") == []


def test_points_of_a_power_law_lie_on_its_line() -> None:
    chart = loglog([(x, 3 * x**2) for x in (1.0, 4.0, 32.0)], Law(3.0, 2.0, (1.9, 2.1)), "n", "seconds")
    [law] = of_class(chart, "law")
    x1, y1, x2, y2 = (float(law.get(name, "")) for name in ("x1", "y1", "x2", "y2"))
    for point in of_class(chart, "point"):
        share = (float(point.get("cx", "")) - x1) / (x2 - x1)
        assert float(point.get("cy", "")) == pytest.approx(y1 + share * (y2 - y1), abs=0.3)
    middle = float(of_class(chart, "point")[1].get("cx", ""))
    assert (middle - x1) / (x2 - x1) == pytest.approx(log(4) / log(32), abs=0.01)
    assert "exponent 2.00 (95 %: 1.90 to 2.10)" in chart


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 2.0)], [(0.0, 1.0), (1.0, -1.0)]])
def test_what_gives_no_line_is_not_drawn(points: list[tuple[float, float]]) -> None:
    assert loglog(points, None, "n", "s") == ""


def test_names_in_charts_are_escaped() -> None:
    chart = loglog([(1, 1), (2, 2)], None, '<script>"', "<b>")
    assert "<script>" not in chart
    assert "<b>" not in chart
    assert fromstring(chart) is not None


def given(**values: object) -> Verdict:
    return Verdict("s", "SCALE-DK", Level.MUST, Status.PASS, measured=values)


def test_the_scale_furthest_from_the_right_one_is_shown() -> None:
    sizes = [
        {"d_k": 4, "num_heads": 2, "measured": 0.5, "expected": 0.5},
        {"d_k": 16, "num_heads": 2, "measured": 0.2, "expected": 0.25},
    ]
    scale = measured(given(scale=sizes)).scale
    assert scale is not None
    assert (scale.size, scale.found, scale.expected) == ("d_k 16, h 2", "0.2", "0.25")


@pytest.mark.parametrize(
    "values",
    [
        {"scale": 0.5, "table": {"columns": 3}, "plots": [{"points": "x"}]},
        {"scale": [{"d_k": "x"}], "table": [1], "plots": {"a": 1}},
        {"scale": [{"d_k": 1, "num_heads": 1, "measured": -1, "expected": 1}], "plots": [None, 3]},
        {"table": {"columns": ["a"], "rows": [3]}, "plots": [{"points": [[1]], "x": 1, "y": 2, "title": 3}]},
    ],
)
def test_measurements_of_another_form_are_left_out(values: dict[str, object]) -> None:
    shown = measured(given(**values))
    assert (shown.scale, shown.table, shown.plots) == (None, None, ())


def test_any_value_has_words() -> None:
    value = {"a": [1, 2.5, None, True], "b": 1234567}
    assert words(value) == "a 1, 2.5, none, yes, b 1\u202f234\u202f567"
