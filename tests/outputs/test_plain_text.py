"""Foreign text made safe to show."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

import pytest
from headcheck.reports.plain import clean, one_line
from hypothesis import given
from hypothesis import strategies as st

from tests.runs import HOSTILE


@given(
    st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Cn"])), st.integers(0, 60)
)
def test_what_is_clean_is_short_visible_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert clean(shown, limit) == shown
    assert {unicodedata.category(c) for c in shown if c not in "\n\t"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    shown.encode("utf-8")
    element = ElementTree.Element("text")
    element.text = shown
    assert ElementTree.fromstring(ElementTree.tostring(element)).text == (shown or None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "␛red␛"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("user\u202eadmin", "user⟨U+202E⟩admin"),
        ("nul\x00 bell\x07 del\x7f", "nul␀ bell␇ del⟨U+007F⟩"),
        ("one\r\ntwo\rthree\n\tfour", "one\ntwo␍three\n\tfour"),
        ("\ud800 \ufffe \u2028", "⟨U+D800⟩ ⟨U+FFFE⟩ ⟨U+2028⟩"),
        ("naïve 注意 ∑ 😀 <b>", "naïve 注意 ∑ 😀 <b>"),
    ],
)
def test_what_acts_is_replaced_by_what_shows(given: str, shown: str) -> None:
    assert clean(given) == shown


def test_what_is_cut_is_counted() -> None:
    shown = clean("x" * 1_000_000, 100)
    assert 95 < len(shown) <= 100
    kept = shown.count("x", 0, 80)
    assert shown == "x" * kept + f"… [{1_000_000 - kept} characters left out]"


@pytest.mark.parametrize("name", HOSTILE)
def test_one_line_is_one_line(name: str) -> None:
    shown = one_line(HOSTILE[name], 80)
    assert len(shown.splitlines()) == 1
    assert len(shown) <= 80


def test_one_line_keeps_the_words() -> None:
    assert one_line("  a\n b\t\tc\n") == "a b c"
