"""The site: `tox run -e docs`.  Broken links, unknown names and files that are not there fail the build."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from headcheck import __version__  # noqa: E402
from sphinx.errors import ConfigError  # noqa: E402

from docs import catalogue, examples, fragments, selftest  # noqa: E402

project = "headcheck"
author = "the headcheck maintainers"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "docs.console",
    "docs.mathematics",
    "docs.links",
]
exclude_patterns = ["build", "generated"]
nitpicky = True
html_math_renderer = "mathml"

myst_enable_extensions = ["deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
myst_substitutions = fragments.fragments()

autodoc_typehints = "none"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = "headcheck"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

if out_of_date := selftest.stale():
    raise ConfigError("\n".join(out_of_date))

# Written anew for each build, from the catalogue and from runs of headcheck itself.
PAGES = {HERE / "requirements" / name: text for name, text in catalogue.pages().items()}
for path, text in PAGES.items():
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
for path in (HERE / "requirements").glob("*.md"):
    if path not in PAGES:
        path.unlink()
myst_substitutions |= examples.drawn(HERE / "generated")
html_extra_path = ["generated", "selftest.html"]
