from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from headcheck.reports.grid import errors, ratios, read
from headcheck.reports.heatmap import EXCESS, STEPS, VALUES, Cell, compare, excess, shade
from headcheck.reports.png import data_uri
from headcheck.verdicts import Evidence


def proof(**given: Any) -> Evidence:
    return Evidence(case={}, case_text="", quantity="output", **given)


def array(nested: Any) -> np.ndarray:
    grid = read(nested)
    assert grid is not None
    values = np.empty(grid.axes)
    for index, value in grid.elements.items():
        values[index] = math.nan if value is None else value
    return values.reshape(grid.shape)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 3), (2, 1, 3, 2), (1, 2, 1, 2, 1)])
def test_nested_lists_are_read_as_numpy_reads_them(shape: tuple[int, ...]) -> None:
    values = np.arange(math.prod(shape), dtype=float).reshape(shape)
    np.testing.assert_array_equal(array(values.tolist()), values)


@pytest.mark.parametrize(
    "nested", [None, [], [[]], [[1.0], [1.0, 2.0]], [[1.0], 2.0], "nan", [["x"]], [{"number": "nan"}], {}]
)
def test_what_is_no_array_of_numbers_is_none(nested: Any) -> None:
    assert read(nested) is None


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ((), (2, 3)),
        ((3,), (2, 3)),
        ((1, 3), (2, 3)),
        ((2, 1), (2, 3)),
        ((2, 1, 3), (4, 2, 5, 3)),
        ((1,), (5,)),
    ],
)
def test_broadcasting_is_numpys(small: tuple[int, ...], large: tuple[int, ...]) -> None:
    values = np.arange(math.prod(small), dtype=float).reshape(small)
    grid, over = read(values.tolist()), read(np.zeros(large).tolist())
    assert grid is not None
    assert over is not None
    spread = grid.spread(over)
    assert spread is not None
    expected = {(0,) * (2 - len(i)) + i: x for i, x in np.ndenumerate(np.broadcast_to(values, large))}
    assert spread.elements == expected


def test_what_cannot_be_broadcast_is_not() -> None:
    grid, over = read([1.0, 2.0]), read([1.0, 2.0, 3.0])
    assert grid is not None
    assert over is not None
    assert grid.spread(over) is None
    assert over.spread(grid) is None


def test_errors_over_bounds() -> None:
    expected, actual = read([[1.0, 2.0, 3.0, 4.0, 5.0]]), read([[1.0, 2.5, None, math.inf, 6.0]])
    assert expected is not None
    assert actual is not None
    difference = errors(expected, actual)
    bound = read([[0.0, 0.25, 0.25, 0.25, math.inf]])
    assert list(ratios(difference, bound).values()) == [0.0, 2.0, math.inf, math.inf, 0.0]
    assert list(ratios(difference, read(0.5)).values()) == [0.0, 1.0, math.inf, math.inf, 2.0]
    assert list(ratios(difference, None).values()) == [0.0, *[math.inf] * 4]


def test_shades() -> None:
    assert [shade(x, 2.0) for x in (0.0, 2.0, -2.0, 0.01, -0.01)] == [0, STEPS, -STEPS, 1, -1]
    assert shade(None, 1.0) == shade(math.nan, 1.0) == STEPS + 1
    assert shade(0.0, 0.0) == 0
    assert [excess(r) for r in (0.0, 1.0, 1.1, 999.0, 1e3, 1e6, 1e9, 1e30, math.inf)] == [
        0,
        0,
        1,
        1,
        2,
        3,
        4,
        4,
        4,
    ]


def cells(comparison: Any, title: str) -> list[Cell]:
    [panel] = [panel for panel in comparison.panels if panel.title == title]
    return [cell for block in panel.blocks for _, row in block.rows for cell in row]


def test_a_small_array_is_shown_whole_with_its_worst_element() -> None:
    given = proof(
        expected=[[[[0.25, 0.75]], [[1.0, 0.0]]]],
        actual=[[[[0.5, 0.5]], [[1.0, 0.0]]]],
        bound=0.01,
        worst_index=(0, 0, 0, 1),
    )
    comparison = compare(given)
    assert comparison is not None
    assert [panel.title for panel in comparison.panels] == ["expected", "actual", "difference"]
    assert [cell.text for cell in cells(comparison, "difference")] == ["+0.25", "−0.25", "0", "0"]
    assert [cell.shade for cell in cells(comparison, "difference")] == ["d1", "d1", "", ""]
    assert [cell.worst for cell in cells(comparison, "actual")] == [False, True, False, False]
    assert [block.label for block in comparison.panels[0].blocks] == ["head 0", "head 1"]
    assert comparison.panels[0].columns == ("k0", "k1")
    assert comparison.note == ""
    assert comparison.panels[0].picture is None


