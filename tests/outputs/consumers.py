"""Each output read as its consumer reads it: a parser or a schema of somebody else's where there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from markdown_it.token import Token

SARIF = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8-sig"))

# Of GitLab's documentation, "Code Quality report format".
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./|/)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}

# Of the page https://shields.io/badges/endpoint-badge.
SHIELDS = {
    "type": "object",
    "required": ["schemaVersion", "label", "message"],
    "additionalProperties": False,
    "properties": {
        "schemaVersion": {"const": 1},
        "label": {"type": "string"},
        "message": {"type": "string", "minLength": 1},
        "color": {
            "enum": ["brightgreen", "green", "yellowgreen", "yellow", "orange", "red", "blue", "lightgrey"]
        },
    },
}


def junit(text: str) -> JUnitXml:
    return JUnitXml.fromstring(text.encode())


def sarif(text: str) -> Any:
    log = json.loads(text)
    Draft202012Validator(SARIF).validate(log)
    return log["runs"][0]


def gitlab(text: str) -> Any:
    issues = json.loads(text)
    Draft202012Validator(GITLAB).validate(issues)
    named = [issue["fingerprint"] for issue in issues]
    assert len(set(named)) == len(named)  # GitLab shows only the first of each
    return issues


def shields(text: str) -> Any:
    badge = json.loads(text)
    Draft202012Validator(SHIELDS).validate(badge)
    return badge


def workflow_commands(text: str) -> list[dict[str, str]]:
    """Return the commands as the runner reads them; a line that is none of ours is an AssertionError."""
    commands = []
    for line in text.split("\n")[:-1]:
        parsed = re.fullmatch(r"::(error|warning) ([^:]*)::(.*)", line)
        assert parsed, line
        properties = dict(pair.split("=", 1) for pair in parsed[2].split(","))
        assert set(properties) <= {"file", "line", "title"}
        unescaped = {name: _unescaped(value) for name, value in properties.items()}
        commands.append({**unescaped, "level": parsed[1], "message": _unescaped(parsed[3])})
    return commands


def _unescaped(text: str) -> str:
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def markdown(text: str) -> list[Token]:
    """Return all tokens of the Markdown; what is raw HTML, a link or an image must be of our own making."""
    nested = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    tokens = [child for token in nested for child in (token, *(token.children or ()))]
    for token in tokens:
        if token.type in {"html_inline", "html_block"}:
            own = r"</?code>|<details><summary>Script, without headcheck</summary>|</details>"
            assert re.fullmatch(own, token.content.strip()), token.content
        assert token.type not in {"image", "strong_open", "s_open"} or token.markup == "**"
        if token.type == "link_open":
            assert re.fullmatch(r"https?://[^\s<>()\"']+", str(token.attrs["href"])), token.attrs
    return tokens


def visible(tokens: list[Token]) -> str:
    """Return all that a reader of the Markdown sees."""
    return "\n".join(token.content for token in tokens if token.type not in {"html_inline", "html_block"})


def svg(text: str) -> ElementTree.Element:
    image = ElementTree.fromstring(text)
    for element in image.iter():
        assert element.tag.rpartition("}")[2] in {"svg", "title", "clipPath", "rect", "g", "text"}
        assert not {name for name in element.attrib if name.startswith("on") or "href" in name}
    return image


READERS: Mapping[str, Callable[[str], Any]] = {
    "junit": junit,
    "sarif": sarif,
    "github": workflow_commands,
    "summary": markdown,
    "gitlab": gitlab,
    "badge": shields,
    "badge-svg": svg,
}
