"""A literal evaluates to the very array it was made from, bit for bit."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from headcheck.adapters.literals import assign, literal

ARRAYS = {
    "integers": np.array([[1.0, -2.0], [0.0, 3.0]]),
    "not whole": np.array([1 / 3, 0.1, 5e-324, 1e300, -1e22]),
    "negative zero": np.array([0.0, -0.0]),
    "zeros of both signs": np.array([0.0, 0.0, -0.0, 0.0, 0.0]),
    "not finite": np.array([[np.nan, np.inf], [-np.inf, 1.0]]),
    "constant": np.full((2, 3), 0.7),
    "identity": np.eye(3),
    "empty": np.zeros((0, 3)),
    "one number": np.array(2.5),
    "long": np.random.default_rng(0).normal(size=(2, 3, 4)),
    "large": np.random.default_rng(0).normal(size=(2, 3, 140)),
    "large and whole": np.random.default_rng(0).integers(-2, 3, (2, 520)).astype(float),
    "large, of both zeros": np.where(np.arange(520) % 3, 0.0, -0.0),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_round_trip(array: np.ndarray) -> None:
    again = eval(literal(array), {"np": np, "base64": base64, "zlib": zlib})
    assert again.shape == array.shape
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


def test_booleans_round_trip() -> None:
    allowed = np.array([[True, False], [False, True]])
    again = eval(literal(allowed, dtype="bool"), {"np": np})
    assert again.dtype == bool
    assert np.array_equal(again, allowed)


def test_whole_numbers_are_written_without_a_point() -> None:
    assert literal(np.array([1.0, 0.5])) == "np.array([1, 0.5], dtype=np.float64)"


def test_a_long_array_has_one_line_for_each_element_of_its_first_axis() -> None:
    lines = assign("query", ARRAYS["long"], module="torch", dtype="torch.float64")
    assert len(lines) == 4
    assert lines[0] == "query = torch.tensor(["
    assert lines[-1] == "], dtype=torch.float64)"
