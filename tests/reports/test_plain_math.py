from __future__ import annotations

import re
from typing import get_args

import pytest
from headcheck.adapters.protocol import Capability
from headcheck.reports.capabilities import WHO, applies
from headcheck.reports.plain_math import formula
from headcheck.specification import specification


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"A = \mathrm{softmax}\left( Q K^T / \sqrt{d_k} \right)", "A = softmax(Q K^T / sqrt(d_k))"),
        (r"\mathrm{MultiHead} \in \mathbb{R}^{B \times n_q \times d}", "MultiHead ∈ R^(B × n_q × d)"),
        (r"A = \left( \tfrac14, \tfrac{3}{4} \right)", "A = (1/4, 3/4)"),
        (r"\frac{2 q \cdot k}{\sqrt{4 d_k}}", "(2 q · k) / sqrt(4 d_k)"),
        (r"d_{model} \ge 1, \quad h \ge 1", "d_model ≥ 1, h ≥ 1"),
        (r"x \ne 0 \quad \theta \in \{W_q, b_q\}", "x ≠ 0, θ ∈ {W_q, b_q}"),
        (r"M_{ij} = [\, j \le i + \delta \,]", "M_ij = [j ≤ i + δ]"),
        (r"M_{\cdot j} = 0", "M_(· j) = 0"),
        (r"W_o^{h+1}", "W_o^(h+1)"),
        ("4 n^2 d", "4 n^2 d"),
        (r"\unheard{x}", "unheardx"),
        ("{", ""),
        ("x_", "x_"),
    ],
)
def test_a_formula_in_plain_text(latex: str, plain: str) -> None:
    assert formula(latex) == plain


@pytest.mark.parametrize("requirement", specification(), ids=lambda requirement: requirement.id)
def test_every_formula_of_the_specification_is_plain(requirement) -> None:  # type: ignore[no-untyped-def]
    plain = formula(requirement.info.formula)
    assert "\\" not in plain
    assert re.sub(r"\{[^{}]+\}", "", plain).count("{") == 0, "braces are those of sets"
    assert not re.search(r"\b(left|right|quad|textstyle|mathrm|text|mathbb|frac)\b", plain)
    assert all(plain.count(opening) == plain.count(closing) for opening, closing in ("()", "[]", "⟨⟩"))


def test_every_capability_is_told_in_words() -> None:
    assert set(WHO) == set(get_args(Capability))
    assert applies(()) == "applies to every implementation"
    assert applies(["indivisible"]) == "applies to implementations that take d_model and num_heads"
    assert applies(["read", "bias"]).endswith(
        "that let their weights be read and have biases in their projections"
    )
    assert applies(["telepathy"]) == "applies to implementations that offer telepathy"