def test_without_an_index_the_worst_element_is_found() -> None:
    comparison = compare(proof(expected=[1.0, 2.0, 3.0], actual=[1.0, 2.5, None], bound=0.1))
    assert comparison is not None
    assert [cell.worst for cell in cells(comparison, "actual")] == [False, False, True]
    assert [cell.text for cell in cells(comparison, "actual")] == ["1", "2.5", "NaN/Inf"]


def test_nothing_is_called_worst_where_all_is_within_the_bound() -> None:
    comparison = compare(proof(expected=[1.0, 2.0], actual=[1.0, 2.0], bound=0.1))
    assert comparison is not None
    assert not any(cell.worst for cell in cells(comparison, "actual"))


def test_expected_is_broadcast_as_the_comparison_did() -> None:
    comparison = compare(proof(expected=1.0, actual=[[1.0, 0.5]], bound=[1e-7]))
    assert comparison is not None
    assert [cell.text for cell in cells(comparison, "expected")] == ["1", "1"]
    assert [cell.text for cell in cells(comparison, "difference")] == ["0", "−0.5"]


def test_different_shapes_are_shown_side_by_side_without_a_difference() -> None:
    comparison = compare(proof(expected=[[1.0, 2.0]], actual=[1.0, 2.0, 3.0]))
    assert comparison is not None
    assert [panel.title for panel in comparison.panels] == ["expected", "actual"]
    assert comparison.note == "The shapes differ: expected (1, 2), got (3,)."


@pytest.mark.parametrize("actual", [None, "a dict", [["x"]], [[1.0], [1.0, 2.0]]])
def test_what_is_not_numbers_is_not_compared(actual: Any) -> None:
    assert compare(proof(expected=[1.0], actual=actual)) is None


def pixels(uri: str) -> tuple[list[list[int]], list[str]]:
    """Read a PNG of colour type 3 by its specification: palette indices by row, and the palette."""
    image = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(image):
        length, kind = struct.unpack(">I4s", image[at : at + 8])
        data = image[at + 8 : at + 8 + length]
        assert struct.unpack(">I", image[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + length
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 3)
    raw = zlib.decompress(chunks[b"IDAT"])
    lines = [raw[i * (width + 1) : (i + 1) * (width + 1)] for i in range(height)]
    assert all(line[0] == 0 for line in lines)
    palette = [f"#{chunks[b'PLTE'][i : i + 3].hex()}" for i in range(0, len(chunks[b"PLTE"]), 3)]
    return [list(line[1:]) for line in lines], palette


def test_a_picture_shows_every_level_in_its_colour() -> None:
    levels = [list(VALUES), list(reversed(VALUES))]
    shown, palette = pixels(data_uri(levels, VALUES))
    assert [[palette[i] for i in row] for row in shown] == [
        [VALUES[level] for level in row] for row in levels
    ]


def test_of_a_large_array_the_worst_block_is_drawn_and_the_worst_element_is_in_the_middle() -> None:
    expected = np.zeros((2, 2, 40, 100))
    actual = expected.copy()
    actual[1, 0, 30, 70] = 0.5
    given = proof(expected=expected.tolist(), actual=actual.tolist(), bound=1e-7, worst_index=(1, 0, 30, 70))
    comparison = compare(given)
    assert comparison is not None
    difference = comparison.panels[-1]
    [block] = difference.blocks
    assert block.label == "example 1, head 0"
    assert [name for name, _ in block.rows] == [f"q{row}" for row in range(28, 33)]
    assert difference.columns == tuple(f"k{column}" for column in range(68, 73))
    assert block.rows[2][1][2] == Cell("+0.5", "d3", worst=True)
    assert difference.picture is not None
    shown, palette = pixels(difference.picture.uri)
    assert np.shape(shown) == (40, 64)
    tinted = [
        (i, j) for i, row in enumerate(shown) for j, level in enumerate(row) if palette[level] != EXCESS[0]
    ]
    first = int(re.search(r"columns (\d+)", difference.picture.label).group(1))  # type: ignore[union-attr]
    assert tinted == [(30, 70 - first)]
    assert "(2, 2, 40, 100)" in comparison.note
