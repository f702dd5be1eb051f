"""A badge: the endpoint JSON that shields.io draws one from, and the same drawn here as an SVG.

Its words are headcheck's own, so nothing of a subject is quoted in it.
"""

from __future__ import annotations

import json

from headcheck.verdicts import Run

LABEL = "headcheck"
_ADVANCE = 6.8  # of an average character of Verdana at 11 px; textLength makes any font fit
_PADDING = 7

# Colour by name for shields.io and by value for the SVG: white on each has a contrast above 4.5.
_COLOURS = {
    "conformant": ("brightgreen", "#2c7a17"),
    "known": ("yellowgreen", "#63701a"),
    "open": ("blue", "#0062a8"),
    "not judged": ("lightgrey", "#656565"),
    "not conformant": ("red", "#b3321c"),
}

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="round"><rect width="{width}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{colour}"/>
</g>
<g fill="#fff" font-family="Verdana,Geneva,'DejaVu Sans',sans-serif" font-size="11">
<text x="{pad}" y="14" textLength="{label_length}" lengthAdjust="spacingAndGlyphs">{label}</text>
<text x="{start}" y="14" textLength="{message_length}" lengthAdjust="spacingAndGlyphs">{message}</text>
</g>
</svg>
"""


def endpoint(run: Run) -> str:
    """Return the JSON that https://img.shields.io/endpoint draws a badge from."""
    message, tone = _verdict(run)
    badge = {"schemaVersion": 1, "label": LABEL, "message": message, "color": _COLOURS[tone][0]}
    return json.dumps(badge) + "\n"


def svg(run: Run) -> str:
    """Return the badge as an SVG document that needs nothing else."""
    message, tone = _verdict(run)
    label_length, message_length = (round(_ADVANCE * len(text)) for text in (LABEL, message))
    left, right = label_length + 2 * _PADDING, message_length + 2 * _PADDING
    return _SVG.format(
        title=f"{LABEL}: {message}",
        width=left + right,
        left=left,
        right=right,
        pad=_PADDING,
        start=left + _PADDING,
        label=LABEL,
        label_length=label_length,
        message=message,
        message_length=message_length,
        colour=_COLOURS[tone][1],
    )


def _verdict(run: Run) -> tuple[str, str]:
    """Return the words of the badge and its tone."""
    conclusions = [run.conclusion(subject.name) for subject in run.subjects]
    if run.problems:
        return "baseline needs attention", "not conformant"
    if not conclusions:
        return "not judged", "not judged"
    tone = max((_tone(conclusion) for conclusion in conclusions), key=list(_COLOURS).index)
    if len(conclusions) == 1:
        return conclusions[0], tone
    conforming = sum(conclusion.startswith("conformant") for conclusion in conclusions)
    return f"{conforming} of {len(conclusions)} conformant", tone


def _tone(conclusion: str) -> str:
    if conclusion.startswith("no failure found"):
        return "open"
    return "known" if conclusion.startswith("conformant except") else conclusion
