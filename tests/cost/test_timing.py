import math

import pytest
from headcheck.timing import Measurement, Unmeasured, laws, measure, regression


def points(law, sizes=(100, 200, 400, 800)):
    return [Measurement("time", "n", n, law(n)) for n in sizes]


def test_a_power_law_comes_back():
    [law] = laws(points(lambda n: 3e-9 * n**2))
    assert law.exponent == pytest.approx(2)
    assert law.coefficient == pytest.approx(3e-9)
    assert law.interval == pytest.approx((2, 2))
    assert law.plot()["law"] == pytest.approx([3e-9, 2])


def test_the_interval_is_student_s():
    # By hand: y = 0, 1, 1, 2 at x = 0, 1, 2, 3 has slope 0.6 and residuals 0.1, -0.3, 0.3, -0.1 ...
    slope, intercept, half = regression([(0, 0), (1, 1), (2, 1), (3, 2)])
    assert (slope, intercept) == pytest.approx((0.6, 0.1))
    assert half == pytest.approx(4.303 * math.sqrt(0.2 / 2 / 5), rel=1e-3)


def test_a_scattered_measurement_says_that_it_settles_nothing():
    [law] = laws(points(lambda n: 1e-9 * n**2 * (1 if n in (100, 800) else 40)))
    assert "too wide to say anything" in str(law)


def test_too_few_points_and_no_growth_of_memory_make_no_law():
    assert laws(points(lambda n: n)[:3]) == []
    assert laws([Measurement("memory", "d", d, 0.0) for d in range(1, 9)]) == []


def test_a_subject_that_cannot_be_loaded_is_said_to_be_unmeasured():
    with pytest.raises(Unmeasured, match="no_such_module"):
        list(measure("no_such_module:Attention"))
