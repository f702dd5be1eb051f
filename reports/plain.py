"""Foreign text made safe to show: names and messages of an implementation, before any report quotes them.

A message can carry terminal colours, a right-to-left override that makes `x` read as something else, a
NUL that no XML document may hold, or a megabyte of array.  Nothing here is dropped in silence: what
cannot be shown is replaced by a visible stand-in, and what is cut is counted.

Escaping for one format (markup, workflow commands, Markdown) comes after this and is that format's own.
"""

from __future__ import annotations

import re
import unicodedata

_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # a control sequence: ECMA-48, section 5.4
_BLANKS = re.compile(r"[ \t\r\n]+")
_READ = 4  # how many times the limit is looked at: a megabyte is not cleaned to show a line of it
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, format (bidi, zero width), surrogates, breaks
_NONCHARACTER = 0xFFFE  # the last two code points of every plane; XML 1.0 allows neither


class _Visible(dict[int, str]):
    """What stands for each character, for ``str.translate``; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = _stand_in(code)
        return self[code]


def _stand_in(code: int) -> str:
    character = chr(code)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ␀, ␇, ␛
    if unicodedata.category(character) in _UNSEEN or code & _NONCHARACTER == _NONCHARACTER:
        return f"⟨U+{code:04X}⟩"
    return character


_VISIBLE = _Visible()


def clean(text: str, limit: int = 2000) -> str:
    """Return the text with nothing in it that acts instead of showing, at most ``limit`` characters long.

    Terminal colour sequences become "␛", other control characters their control picture, and bidirectional
    or invisible characters "⟨U+202E⟩"; line feeds and tabs stay.  A longer text ends in a note of how many
    characters were left out.  Cleaning what is clean changes nothing.
    """
    head = text[: _READ * limit]
    return _cut(_visible(head), len(text) - len(head), limit)


def one_line(text: str, limit: int = 300) -> str:
    """Return the text cleaned and on one line: every run of spaces, tabs and line feeds is one space."""
    head = text[: _READ * limit]
    return _cut(_visible(_BLANKS.sub(" ", head.strip())), len(text) - len(head), limit)


def _visible(text: str) -> str:
    return _COLOUR.sub("\x1b", text.replace("\r\n", "\n")).translate(_VISIBLE)


def _cut(shown: str, unread: int, limit: int) -> str:
    """Return what fits, with a note of how much does not, that which was not even read included."""
    if not unread and len(shown) <= limit:
        return shown
    total = len(shown) + unread
    kept = shown[: max(0, limit - len(_note(total)))]
    return (kept + _note(total - len(kept)))[:limit]


def _note(left_out: int) -> str:
    return f"… [{left_out} characters left out]"
