"""The report of a run as one HTML page."""

from __future__ import annotations

from headcheck.verdicts import Run

from .document import draw
from .page import arrange


def render(run: Run) -> str:
    """Return the HTML page of a run; the same run gives the same page, byte for byte."""
    return draw("report.html.jinja", page=arrange(run))
