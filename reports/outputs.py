"""Every output by the name it has in `--output FORMAT=FILE`: pure functions of the recorded run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name

from headcheck.verdicts import Run

# The function that renders each format, imported when it is asked for: a page needs a template engine.
FORMATS: Mapping[str, str] = {
    "json": "headcheck.record:dumps",
    "html": "headcheck.reports.html:render",
    "junit": "headcheck.reports.junit:render",
    "sarif": "headcheck.reports.sarif:render",
    "github": "headcheck.reports.github:commands",
    "summary": "headcheck.reports.github:summary",
    "gitlab": "headcheck.reports.gitlab:render",
    "badge": "headcheck.reports.badge:endpoint",
    "badge-svg": "headcheck.reports.badge:svg",
}


class OutputError(Exception):
    """A request for an output that cannot be met: what was given and what was expected, in one line."""


def requested(text: str) -> tuple[str, Path]:
    """Return the format and the file of one "FORMAT=FILE"; OutputError names the nearest known format."""
    name, equals, path = text.partition("=")
    formats = ", ".join(FORMATS)
    if name not in FORMATS:
        near = difflib.get_close_matches(name.lower(), FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise OutputError(f"no output format {name!r}{hint} Expected FORMAT=FILE with one of {formats}")
    if not equals or not path:
        raise OutputError(f"no file given in {text!r}; expected {name}=FILE")
    return name, Path(path)


def renderer(name: str) -> Callable[[Run], str]:
    """Return the function that renders this format."""
    found: Callable[[Run], str] = resolve_name(FORMATS[name])
    return found


def render(name: str, run: Run) -> str:
    """Return the run in this format, which is one of FORMATS."""
    return renderer(name)(run)
