"""Two runs compared: in the terminal, as Markdown and as JSON; the page has a section of its own for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headcheck.diff import Change, Diff, Side
from headcheck.verdicts import Verdict
from rich.console import Console
from rich.text import Text

from .markdown import bounded, cell, prose
from .plain import clean, one_line
from .terminal import encodable

FORMAT = "headcheck-diff"
FORMAT_VERSION = 1
MOST_BYTES = 900_000

_TITLES = {"new": "New failures", "fixed": "Fixed", "changed": "Changed", "still_failing": "Still failing"}
_STYLES = {"new": "bold red", "fixed": "green", "changed": "yellow", "still_failing": "dim"}
_MARKS = {"new": "+", "fixed": "-", "changed": "~", "still_failing": "="}


def groups(diff: Diff) -> tuple[tuple[str, tuple[Change, ...]], ...]:
    """Return the groups that a reader is shown, each with its title; one with nothing in it is left out."""
    return tuple((title, getattr(diff, name)) for name, title in _TITLES.items() if getattr(diff, name))


def print_diff(diff: Diff, console: Console) -> None:
    """Print what changed, what fails anew first; what holds in both runs is only counted."""

    def say(text: Text) -> None:
        console.print(encodable(text, console), soft_wrap=True)

    say(Text(diff.summary, style="bold"))
    for note in diff.notes:
        say(Text(f"Note: {one_line(note)}", style="yellow"))
    for name, title in _TITLES.items():
        if changes := getattr(diff, name):
            console.print()
            say(Text(f"{title} ({len(changes)})", style=_STYLES[name]))
        for change in changes:
            mark = f"{_MARKS[name]} {one_line(change.requirement, 60)}"
            say(Text.assemble((mark, _STYLES[name]), f" {one_line(change.subject, 120)}: {change.words}"))
            if name in {"new", "changed"} and change.reason:
                say(Text(f"  {one_line(change.reason)}", style="dim"))


def markdown(diff: Diff) -> str:
    """Return what changed as Markdown, below 900 KB."""
    left_out = "\n**Cut here:** {number} of the {total} lines of this comparison are left out.\n"
    return bounded(_parts(diff), MOST_BYTES, left_out)


def to_json(diff: Diff) -> str:
    """Return what changed as a JSON document, the verdicts without their proofs."""
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "summary": diff.summary,
        "notes": [clean(note) for note in diff.notes],
        "before": _side(diff.before),
        "after": _side(diff.after),
        **{
            name: [_change(change) for change in getattr(diff, name)]
            for name in ("new", "fixed", "changed", "unchanged", "unmatched")
        },
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _parts(diff: Diff) -> Iterator[str]:
    yield f"## headcheck: {prose(diff.summary)}\n"
    for note in diff.notes:
        yield f"- {prose(note)}"
    for title, changes in groups(diff):
        yield f"\n### {title} ({len(changes)})\n"
        yield "| requirement | subject | verdict | reason |\n|---|---|---|---|"
        for change in changes:
            told = f"{cell(change.requirement)} | {cell(change.subject)} | {prose(change.words)}"
            yield f"| {told} | {cell(change.reason, 600)} |"


def _side(side: Side) -> dict[str, Any]:
    return {
        "headcheck": clean(side.headcheck),
        "specification": clean(side.spec),
        "profile": clean(side.profile),
        "seed": side.seed,
        "started": clean(side.started),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "subject": clean(change.subject),
        "requirement": clean(change.requirement),
        "level": change.level.value,
        "statement": clean(change.statement),
        "before": _verdict(change.before),
        "after": _verdict(change.after),
    }


def _verdict(verdict: Verdict | None) -> dict[str, str] | None:
    if verdict is None:
        return None
    return {"status": verdict.status.value, "message": clean(verdict.message)}
