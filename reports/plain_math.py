"""The specification's formulas as one line of plain text, for where nothing sets mathematics.

Read as LaTeX is written by hand: braces group, commands are signs, and the author's spaces stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"\\([A-Za-z]+|.)|(.)", re.DOTALL)
_GAP = "\u2003"  # a \quad, until what stands before it is known
_SIGNS = {
    **dict(re.findall(r"(\w+) (\S+)", """
        ge ≥ le ≤ ne ≠ sim ~ propto ∝ perp ⊥ in ∈ ni ∋ to → Rightarrow ⇒ leftrightarrow ↔ times × cdot ·
        odot ⊙ partial ∂ infty ∞ dots ... langle ⟨ rangle ⟩ theta θ pi π delta δ sigma σ alpha α beta β
        land and lor or bmod mod mid divides
    """)),
    **dict.fromkeys(("left", "right", "textstyle"), ""),
    **dict.fromkeys((",", ";"), " "),
    "quad": _GAP,
}  # fmt: skip
_VERBATIM = frozenset({"mathrm", "text", "mathbf", "mathbb"})
_FUNCTIONS = frozenset({"sqrt", "bar", "hat"})
_OVER = {"frac": " / ", "tfrac": "/"}
_TIDY = (
    (r" +", " "),
    (r"(?<=[(\[{⟨]) | (?=[)\]}⟩,;])", ""),
    (rf"(?<=[,;]) ?{_GAP} ?", " "),
    (rf" ?{_GAP} ?", ", "),
)


def formula(latex: str) -> str:
    """Return a formula as plain text: "A = softmax(Q K^T / sqrt(d_k))"."""
    text = _read(_tokens(latex))
    for pattern, replacement in _TIDY:
        text = re.sub(pattern, replacement, text)
    return text.strip()


def _tokens(latex: str) -> Iterator[tuple[str, str]]:
    """Yield each command without its backslash, or each other character."""
    for token in _TOKEN.finditer(latex):
        yield token[1] or "", token[2] or ""


def _read(tokens: Iterator[tuple[str, str]]) -> str:
    """Return the text up to the end of the group that is open."""
    read = ""
    for token in tokens:
        if token == ("", "}"):
            break
        read += _one(token, tokens)
    return read


def _one(token: tuple[str, str], tokens: Iterator[tuple[str, str]]) -> str:
    command, character = token
    if character == "{":
        return _read(tokens)
    if character in {"_", "^"}:
        return character + _whole(_argument(tokens))
    if command in _VERBATIM:
        return _argument(tokens)
    if command in _FUNCTIONS:
        return f"{command}({_argument(tokens)})"
    if command in _OVER:
        return _OVER[command].join((_whole(_argument(tokens)), _whole(_argument(tokens))))
    return character or _SIGNS.get(command, command)


def _argument(tokens: Iterator[tuple[str, str]]) -> str:
    """Return the group or the one sign that a command takes."""
    return next((_one(token, tokens) for token in tokens if token != ("", " ")), "")


def _whole(part: str) -> str:
    """Return a part in brackets, unless it is one name, one number or one call."""
    part = re.sub(" +", " ", part).strip()
    return part if re.fullmatch(r"\w*(\(.*\))?", part) else f"({part})"
