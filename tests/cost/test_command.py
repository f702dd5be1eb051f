from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from headcheck.cli.cost import command
from headcheck.reports.charts import Law, loglog
from headcheck.reports.figure import figure


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_a_right_subject_shows_the_law_and_the_comparison():
    result = run("numpy", "--d-model", "64", "--seq-len", "5")
    assert result.exit_code == 0
    assert "4 n^2 d + 8 n d^2" in result.stdout
    assert "4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2" in result.stdout
    assert "8 heads of 64" in result.stdout


def test_a_wrong_one_ends_with_status_1_and_names_the_term():
    result = run("headcheck.reference.faults.on_numpy:MultipliedByIdentity")
    assert result.exit_code == 1
    assert "2 n^3 h: a product over three positions at once" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("numpy", "--num-heads", "7"), ("numpy", "--plot", "/no/such/folder/a.svg"), ("nobody_knows",), ()],
)
def test_misuse_is_status_4(arguments):
    result = run(*arguments)
    assert result.exit_code == 4
    assert result.stdout == ""


def test_the_picture_is_one_document_with_every_chart_and_nothing_from_elsewhere():
    points = [(100.0, 1.0), (200.0, 4.0), (400.0, 16.0)]
    chart = loglog(points, Law(1e-4, 2.0, (1.9, 2.1)), "length n", "CPU seconds")
    drawn = figure("time of <b>", [("first & last", chart)] * 3)
    tree = ElementTree.fromstring(drawn)
    inner = [child for child in tree if child.tag.endswith("svg")]
    assert len(inner) == 3
    assert len({(child.get("x"), child.get("y")) for child in inner}) == 3
    assert drawn.count("http") == 1  # the name of the format
    assert "prefers-color-scheme: dark" in drawn


def test_a_picture_of_another_kind_is_refused_before_anything_is_measured():
    result = run("numpy", "--plot", "a.png")
    assert result.exit_code == 4
    assert "ends in .svg" in result.stderr


def test_values_have_the_units_of_an_engineer():
    chart = loglog([(1.0, 5e-4), (4.0, 0.2)], None, "length n", "CPU time", "s")
    assert ">1 ms<" in chart
    assert ">100 ms<" in chart
    assert ">2 MB<" in loglog([(1.0, 1e6), (4.0, 4e6)], None, "length n", "peak memory", "B")
