"""Each output says what the run holds, in the form its consumer asks for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from headcheck.reports import badge, github, gitlab, junit, outputs, sarif
from headcheck.reports.place import Place, place
from headcheck.verdicts import Run, Status, SubjectRecord, Verdict

from tests.outputs import consumers
from tests.runs import EVERY_STATUS, PASSING, SUBJECT, evidence, run, verdict

INTERRUPTED = replace(PASSING, complete=False)
UNJUDGED = replace(PASSING, verdicts=(), subjects=(SubjectRecord("a.py:A", error="no such file: a.py"),))
STALE = replace(PASSING, problems=("headcheck-baseline.toml: entry 1 expired on 2026-01-01",))
ONE_OF_TWO = run(
    verdict("MASK-ZERO", Status.PASS, subject="a"), verdict("MASK-ZERO", Status.FAIL, subject="b")
)
KNOWN_ONLY = run(*(v for v in EVERY_STATUS.verdicts if v.status in {Status.PASS, Status.KNOWN_FAILURE}))


# JUnit ------------------------------------------------------------------------------------------------


def test_junit_has_a_suite_a_subject_and_a_case_a_requirement() -> None:
    document = consumers.junit(junit.render(EVERY_STATUS))
    (suite,) = document
    assert suite.name == SUBJECT
    outcomes = {case.name: [type(result).__name__ for result in case.result] for case in suite}
    assert outcomes == {
        "SHAPE-OUTPUT": [],
        "MASK-ZERO": ["Failure"],
        "MASK-EMPTY-ROW": ["Skipped"],
        "MASK-CAUSAL": ["Error"],
        "PATH-AGREE": ["Error"],
        "SCALE-DK": ["Failure"],
        "NUM-NAN": ["Skipped"],
        "MASK-POISON": ["Skipped"],
        "DROPOUT-EVAL": ["Skipped"],
        "GRAD-ORACLE": ["Skipped"],
        "COST-QUADRATIC": ["Error"],
    }
    assert (document.tests, document.failures, document.errors, document.skipped) == (11, 2, 3, 5)
    assert {p.name: p.value for p in suite.properties()}["conclusion"] == "not conformant"
    assert document.time == pytest.approx(11 * 0.25)


def test_junit_shows_the_proof_of_a_failure_and_the_reason_of_a_known_one() -> None:
    (suite,) = consumers.junit(junit.render(EVERY_STATUS))
    cases = {case.name: case.result[0] for case in suite if case.result}
    for piece in (
        "Blocked positions get weight 0",
        "n_k=2",
        "headcheck replay",
        "import torch\nassert False",
    ):
        assert piece in cases["MASK-ZERO"].text
    assert cases["MASK-EMPTY-ROW"].message == "known failure: NaN since 1.5 https://example.org/41508"


def test_strictness_makes_a_deviation_a_failure() -> None:
    (suite,) = consumers.junit(junit.render(replace(EVERY_STATUS, strict=True)))
    (case,) = (case for case in suite if case.name == "NUM-NAN")
    assert type(case.result[0]).__name__ == "Failure"


@pytest.mark.parametrize("some", [INTERRUPTED, UNJUDGED, STALE], ids=["interrupted", "unjudged", "stale"])
def test_no_output_takes_silence_for_a_pass(some: Run) -> None:
    assert consumers.junit(junit.render(some)).errors == 1
    log = consumers.sarif(sarif.render(some))
    assert [told["level"] for told in log["invocations"][0]["toolExecutionNotifications"]] == ["error"]
    assert len(consumers.workflow_commands(github.commands(some))) == 1
    assert len(consumers.gitlab(gitlab.render(some))) == 1
    assert consumers.shields(badge.endpoint(some))["color"] != "brightgreen"
    assert "\n- **" in github.summary(some)


# SARIF ------------------------------------------------------------------------------------------------


def test_sarif_has_a_rule_a_requirement_and_a_result_a_finding() -> None:
    log = consumers.sarif(sarif.render(EVERY_STATUS))
    rules = log["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [requirement.id for requirement in EVERY_STATUS.requirements]
    assert "Because it went wrong before." in rules[0]["help"]["text"]
    assert [(result["ruleId"], result["level"]) for result in log["results"]] == [
        ("MASK-CAUSAL", "error"),
        ("PATH-AGREE", "error"),
        ("MASK-ZERO", "error"),
        ("SCALE-DK", "error"),
        ("NUM-NAN", "warning"),
    ]
    for result in log["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        where = result["locations"][0]["physicalLocation"]
        assert where["artifactLocation"] == {"uri": "src/attention.py", "uriBaseId": "%SRCROOT%"}
        assert where["region"] == {"startLine": 12}
    told = log["invocations"][0]["toolExecutionNotifications"]
    assert [one["descriptor"]["id"] for one in told] == ["harness error", "known failures"]
    assert "MASK-EMPTY-ROW" in told[1]["message"]["text"]


def fingerprint(one: Verdict) -> str:
    (result,) = consumers.sarif(sarif.render(run(one)))["results"]
    named: str = result["partialFingerprints"]["headcheckFailure/v1"]
    (issue,) = consumers.gitlab(gitlab.render(run(one)))
    assert issue["fingerprint"] == named
    return named


def test_a_finding_is_named_by_its_configuration_and_not_by_its_counterexample() -> None:
    named = fingerprint(verdict("MASK-ZERO", Status.FAIL))
    another_case = evidence(case={"batch": 3, "n_q": 9, "dtype": "float32"}, case_text="B=3", actual=[0.0])
    again = verdict("MASK-ZERO", Status.FAIL, evidence=another_case, message="another", seed=8, examples=2)
    assert fingerprint(again) == named
    others = [
        verdict("MASK-CAUSAL", Status.FAIL),
        verdict("MASK-ZERO", Status.FAIL, subject="other.py:Attention"),
        verdict("MASK-ZERO", Status.FAIL, evidence=evidence(variant="fused")),
        verdict("MASK-ZERO", Status.FAIL, evidence=evidence(dtype="bfloat16")),
    ]
    assert len({named, *map(fingerprint, others)}) == 5


# GitHub -----------------------------------------------------------------------------------------------


def test_annotations_come_in_the_order_of_urgency() -> None:
    shown = consumers.workflow_commands(github.commands(EVERY_STATUS))
    assert [(one["level"], one["title"]) for one in shown] == [
        ("error", "headcheck: harness error"),
        ("error", "attention.py:Attention crashes on MASK-CAUSAL"),
        ("error", "attention.py:Attention gives no answer in time on PATH-AGREE"),
        ("error", "attention.py:Attention breaks MASK-ZERO"),
        ("error", "attention.py:Attention now meets SCALE-DK"),
        ("warning", "attention.py:Attention deviates from NUM-NAN"),
    ]
    assert {(one["file"], one["line"]) for one in shown} == {("src/attention.py", "12")}
    assert "Blocked positions get weight 0." in shown[3]["message"]


def test_what_is_printed_in_a_job_is_not_acted_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with github.unheeded(said.append):
        said.append("::error::of an implementation")
    stop, _, start = said
    token = stop.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert start == f"::{token}::"
    monkeypatch.delenv("GITHUB_ACTIONS")
    with github.unheeded(said.append):
        pass
    assert len(said) == 3


def test_the_tenth_annotation_stands_for_all_that_are_left() -> None:
    many = run(*(verdict("MASK-ZERO", Status.FAIL, subject=f"a.py:A{number}") for number in range(14)))
    shown = consumers.workflow_commands(github.commands(many))
    assert len(shown) == 10
    assert "5 of 14 findings" in shown[-1]["message"]
    ten = replace(many, subjects=many.subjects[:10], verdicts=many.verdicts[:10])
    assert all("breaks" in one["title"] for one in consumers.workflow_commands(github.commands(ten)))


def test_a_summary_shows_every_finding_and_known_failure() -> None:
    shown = consumers.visible(consumers.markdown(github.summary(EVERY_STATUS)))
    for piece in ("is not conformant", "breaks MASK-ZERO", "import torch\nassert False", "NaN since 1.5"):
        assert piece in shown


def test_a_summary_stays_below_its_limit_and_says_what_it_leaves_out() -> None:
    proof = evidence(script="x = 1\n" * 1500)
    failures = [verdict("MASK-ZERO", Status.FAIL, subject=f"ä.py:A{n}", evidence=proof) for n in range(300)]
    text = github.summary(run(*failures))
    assert 800_000 < len(text.encode()) < 900_000
    shown = text.count("### `ä.py")
    total = 300 + 300 + 3  # rows of the table, failures, and the three parts around them
    assert (
        f"{300 - shown + 1} of the {total} parts of this summary are left out"
        in text.strip().splitlines()[-1]
    )


def test_known_failures_are_neither_annotated_nor_results() -> None:
    assert github.commands(KNOWN_ONLY) == ""
    assert consumers.sarif(sarif.render(KNOWN_ONLY))["results"] == []
    assert consumers.gitlab(gitlab.render(KNOWN_ONLY)) == []
    assert consumers.shields(badge.endpoint(KNOWN_ONLY))["message"] == "conformant except for 1 known failure"


# GitLab, badge ----------------------------------------------------------------------------------------


def test_gitlab_has_an_issue_a_finding() -> None:
    issues = consumers.gitlab(gitlab.render(EVERY_STATUS))
    assert [(issue["check_name"], issue["severity"]) for issue in issues] == [
        ("headcheck/MASK-CAUSAL", "blocker"),
        ("headcheck/PATH-AGREE", "blocker"),
        ("headcheck/MASK-ZERO", "critical"),
        ("headcheck/SCALE-DK", "critical"),
        ("headcheck/NUM-NAN", "minor"),
        ("headcheck/harness error", "critical"),
    ]
    assert issues[0]["location"] == {"path": "src/attention.py", "lines": {"begin": 12}}


@pytest.mark.parametrize(
    ("some", "message", "colour"),
    [
        (PASSING, "conformant", "brightgreen"),
        (KNOWN_ONLY, "conformant except for 1 known failure", "yellowgreen"),
        (replace(PASSING, full=False), "no failure found", "blue"),
        (EVERY_STATUS, "not conformant", "red"),
        (UNJUDGED, "not judged", "lightgrey"),
        (replace(PASSING, subjects=(), verdicts=()), "not judged", "lightgrey"),
        (STALE, "baseline needs attention", "red"),
        (
            run(
                verdict("MASK-ZERO", Status.PASS, subject="a"), verdict("MASK-ZERO", Status.FAIL, subject="b")
            ),
            "1 of 2 conformant",
            "red",
        ),
    ],
)
def test_a_badge_has_the_conclusion_and_its_colour(some: Run, message: str, colour: str) -> None:
    assert consumers.shields(badge.endpoint(some)) == {
        "schemaVersion": 1,
        "label": "headcheck",
        "message": message,
        "color": colour,
    }
    image = consumers.svg(badge.svg(some))
    assert image.get("aria-label") == f"headcheck: {message}"
    assert [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")] == ["headcheck", message]


def test_a_badge_is_legible() -> None:
    def luminance(colour: str) -> float:  # WCAG 2.2, relative luminance
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for some in (PASSING, KNOWN_ONLY, EVERY_STATUS, UNJUDGED, replace(PASSING, full=False)):
        fills = [rect.get("fill", "") for rect in consumers.svg(badge.svg(some)).iter() if rect.get("x")]
        colours = [fill for fill in fills if len(fill) == 7]
        assert colours
        assert all(1.05 / (luminance(colour) + 0.05) >= 4.5 for colour in colours)


# Places, and the register of outputs ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("src/attention.py:3", Place("src/attention.py", 3, True)),
        ("src/attention.py", Place("src/attention.py", 1, True)),
        ("a b/ä:b.py:7", Place("a b/ä:b.py", 7, True)),
        ("/elsewhere/secret/attention.py:12", Place("attention.py", 12, False)),
        (r"C:\elsewhere\attention.py:12", Place("attention.py", 12, False)),
        ("../attention.py:12", Place("attention.py", 12, False)),
        ("/usr/lib/python3/site-packages/torch/nn/a.py:9", Place("site-packages/torch/nn/a.py", 9, False)),
        (".venv/lib/site-packages/torch/a.py:9", Place("site-packages/torch/a.py", 9, False)),
        ("", Place("name", 1, False)),
        ("a.py:0", Place("a.py", 1, True)),
    ],
)
def test_a_place_is_seen_from_the_root_of_the_repository(source: str, expected: Place) -> None:
    assert place(source, "name") == expected


def test_a_run_records_where_a_subject_is_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headcheck.campaign import located, repository

    (tmp_path / ".git").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert repository() == str(tmp_path.resolve())
    assert located(f"{inner}/c.py:7", repository()) == "a/b/c.py:7"
    assert located("/elsewhere/c.py:7", repository()) == "/elsewhere/c.py:7"
    assert located("", repository()) == ""


def test_the_same_record_gives_the_same_outputs_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {name: outputs.render(name, EVERY_STATUS) for name in outputs.FORMATS}
    monkeypatch.chdir(tmp_path)
    assert {name: outputs.render(name, EVERY_STATUS) for name in outputs.FORMATS} == here


def test_what_lies_outside_the_repository_has_a_place_and_no_annotation() -> None:
    subject = replace(PASSING.subjects[0], source="/there/src/attention.py:12")
    some = run(verdict("MASK-ZERO", Status.FAIL), subjects=(subject,))
    assert "file" not in consumers.workflow_commands(github.commands(some))[0]  # it would be dropped unsaid
    artifact = consumers.sarif(sarif.render(some))["results"][0]["locations"][0]["physicalLocation"]
    assert artifact["artifactLocation"] == {"uri": "attention.py"}  # code scanning wants one


def test_every_format_has_its_function() -> None:
    for name in outputs.FORMATS:
        if name != "html":
            assert outputs.render(name, EVERY_STATUS).endswith("\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sarfi=x", "did you mean sarif?"),
        ("JUnit=x", "did you mean junit?"),
        ("xyz=x", "Expected FORMAT=FILE with one of json, html,"),
        ("", "no output format ''"),
        ("sarif", "no file given in 'sarif'; expected sarif=FILE"),
        ("sarif=", "no file given"),
    ],
)
def test_a_request_that_cannot_be_met_is_explained(text: str, words: str) -> None:
    with pytest.raises(outputs.OutputError) as caught:
        outputs.requested(text)
    assert words in str(caught.value)


def test_a_request_is_a_format_and_a_file() -> None:
    assert outputs.requested("sarif=a=b.sarif") == ("sarif", Path("a=b.sarif"))


def test_outputs_need_neither_a_framework_nor_numpy() -> None:
    program = (
        "import sys; from headcheck.reports import outputs; "
        "[outputs.renderer(name) for name in outputs.FORMATS if name != 'html']; "
        "print(sorted({'numpy', 'torch', 'jax', 'hypothesis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
