"""The page in a real browser: offline, accessible, by keyboard, filtered, printed, and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from headcheck.verdicts import Status

from tests.reports.sample import MINE, REQUIREMENTS, sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

FAILING = {
    Status.FAIL,
    Status.CRASH,
    Status.TIMEOUT,
    Status.UNEXPECTED_PASS,
    Status.DEVIATES,
    Status.KNOWN_FAILURE,
}
BROKEN = {verdict.requirement for verdict in sample().verdicts if verdict.status in FAILING}
ROWS = "#matrix tr[data-family]"


@contextmanager
def opened(browser: Browser, address: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page, and everything it did that it should not have done."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    page, wrong = context.new_page(), []

    def asked(url: str) -> None:
        if url != address and not url.startswith("data:"):
            wrong.append(url)

    def interrupted(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    page.on("request", lambda request: asked(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", interrupted)
    page.goto(address)
    try:
        yield page, wrong
    finally:
        context.close()


def eventually(page: Page, expression: str) -> bool:
    """Whether an expression becomes true within two seconds; Playwright's own waiting needs unsafe-eval."""
    for _ in range(40):
        if page.evaluate(expression):
            return True
        page.wait_for_timeout(50)
    return False


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address) as (page, _):
        yield page


@pytest.mark.parametrize("which", ["address", "kill_matrix"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_barrier_no_request_no_error(
    browser: Browser, request: pytest.FixtureRequest, which: str, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    address = request.getfixturevalue(which)
    with opened(browser, address, color_scheme=scheme, viewport={"width": width, "height": 900}) as (
        page,
        wrong,
    ):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.wait_for_load_state("networkidle")
        assert wrong == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        result = Axe().run(page).response
        assert "color-contrast" in {rule["id"] for rule in result["passes"]}
        violations = [
            (rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in result["violations"]
        ]
        assert violations == []


@pytest.mark.parametrize("width", [360, 600, 1100, 1280, 1920])
def test_only_tables_scroll_sideways(browser: Browser, address: str, width: int) -> None:
    with opened(browser, address, viewport={"width": width, "height": 900}) as (page, _):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_policy_is_in_force(page: Page) -> None:
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            document.body.setAttribute("onclick", "window.ran = true");
            document.body.click();
        }"""
    )
    assert page.evaluate("window.ran === undefined")


def test_the_matrix_is_reached_and_read_by_keyboard(page: Page) -> None:
    matrix = page.locator(".matrix")
    for _ in range(60):
        page.keyboard.press("Tab")
        if matrix.evaluate("element => element === document.activeElement"):
            break
    else:
        pytest.fail("60 tabs did not reach the matrix")
    page.keyboard.press("PageDown")
    assert eventually(page, "document.querySelector('.matrix').scrollTop > 100")
    head = page.locator(".matrix thead th").first.bounding_box()
    frame = matrix.bounding_box()
    assert head is not None
    assert frame is not None
    assert abs(head["y"] - frame["y"]) <= 2, "the header left the matrix"


def test_a_cell_leads_to_its_proof_by_keyboard(page: Page) -> None:
    page.locator(".matrix td.bad a").first.focus()
    page.keyboard.press("Enter")
    assert eventually(page, "location.hash === '#PROJ-ORACLE--3'")
    proof = page.locator("[id='PROJ-ORACLE--3']").bounding_box()
    assert proof is not None
    assert 0 <= proof["y"] < 900


def test_failures_only(page: Page) -> None:
    page.get_by_label("Failures only").check()
    shown = page.locator(f"{ROWS}:visible th").all_inner_texts()
    assert {text.split()[0] for text in shown} == BROKEN
    assert page.locator("#filter-count").inner_text() == f"{len(BROKEN)} of {len(REQUIREMENTS)} requirements"
    assert page.locator("#matrix .family:visible").count() == len(
        {info.family for info in REQUIREMENTS if info.id in BROKEN}
    )
    assert page.locator("article.finding:visible").count() == page.locator("article.finding").count()


def test_family_and_text_narrow_the_matrix_the_findings_and_the_specification(page: Page) -> None:
    page.get_by_label("Family").select_option("masks")
    page.get_by_label("Text").fill("Causal alignment")
    assert [text.split()[0] for text in page.locator(f"{ROWS}:visible th").all_inner_texts()] == [
        "MASK-CAUSAL"
    ]
    assert page.locator("article.requirement:visible").count() == 1
    [finding] = page.locator("article.finding:visible h4").all_inner_texts()
    assert finding.split() == ["crash", "MASK-CAUSAL"]
    page.get_by_label("Text").fill("no such thing")
    assert page.locator(f"{ROWS}:visible").count() == 0


def test_a_link_to_what_a_filter_hides_shows_it(page: Page) -> None:
    page.get_by_label("Text").fill("MASK")
    assert not page.locator("#SCALE-DK").is_visible()
    page.evaluate("location.hash = '#SCALE-DK'")
    assert eventually(page, "document.getElementById('filter-text').value === ''")
    assert page.locator("#SCALE-DK").is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_to_what_a_fold_holds_opens_it(browser: Browser, address: str, scripts: bool) -> None:
    with opened(browser, address, java_script_enabled=scripts) as (page, _):
        target = page.locator("#SHAPE-OUTPUT")
        assert not target.is_visible()
        page.locator(".matrix a[href='#SHAPE-OUTPUT']").click()
        target.wait_for(state="visible")
        place = target.bounding_box()
        assert place is not None
        assert 0 <= place["y"] < 900


def test_an_address_that_names_what_a_fold_holds_opens_it_each_time(browser: Browser, address: str) -> None:
    with opened(browser, f"{address}#SHAPE-OUTPUT") as (page, _):
        target = page.locator("#SHAPE-OUTPUT")
        assert target.is_visible()
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = false; })")
        page.locator(".matrix a[href='#SHAPE-OUTPUT']").click()
        target.wait_for(state="visible")


def test_what_is_looked_for_does_not_stay_in_a_fold(page: Page) -> None:
    page.get_by_label("Text").fill("SHAPE-OUTPUT")
    assert page.locator("article.requirement:visible h4").all_inner_texts() == ["SHAPE-OUTPUT MUST"]
    page.get_by_label("Text").fill("")
    assert not page.locator("#SHAPE-OUTPUT").is_visible()


def test_narrow_screens_show_the_charts_whole(browser: Browser, address: str) -> None:
    with opened(browser, address, viewport={"width": 420, "height": 900}) as (page, _):
        charts = page.locator("#measured table.stack .chart").all()
        assert charts
        for chart in charts:
            place = chart.bounding_box()
            assert place is not None
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= 420


def test_a_script_is_copied_as_it_is(browser: Browser, address: str) -> None:
    proof = next(v.evidence for v in sample().of(MINE) if v.requirement == "SCALE-DK")
    assert proof is not None
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, address, permissions=permissions) as (page, _):
        page.locator("[id='SCALE-DK--3'] summary").click()
        page.locator("[data-copies='SCALE-DK--3-script']").click()
        assert eventually(page, "document.querySelector('.copy:focus').textContent === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()") == proof.script


def test_without_scripts_everything_can_be_read(browser: Browser, address: str) -> None:
    with opened(browser, address, java_script_enabled=False) as (page, wrong):
        assert page.locator(f"{ROWS}:visible").count() == len(REQUIREMENTS)
        assert not page.locator("#filters").is_visible()
        assert page.locator("button:visible").count() == 0
        assert page.locator("article.finding:visible").count() == page.locator("article.finding").count()
        page.locator("#SCALE-DK summary").click()
        assert page.locator("#SCALE-DK table").is_visible()
        assert wrong == []


@pytest.mark.parametrize("scripts", [True, False])
def test_on_paper_everything_is_open_and_fits(browser: Browser, address: str, scripts: bool) -> None:
    # A4 less its margins is 184 mm: 695 pixels of CSS
    options = {
        "java_script_enabled": scripts,
        "color_scheme": "dark",
        "viewport": {"width": 695, "height": 1000},
    }
    with opened(browser, address, **options) as (page, _):
        page.emulate_media(media="print")
        assert page.locator("#SCALE-DK details table").bounding_box() is not None
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for script in page.locator(".script pre").all():
            assert script.bounding_box() is not None
        assert not page.locator("#SHAPE-OUTPUT").is_visible()
        assert "SHAPE-OUTPUT" in " ".join(page.locator(".on-paper:visible").all_inner_texts())
        # one pixel too wide, and the browser shrinks every glyph
        wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 696)"
        assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 200))") == []
        assert page.locator("nav").is_hidden()
        ink = page.locator("h1").evaluate("element => getComputedStyle(element).color")
        assert ink == "rgb(27, 29, 31)", "dark ink on white paper, whatever the screen prefers"
        table = page.locator(".matrix table").bounding_box()
        assert table is not None
        assert table["x"] + table["width"] <= 695
