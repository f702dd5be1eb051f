"""Hostile names and messages through every output: nothing injected, nothing invalid, nothing lost unsaid."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from headcheck.reports import outputs
from headcheck.reports.plain import clean, one_line
from headcheck.verdicts import Run
from hypothesis import given, settings

from tests.outputs.consumers import READERS, visible
from tests.runs import HOSTILE, any_run, hostile

FORMATS = sorted(READERS)


def seen(format: str, read: Any) -> str:
    """Return all that a person is shown of an output."""
    match format:
        case "junit":
            parts = [element.get("message", "") + (element.text or "") for element in read._elem.iter()]
            return "\n".join(parts)
        case "sarif":
            return "\n".join(result["message"]["text"] for result in read["results"])
        case "github":
            return "\n".join(command["message"] for command in read)
        case "summary":
            return visible(read)
        case "gitlab":
            return "\n".join(issue["description"] for issue in read)
    return ""


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(name: str, format: str) -> None:
    text = outputs.render(format, hostile(HOSTILE[name]))
    encoded = text.encode("utf-8")
    assert len(encoded) < 900_000
    acting = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert acting <= {"\n", "\t"}
    shown = seen(format, READERS[format](text))
    if format.startswith("badge"):
        assert HOSTILE[name][:20] not in text
    elif name == "long":
        assert re.search(r"word … \[\d+ characters left out\]|wor?d?… \[\d+ characters left out\]", shown)
    else:
        message = one_line(HOSTILE[name]) if format == "gitlab" else clean(HOSTILE[name]).strip()
        assert (message.replace("](", "] (") if format == "sarif" else message) in shown


@pytest.mark.parametrize("name", HOSTILE)
def test_a_command_cannot_be_smuggled_into_an_annotation(name: str) -> None:
    commands = READERS["github"](outputs.render("github", hostile(HOSTILE[name])))
    assert [command["level"] for command in commands] == ["error"] * 4


@settings(deadline=None, max_examples=100)
@given(any_run())
def test_any_run_at_all_is_valid_in_every_output(some: Run) -> None:
    for format, read in READERS.items():
        read(outputs.render(format, some))
