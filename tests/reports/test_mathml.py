from __future__ import annotations

from xml.etree import ElementTree

import pytest
from headcheck.reports.mathml import FormulaError, formula
from headcheck.specification import specification

from .sample import REQUIREMENTS


def formulas() -> list[tuple[str, str]]:
    own = [(one.id, one.info.formula) for one in specification()]
    return own + [(info.id, info.formula) for info in REQUIREMENTS]


@pytest.mark.parametrize(("requirement", "latex"), formulas())
def test_every_formula_can_be_set(requirement: str, latex: str) -> None:
    markup = formula(latex)
    assert "\\" not in markup
    assert ElementTree.fromstring(markup).tag == "math"


def test_a_fraction_is_a_fraction() -> None:
    fraction = ElementTree.fromstring(formula(r"\frac{q k^\top}{\sqrt{d_k}}")).find(".//mfrac")
    assert fraction is not None
    assert len(fraction) == 2
    assert fraction.find(".//msqrt") is not None


def test_on_its_own_line_a_formula_has_full_size_fractions() -> None:
    assert ElementTree.fromstring(formula("a", True)).get("displaystyle") == "true"
    assert ElementTree.fromstring(formula("a")).get("displaystyle") is None


@pytest.mark.parametrize(
    "latex",
    [
        r"\text{<script>}",
        r"\text{</mtext></math><img src=x onerror=alert(1)>}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{color:red}{x}",
        r"\unheardof{x}",
        "a & b",
        r"\text{\x}",
        "",
    ],
)
def test_nothing_but_mathematics_gets_through(latex: str) -> None:
    with pytest.raises(FormulaError, match="formula"):
        formula(latex)


def test_what_is_text_to_xml_is_no_markup_to_html() -> None:
    """In HTML a CDATA section of mathematics ends at the first ">": what follows would be an element."""
    assert "<img" not in formula(r"\text{<![CDATA[><img src=x onerror=alert(1)>]]>}")
