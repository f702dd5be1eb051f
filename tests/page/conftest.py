"""A browser for the page: Debian's Chromium driven by Playwright, which downloads none of its own.

Without them these tests are skipped.  Where HEADCHECK_CHROMIUM names a browser they must run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from headcheck.reports.html import render
from headcheck.reports.kill_matrix import render as draw_kill_matrix

from tests.reports.sample import REQUIREMENTS, sample
from tests.reports.test_kill_matrix import OTHERS, trials

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REQUIRED = os.environ.get("HEADCHECK_CHROMIUM")
QUIET = (  # as root in a container, and without a word to anybody
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def lacking(what: str) -> None:
    if REQUIRED:
        pytest.fail(f"HEADCHECK_CHROMIUM is set, so the page must be tested, but {what}", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        import axe_playwright_python  # noqa: F401 -- wanted by the tests
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        lacking(f"{error.name} is not installed: pip install playwright axe-playwright-python")
    chromium = REQUIRED or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not Path(chromium).exists():
        lacking(f"there is no {chromium or 'chromium'}: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sample's page as a file, opened the way a person does."""
    path = tmp_path_factory.mktemp("page") / "headcheck-report.html"
    path.write_text(render(sample()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def kill_matrix(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the suite's own trials, as a file."""
    path = tmp_path_factory.mktemp("page") / "kill-matrix.html"
    path.write_text(draw_kill_matrix(trials(), REQUIREMENTS, "standard", others=OTHERS), encoding="utf-8")
    return path.as_uri()
