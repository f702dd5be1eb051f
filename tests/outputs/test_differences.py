"""Two runs compared, and how that is shown."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from dataclasses import replace

import pytest
from headcheck.diff import Diff, compare
from headcheck.reports import html
from headcheck.reports.differences import markdown, print_diff, to_json
from headcheck.verdicts import Run, Status, SubjectRecord
from hypothesis import given, settings
from rich.console import Console

from tests.outputs import consumers
from tests.reports.test_html import Document
from tests.runs import EVERY_STATUS, HOSTILE, PASSING, any_run, evidence, hostile, run, verdict

GROUPS = ("new", "fixed", "changed", "unchanged", "unmatched")


def grouped(diff: Diff) -> dict[str, list[str]]:
    return {name: [c.requirement for c in getattr(diff, name)] for name in GROUPS if getattr(diff, name)}


def between(before: Status, after: Status) -> dict[str, list[str]]:
    return grouped(compare(run(verdict("MASK-ZERO", before)), run(verdict("MASK-ZERO", after))))


def terminal(diff: Diff, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system="truecolor", force_terminal=True)
    print_diff(diff, console)
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


@pytest.mark.parametrize(
    ("before", "after", "group"),
    [
        (Status.PASS, Status.FAIL, "new"),
        (Status.PASS, Status.DEVIATES, "changed"),
        (Status.DEVIATES, Status.PASS, "changed"),
        (Status.NOT_APPLICABLE, Status.CRASH, "new"),
        (Status.BLOCKED, Status.KNOWN_FAILURE, "new"),
        (Status.FAIL, Status.PASS, "fixed"),
        (Status.KNOWN_FAILURE, Status.UNEXPECTED_PASS, "fixed"),
        (Status.FAIL, Status.CRASH, "changed"),
        (Status.FAIL, Status.BLOCKED, "changed"),
        (Status.FAIL, Status.KNOWN_FAILURE, "changed"),
        (Status.PASS, Status.NOT_APPLICABLE, "changed"),
        (Status.INCONCLUSIVE, Status.PASS, "changed"),
        (Status.FAIL, Status.FAIL, "unchanged"),
        (Status.PASS, Status.PASS, "unchanged"),
        (Status.BLOCKED, Status.BLOCKED, "unchanged"),
    ],
)
def test_a_pair_of_verdicts_has_its_group(before: Status, after: Status, group: str) -> None:
    assert between(before, after) == {group: ["MASK-ZERO"]}


def test_another_counterexample_is_no_change_and_another_configuration_is() -> None:
    old = run(verdict("MASK-ZERO", Status.FAIL))
    again = run(verdict("MASK-ZERO", Status.FAIL, message="other", evidence=evidence(actual=[0.0])))
    assert grouped(compare(old, again)) == {"unchanged": ["MASK-ZERO"]}
    elsewhere = run(verdict("MASK-ZERO", Status.FAIL, evidence=evidence(dtype="bfloat16")))
    assert grouped(compare(old, elsewhere)) == {"changed": ["MASK-ZERO"]}


def test_a_shorter_run_does_not_look_better() -> None:
    long = run(
        verdict("SHAPE-OUTPUT", Status.PASS),
        verdict("MASK-ZERO", Status.FAIL),
        verdict("SCALE-DK", Status.PASS),
    )
    short = run(verdict("SHAPE-OUTPUT", Status.PASS))
    assert grouped(compare(long, short)) == {
        "changed": ["MASK-ZERO"],
        "unchanged": ["SHAPE-OUTPUT"],
        "unmatched": ["SCALE-DK"],
    }
    assert compare(long, short).changed[0].words == "fail → not judged"
    assert grouped(compare(short, long))["new"] == ["MASK-ZERO"]


def test_what_makes_runs_hard_to_compare_is_said() -> None:
    other = replace(
        PASSING, profile="smoke", spec="2.0", complete=False, subjects=(SubjectRecord("x", error="gone"),)
    )
    assert compare(PASSING, other).notes == (
        "the specification differs: 1.0, then 2.0",
        "the profile differs: standard, then smoke",
        "the later run was interrupted",
        "x could not be judged in the later run: gone",
    )
    assert compare(PASSING, PASSING).notes == ()


ALIKE = (verdict("NUM-NAN", Status.DEVIATES), verdict("MASK-EMPTY-ROW", Status.FAIL))
BEFORE = run(verdict("MASK-ZERO", Status.FAIL), verdict("SCALE-DK", Status.PASS), *ALIKE)
AFTER = run(verdict("MASK-ZERO", Status.PASS), verdict("SCALE-DK", Status.CRASH), *ALIKE)


def test_the_terminal_shows_what_changed() -> None:
    diff = compare(BEFORE, AFTER)
    console = Console(file=io.StringIO(), width=80)
    print_diff(diff, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "1 new failure, 1 fixed, 0 changed, 2 unchanged (1 failing)",
        "",
        "New failures (1)",
        "+ SCALE-DK attention.py:Attention: pass → crash",
        "  crash: SCALE-DK on the smallest case",
        "",
        "Fixed (1)",
        "- MASK-ZERO attention.py:Attention: fail → pass",
        "",
        "Still failing (1)",
        "= MASK-EMPTY-ROW attention.py:Attention: fail",
    ]


def test_to_deviate_is_to_fail_where_the_run_is_strict() -> None:
    assert compare(BEFORE, AFTER).summary.endswith("2 unchanged (1 failing)")
    assert compare(BEFORE, replace(AFTER, strict=True)).summary.endswith("2 unchanged (2 failing)")


def test_markdown_and_json_show_the_same() -> None:
    diff = compare(BEFORE, AFTER)
    shown = consumers.visible(consumers.markdown(markdown(diff)))
    for piece in (diff.summary, "New failures (1)", "pass → crash", "Fixed (1)", "fail → pass"):
        assert piece in shown
    document = json.loads(to_json(diff))
    assert (document["format"], document["format_version"]) == ("headcheck-diff", 1)
    assert document["new"][0]["after"] == {
        "status": "crash",
        "message": "crash: SCALE-DK on the smallest case",
    }
    assert [len(document[name]) for name in GROUPS] == [1, 1, 0, 2, 0]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_does_nothing(name: str) -> None:
    diff = compare(PASSING, hostile(HOSTILE[name]))
    consumers.markdown(markdown(diff))
    json.loads(to_json(diff))
    printed = terminal(diff)
    own = printed.replace("\x1b[0m", "")
    for code in ("1", "1;31", "33", "2", "32"):
        own = own.replace(f"\x1b[{code}m", "")
    assert not {c for c in own if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {"\n"}


@settings(deadline=None, max_examples=60)
@given(any_run(), any_run())
def test_every_pair_is_in_one_group(old: Run, new: Run) -> None:
    diff = compare(old, new)
    pairs = [(c.subject, c.requirement) for name in GROUPS for c in getattr(diff, name)]
    judged = {(v.subject, v.requirement) for some in (old, new) for v in some.verdicts}
    assert sorted(pairs) == sorted(judged)
    consumers.markdown(markdown(diff))
    json.loads(to_json(diff))
    terminal(diff)
    assert grouped(compare(new, new)).keys() <= {"unchanged"}


def test_a_run_compared_with_itself_has_not_changed() -> None:
    diff = compare(EVERY_STATUS, EVERY_STATUS)
    assert diff.summary == "0 new failures, 0 fixed, 0 changed, 11 unchanged (4 failing)"


def test_a_terminal_without_the_arrow_is_no_error() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii", write_through=True), width=80)
    print_diff(compare(BEFORE, AFTER), console)
    assert rb"pass \u2192 crash" in raw.getvalue()


def test_the_page_shows_what_changed() -> None:
    page = html.render(AFTER, compare(BEFORE, AFTER))
    section = page.partition('<section id="changes"')[2].partition("</section>")[0]
    text = re.sub(r"<[^>]*>", " ", section)
    for piece in ("1 new failure, 1 fixed", "New failures", "pass → crash", "Fixed", "fail → pass"):
        assert piece in text
    assert '<a href="#SCALE-DK">' in section
    assert '<section id="changes"' not in html.render(AFTER)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_does_nothing_in_the_page(name: str) -> None:
    after = hostile(HOSTILE[name])
    page = html.render(after, compare(PASSING, after))
    page.encode("utf-8")
    shown = Document(page)
    assert len(shown.named("script")) == 1
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert not {c for c in page if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {"\n", "\t"}
