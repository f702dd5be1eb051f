"""Formulas of a page as MathML, set when the site is built: a reader's browser loads nothing for them."""

from __future__ import annotations

from docutils import nodes
from headcheck.reports.mathml import formula
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula that stands in a sentence."""
    self.body.append(str(formula(node.astext())))
    raise nodes.SkipNode


def displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands on its own."""
    self.body.append(f'<p class="formula">{formula(node.astext(), displayed=True)}</p>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
