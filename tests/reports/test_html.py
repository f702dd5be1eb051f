from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from headcheck.record import dumps, loads
from headcheck.reports.document import breakable, linked, polynomial, sentence, short_name
from headcheck.reports.html import render
from headcheck.reports.words import SIGNS
from headcheck.verdicts import Run, Status
from markupsafe import Markup

from .sample import HOSTILE, MINE, REQUIREMENTS, RIGHT, TORCH, sample

QUIET = {Status.PASS, Status.NOT_APPLICABLE, Status.BLOCKED}


class Document(HTMLParser):
    """What a browser would make of the page: its elements, and the text in each of the raw ones."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, str] = {}
        self.inside = ""
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in {"style", "script"}:
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


@pytest.fixture(scope="module")
def document(page: str) -> Document:
    return Document(page)


def test_the_same_run_gives_the_same_page(page: str) -> None:
    assert render(sample()) == page


def test_a_run_read_back_from_its_file_gives_the_same_page(page: str) -> None:
    assert render(loads(dumps(sample()))) == page


def test_nothing_in_the_page_comes_from_elsewhere(document: Document) -> None:
    fetched = [*document.attributes("src"), *document.attributes("srcset"), *document.attributes("poster")]
    assert all(source.startswith("data:image/png;base64,") for source in fetched)
    linked = [link["href"] for link in document.named("link")]
    assert linked == ["data:,"]  # an icon that is asked of nobody
    outside = {href for href in document.attributes("href") if not href.startswith(("#", "data:"))}
    assert outside == {"https://example.org/issues/7"}  # of a known failure, followed only by hand


def test_the_policy_names_the_one_style_sheet_and_the_one_script(document: Document) -> None:
    [policy] = [
        m["content"] for m in document.named("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert len(document.named("style")) == len(document.named("script")) == 1
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "style-src": hashed(document.raw["style"]),
        "script-src": hashed(document.raw["script"]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_styled_or_scripted_inline(document: Document) -> None:
    names = {name for _, attributes in document.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert "style" not in names
    assert not document.named("iframe")
    assert not document.named("object")


def test_what_a_subject_says_stays_text(page: str, document: Document) -> None:
    assert "alert(1)</script>" in document.text  # it is there, to be read
    assert not any("alert" in value for _, a in document.elements for value in a.values() if "<" not in value)
    assert len(document.named("img")) == page.count("data:image/png")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert "{{ 7*7 }}" in document.text
    assert "characters left out]" in document.text


def test_every_link_within_the_page_has_its_target(document: Document) -> None:
    ids = Counter(document.attributes("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    targets = {href[1:] for href in document.attributes("href") if href.startswith("#")}
    assert targets - set(ids) == set()
    named = {*document.attributes("aria-labelledby"), *document.attributes("data-copies")}
    assert named - set(ids) == set()


def cells(page: str) -> dict[str, list[str]]:
    """The words of the matrix by requirement, and the fragment each links to."""
    matrix = page[page.index('id="matrix"') : page.index('id="findings"')]
    rows = re.findall(r'<tr data-family.*?<a href="#([\w-]+)">.*?</th>(.*?)</tr>', matrix, re.DOTALL)
    return {
        name: [re.sub(r"<(?!a )[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for name, row in rows
    }


def test_the_matrix_says_every_verdict_in_words_and_links_what_failed_to_its_proof(page: str) -> None:
    run, matrix = sample(), cells(page)
    assert list(matrix) == [info.id for info in REQUIREMENTS]
    for place, subject in enumerate(run.subjects):
        for verdict in run.of(subject.name):
            cell = matrix[verdict.requirement][place]
            assert cell.endswith(SIGNS[verdict.status].word)
            to_be_told = verdict.status not in QUIET
            assert (f'href="#{verdict.requirement}--{place + 1}"' in cell) == to_be_told


def test_a_failure_is_shown_with_all_of_its_proof(page: str) -> None:
    start = page.index('<article id="SCALE-DK--3"')
    article = Document(page[start : page.index("</article>", start)]).text
    proof = next(v.evidence for v in sample().of(MINE) if v.requirement == "SCALE-DK")
    assert proof is not None
    for part in (
        "is 1/sqrt(d_k).",
        "Measured scale 0.25 is 1/sqrt(d_model)",
        "Matches known faults: the scores are divided by sqrt(d_model); or the scores are divided by d_k.",
        proof.case_text,
        proof.variant,
        "[0, 1, 1, 0]",
        "expected 0.8",
        "actual 0.6",
        "bound 3.1e-14",
        "error / bound 6.45e+12",
        "Judged by",
        "the float64 oracle and a property that needs no oracle",
        proof.script,
        proof.replay,
    ):
        assert part in article


def test_failures_come_before_deviations_and_both_before_what_is_only_listed(page: str) -> None:
    findings = page[page.index('id="findings"') : page.index('id="measured"')]
    mine = [int(m.start()) for m in re.finditer(r'id="[\w-]+--3"', findings)]
    order = re.findall(r'id="([\w-]+)--3"', findings)
    assert mine == sorted(mine)
    assert order == [
        *("PROJ-ORACLE", "SCALE-DK", "MASK-BROADCAST", "MASK-CAUSAL", "INIT-BIAS"),
        "DIV-MESSAGE",
        *("SHAPE-PIPELINE", "SOFTMAX-STABLE", "NUM-NAN"),
    ]


def test_the_verdict_names_the_likely_cause_and_the_reasons(page: str) -> None:
    verdict = Document(page[page.index('id="verdict"') : page.index('id="matrix"')])
    assert (
        "Likely cause: the scores are divided by sqrt(d_model) (explains 2 of its 5 findings)."
        in verdict.text
    )
    assert "Measured scale 0.25 is 1/sqrt(d_model); expected 1/sqrt(d_k) = 0.5." in verdict.text
    assert "#findings-of-3" in verdict.attributes("href")


def test_the_first_script_is_open_and_the_others_are_folded(page: str, document: Document) -> None:
    scripts = [details for details in document.named("details") if details.get("class") == "script"]
    assert len(scripts) == page.count('-script"><code>') + page.count('-script" class="long"')
    assert ["open" in script for script in scripts] == [True] + [False] * (len(scripts) - 1)


def test_the_specification_folds_what_nothing_was_found_on(page: str) -> None:
    specification = page[page.index('id="specification"') : page.index('id="implementations"')]
    folded = "".join(re.findall(r'<details class="folded".*?\n</details>\n<p', specification, re.DOTALL))
    found = {v.requirement for v in sample().verdicts if v.status not in QUIET}
    names = re.findall(r'<article id="([\w-]+)"', specification)
    assert sorted(names) == sorted(info.id for info in REQUIREMENTS)
    assert set(re.findall(r'<article id="([\w-]+)"', folded)) == set(names) - found


def test_capabilities_not_offered_are_named_with_what_they_cost(document: Document) -> None:
    assert "scale (so no SCALE-USER)" in document.text
    assert "not as declared" in document.text


def test_a_long_script_scrolls_and_can_be_reached(page: str) -> None:
    def box(requirement: str) -> str:
        return re.search(rf'<pre id="{requirement}-script"[^>]*>', page).group()  # type: ignore[union-attr]

    assert 'tabindex="0"' in box("MASK-ZERO--4")
    assert "tabindex" not in box("SCALE-DK--3")


def test_with_few_subjects_the_matrix_has_room_for_the_sentences(page: str) -> None:
    run = sample()
    one = Document(render(replace(run, subjects=run.subjects[:1])))
    assert len([td for td in one.named("td") if td.get("class") == "sentence"]) == len(REQUIREMENTS)
    assert 'class="sentence"' not in page


def test_an_interrupted_run_says_so_and_leaves_open_what_it_did_not_reach() -> None:
    run = sample()
    page = render(replace(run, verdicts=run.verdicts[:10], complete=False, problems=("expired <entry>",)))
    document = Document(page)
    assert "This run was interrupted" in document.text
    assert "expired <entry>" in document.text
    assert cells(page)["SHAPE-WEIGHTS"] == [cells(page)["SHAPE-WEIGHTS"][0], "not run", "not run", "not run"]


@pytest.mark.parametrize(
    "run",
    [
        replace(sample(), subjects=(), verdicts=()),
        replace(sample(), subjects=(), verdicts=(), requirements=()),
        replace(sample(), verdicts=()),
        replace(
            sample(), subjects=(replace(sample().subjects[0], error="no module named 'x'"),), verdicts=()
        ),
        replace(sample(), full=False),
    ],
)
def test_any_run_can_be_drawn(run: Run) -> None:
    document = Document(render(run))
    assert {href[1:] for href in document.attributes("href") if href[0] == "#"} <= set(
        document.attributes("id")
    )


def test_a_formula_that_cannot_be_set_is_shown_as_it_is_written() -> None:
    run = sample()
    foreign = replace(run.requirements[0], formula=r"\text{<script>}\nope")
    document = Document(render(replace(run, requirements=(foreign, *run.requirements[1:]))))
    assert r"\text{<script>}\nope" in document.text
    assert len(document.named("script")) == 1


def test_twelve_implementations_with_sixty_failures_stay_well_below_a_megabyte() -> None:
    run = sample(subjects=12, failures=60)
    assert sum(v.status is Status.FAIL for v in run.verdicts) >= 60
    assert len(render(run).encode()) < 850_000


def test_names_may_be_broken_at_their_joints() -> None:
    assert breakable("a.b:MultiHead") == "a.<wbr>b:<wbr>Multi<wbr>Head"
    assert breakable("<b>.x") == "&lt;b&gt;.<wbr>x"
    assert short_name("models/my.py:Mine") == "my.py:Mine"
    assert short_name("torch.nn:MultiheadAttention") == TORCH


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a row is empty", "A row is empty."),
        ("d_model is 3", "d_model is 3."),
        ("Why?", "Why?"),
        ("In [0, 1]", "In [0, 1]."),
        ("cut… [3 characters left out]", "cut… [3 characters left out]"),
    ],
)
def test_sentences_have_a_capital_and_a_full_stop(text: str, shown: str) -> None:
    assert sentence(text) == shown


@pytest.mark.parametrize("text", ["4 n^2 d + 8 n d^2", "4 n_q n_k d + 2 n^3 h - 7", "5 n d^2 / h"])
def test_a_polynomial_is_set_as_a_formula(text: str) -> None:
    assert polynomial(text).startswith("<math")


@pytest.mark.parametrize("text", ["unknown: a while loop", "", "<b>n</b>", "\\text{n}"])
def test_what_is_no_polynomial_stays_text(text: str) -> None:
    assert polynomial(text) == text
    assert not isinstance(polynomial(text), Markup)


def test_only_web_addresses_become_links() -> None:
    assert 'href="https://example.org/?a=1&amp;b=%22"' in linked("https://example.org/?a=1&b=%22")
    assert linked("javascript:alert(1)") == "javascript:alert(1)"
    assert linked('https://x"onclick=') == (
        '<a href="https://x&#34;onclick=" rel="noreferrer">https://x&#34;onclick=</a>'
    )


def test_the_sample_holds_every_status() -> None:
    assert {verdict.status for verdict in sample().verdicts} == set(Status)
    assert json.loads(dumps(sample()))["subjects"][3]["name"] == HOSTILE
    assert sample().conclusion(RIGHT) == "conformant"
