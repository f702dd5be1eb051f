"""Foreign text in GitHub-flavoured Markdown: as code, where nothing in it means anything, or escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .plain import clean, one_line

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|&~@$])")
_LINK = re.compile(r"https?://[\w.:/?=&%#~+,;-]{1,500}", re.ASCII)


def code(text: str, limit: int = 300) -> str:
    """Return text as a code span on one line; a table needs `cell`."""
    shown = one_line(text, limit)
    if not shown:
        return ""
    ticks = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def cell(text: str, limit: int = 300) -> str:
    """Return text as code in a table, whose bars would split a code span."""
    shown = one_line(text, limit)
    return f"<code>{_SPECIAL.sub(lambda found: f'&#{ord(found[0])};', shown)}</code>" if shown else ""


def block(text: str, language: str = "text", limit: int = 4000) -> str:
    """Return text as a fenced code block."""
    shown = clean(text, limit)
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", shown))]))
    return f"{fence}{language}\n{shown.rstrip()}\n{fence}"


def prose(text: str, limit: int = 2000) -> str:
    """Return text as one line of prose in which every character stands for itself."""
    return _SPECIAL.sub(r"\\\1", one_line(text, limit))


def link(text: str) -> str:
    """Return a web address as a link, anything else as code; both stand in a table."""
    return f"<{text}>" if _LINK.fullmatch(text) else cell(text)


def bounded(parts: Iterable[str], limit: int, left_out: str) -> str:
    """Return as many parts as fit into `limit` bytes, and say how many of them did not.

    ``left_out`` is the sentence, with ``{number}`` and ``{total}`` in it.
    """
    parts = tuple(parts)
    room = limit - len(left_out.encode()) - 40
    for number, part in enumerate(parts):
        room -= len(part.encode()) + 1
        if room < 0:
            said = left_out.format(number=len(parts) - number, total=len(parts))
            return "\n".join([*parts[:number], said]) + "\n"
    return "\n".join(parts) + "\n"
