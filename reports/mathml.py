"""The specification's formulas as MathML, which browsers set without a script or a font of ours.

latex2mathml passes ``\\text{<script>}`` through unescaped and an unknown command through as text, so
nothing leaves here that is not well-formed MathML of known elements, without a backslash.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup

from .plain import clean

_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_ELEMENTS = frozenset(
    {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mstyle", "msub", "msup", "msubsup", "munder"}
    | {"mover", "munderover", "mfrac", "msqrt", "mroot", "mtable", "mtr", "mtd", "mpadded", "mphantom"}
)
_ATTRIBUTES = frozenset(
    {"display", "mathvariant", "stretchy", "fence", "form", "separator", "accent", "accentunder", "largeop"}
    | {"movablelimits", "columnalign", "width", "height", "depth", "lspace", "rspace", "minsize", "maxsize"}
    | {"linethickness", "columnspacing", "rowspacing", "displaystyle", "scriptlevel"}
)


class FormulaError(ValueError):
    """A formula that cannot be set: the message quotes it and says what is wrong with it."""


@lru_cache(maxsize=1024)
def formula(latex: str, displayed: bool = False) -> Markup:
    """Return one formula as a ``<math>`` element, with full-size fractions where it stands on its own line.

    Raises FormulaError where the LaTeX is malformed, uses a command that latex2mathml does not know, or
    would put anything but mathematics on the page.
    """
    if clean(latex) != latex:
        raise FormulaError(f"formula {latex[:200]!r} holds what is no LaTeX, or is too long")
    try:
        markup = convert(latex)
        root = ElementTree.fromstring(markup)
    except Exception as error:  # the converter has some thirty exceptions and no common base
        raise FormulaError(f"formula {latex!r} cannot be set: {error or type(error).__name__}") from error
    if "\\" in markup:
        raise FormulaError(f"formula {latex!r} uses a command that is not known; write it in plain LaTeX")
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        if element.tag not in _ELEMENTS or not _ATTRIBUTES.issuperset(element.attrib):
            given = f"<{element.tag}> with {dict(element.attrib)}" if element.attrib else f"<{element.tag}>"
            raise FormulaError(f"formula {latex!r} would put {given} on the page")
    if displayed:
        root.set("displaystyle", "true")
    # what was read is written anew: a CDATA section is text to XML and markup to HTML
    return Markup(ElementTree.tostring(root, encoding="unicode"))
