"""Broken links of the built site fail the build: also those that Sphinx does not know, in HTML of ours.

Nor may a page load anything from elsewhere: the site reads the same without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

LOG = logging.getLogger(__name__)
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href", "object": "data"}


class Page(HTMLParser):
    """The links of one page, what it loads, and the places in it that can be linked to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect from one element."""
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if LOADS.get(tag) in given and given.get("rel") != "canonical":
            self.loads.append(given[LOADS[tag]])
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])


def wrong(site: Path) -> Iterator[str]:
    """Yield what is wrong with the links of a site, page by page."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for link in page.loads:
            if urlsplit(link).netloc:
                yield f"{where} loads {link}"
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{where} links to {link}, which is not there"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{where} links to {link}: no such place on that page"


def check(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build where a link is broken."""
    if exception is None and app.builder.format == "html":
        for fault in wrong(Path(app.outdir)):
            LOG.error(fault)
            app.statuscode = 1


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
