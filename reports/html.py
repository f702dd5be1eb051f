"""The report of a run as one HTML page."""

from __future__ import annotations

from headcheck.diff import Diff
from headcheck.verdicts import Run

from .document import draw
from .page import arrange


def render(run: Run, diff: Diff | None = None) -> str:
    """Return the HTML page of a run, with what has changed since an earlier one where that is given.

    The same values give the same page, byte for byte.
    """
    return draw("report.html.jinja", page=arrange(run, diff))
