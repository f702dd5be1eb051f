"""The parts of the site that are code."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sphinx")

from pygments import lex
from pygments.token import Generic

from docs.console import Console
from docs.links import wrong

pytestmark = pytest.mark.docs


def site(folder: Path, **pages: str) -> list[str]:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return list(wrong(folder))


def test_links_that_lead_somewhere_are_let_through(tmp_path: Path) -> None:
    one = '<a href="two.html#there">a</a><a href="#here" id="here">b</a><a href="https://example.org/x">c</a>'
    assert site(tmp_path, one=one, two='<p id="there"></p>') == []


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ('<a href="none.html">a</a>', "one.html links to none.html, which is not there"),
        ('<a href="one.html#none">a</a>', "one.html links to one.html#none: no such place on that page"),
        ('<img src="none.png">', "one.html links to none.png, which is not there"),
        ('<script src="https://example.org/x.js"></script>', "one.html loads https://example.org/x.js"),
    ],
)
def test_what_is_wrong_with_a_link_is_said(page: str, told: str, tmp_path: Path) -> None:
    assert site(tmp_path, one=page) == [told]


def test_output_is_not_taken_for_a_command() -> None:
    tokens = list(lex("$ cat a\n# it's output\n$ echo b \\\nc\n", Console()))
    assert [text for kind, text in tokens if kind is Generic.Prompt] == ["$ ", "$ "]
    assert [text for kind, text in tokens if kind is Generic.Output] == ["# it's output\n"]
