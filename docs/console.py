"""What a reader types and what comes back, told apart: "$ " begins a command, and all else is output.

Pygments' own lexer takes an output line with a # for another prompt.
"""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups, using
from pygments.lexers.shell import BashLexer
from pygments.token import Generic
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


class Console(RegexLexer):
    """A transcript, as `docs.transcript` plays it."""

    name = "console"
    tokens = {  # noqa: RUF012
        "root": [
            (r"^(\$ )((?:.*\\\n)*.*\n)", bygroups(Generic.Prompt, using(BashLexer))),
            (r".*\n", Generic.Output),
        ]
    }


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_lexer("console", Console)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
