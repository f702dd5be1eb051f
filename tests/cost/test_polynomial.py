from fractions import Fraction

import pytest
from headcheck.reference.polynomial import Axis, Polynomial, grid, interpolate

AXES = (Axis("n", (2, 3, 5, 7)), Axis("d", (12, 24, 36, 48)), Axis("h", (2, 4, 6), lowest=-1))


def fitted(law, axes=AXES):
    return interpolate(axes, {point: law(*point) for point in grid(axes)})


@pytest.mark.parametrize(
    ("law", "written"),
    [
        (lambda n, d, h: 4 * n * n * d + 8 * n * d * d, "4 n^2 d + 8 n d^2"),
        (lambda n, d, h: 4 * n * n * d * h + 8 * n * d * d, "4 n^2 d h + 8 n d^2"),
        (lambda n, d, h: 2 * n**3 * h + 4 * n * n * d + 8 * n * d * d, "2 n^3 h + 4 n^2 d + 8 n d^2"),
        (lambda n, d, h: 4 * n * d * (d // h) + 8 * n * d * d, "8 n d^2 + 4 n d^2 / h"),
        (lambda n, d, h: 2 * n * n * d - n * n * h, "2 n^2 d - n^2 h"),
        (lambda n, d, h: n * (n - 1) // 2 * d + 3, "1/2 n^2 d - 1/2 n d + 3"),
        (lambda n, d, h: -n, "-n"),
        (lambda n, d, h: 0, "0"),
    ],
)
def test_a_law_comes_back_exactly_and_reads_as_it_is_written(law, written):
    polynomial = fitted(law)
    assert str(polynomial) == written
    assert polynomial(9, 60, 10) == law(9, 60, 10)


def test_a_point_held_out_betrays_a_law_that_is_no_polynomial():
    def tiles(n, d, h):
        return 4 * (-(-n // 4) * 4) ** 2 * d

    assert fitted(tiles)(9, 60, 10) != tiles(9, 60, 10)


def test_a_power_beyond_the_grid_shows_at_the_point_held_out():
    assert fitted(lambda n, d, h: n**4)(9, 60, 10) != 9**4


def test_coefficients_that_cancel_leave_no_term():
    one = Polynomial(("n",), {(1,): Fraction(2), (0,): Fraction(1)})
    other = Polynomial(("n",), {(1,): Fraction(-2)})
    assert str(one + other) == "1"


def test_a_missing_value_is_named():
    with pytest.raises(KeyError, match="3"):
        interpolate((Axis("n", (2, 3)),), {(2,): 4})
