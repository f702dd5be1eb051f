from __future__ import annotations

from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from headcheck.reports.terminal import print_run
from headcheck.verdicts import Run
from rich.console import Console

from .sample import HOSTILE, MINE, RIGHT, TORCH, evidence, sample


def only(run: Run, *names: str) -> Run:
    subjects = tuple(s for s in run.subjects if s.name in names)
    return replace(run, subjects=subjects, verdicts=tuple(v for v in run.verdicts if v.subject in names))


def printed(run: Run, width: int = 200, quiet: bool = False) -> str:
    file = StringIO()
    print_run(run, Console(file=file, width=width), quiet=quiet)
    return file.getvalue()


def test_a_subject_that_passes_takes_one_line() -> None:
    run = only(sample(), RIGHT)
    silent = replace(run, subjects=(replace(run.subjects[0], subject_seconds=0.0),))
    text = "conformant: meets all 63 requirements that apply (5 not applicable)"
    assert printed(silent).splitlines() == [f"✓ {RIGHT} {text}"]


def test_a_failure_is_told_with_its_proof() -> None:
    lines = [line.strip() for line in printed(only(sample(), MINE)).splitlines()]
    proof = next(v.evidence for v in sample().of(MINE) if v.requirement == "SCALE-DK")
    assert proof is not None
    start = lines.index(
        "✗ SCALE-DK  The effective scale, estimated from the weights returned, is 1/sqrt(d_k)"
    )
    assert lines[start + 1 : start + 10] == [
        "measured scale 0.25 is 1/sqrt(d_model); expected 1/sqrt(d_k) = 0.5",
        f"case      {proof.case_text}",
        "path      weights returned",
        "expected  0.8",
        "actual    0.6 (attention weights at [0, 1, 1, 0])",
        "error     0.2 at [0, 1, 1, 0], 6.45e+12 times the bound 3.1e-14",
        "matches   known faults: the scores are divided by sqrt(d_model); or the scores are divided by d_k",
        "judged by oracle and property",
        f"replay    {proof.replay}",
    ]


def test_the_likely_cause_follows_the_verdict_unless_a_line_is_all_there_is() -> None:
    run = only(sample(), MINE)
    cause = "  Likely cause: the scores are divided by sqrt(d_model) (explains 2 of its 5 findings)"
    assert printed(run).splitlines()[1] == cause
    assert "Likely cause" not in printed(run, quiet=True)
    assert "Likely cause" not in printed(only(sample(), TORCH))


def test_the_time_of_an_interrupted_run_is_not_told() -> None:
    run = only(sample(), MINE)
    assert "CPU:" in printed(run)
    assert "CPU:" not in printed(replace(run, complete=False))


def test_small_arrays_are_shown_whole() -> None:
    text = printed(only(sample(), TORCH))
    assert "expected  [0.5, -1.25, 0, 2, 1, 0.5, -0.5, 0.25]" in text
    assert "actual    [NaN, NaN, NaN, NaN, 1, 0.5, -0.5, 0.25] (output)" in text


def test_numbers_that_differ_late_are_shown_as_far_as_they_differ() -> None:
    run = only(sample(), MINE)
    [failing] = [one for one in run.verdicts if one.requirement == "SCALE-DK"]
    assert failing.evidence is not None
    numbers = {"expected": [0.577350269], "actual": [0.577349708], "bound": [1e-12], "worst_index": (0,)}
    proof = replace(failing.evidence, worst_error=5.6e-7, **numbers)
    text = printed(replace(run, verdicts=(replace(failing, evidence=proof),)))
    assert "expected  [0.577350269]" in text
    assert "actual    [0.577349708]" in text


def test_notes_on_a_subject_follow_its_verdict() -> None:
    run = only(sample(), RIGHT)
    noted = replace(run, subjects=(replace(run.subjects[0], notes=("never given: lengths",)),))
    assert printed(noted).splitlines()[1] == "  Note: never given: lengths"


def test_what_is_neither_pass_nor_failure_takes_a_line() -> None:
    lines = printed(only(sample(), MINE)).splitlines()
    assert [line.split("  ")[1] for line in lines if line.startswith(("  ≠", "  ?", "  ≈"))] == [
        "≠ DIV-MESSAGE",
        "? SHAPE-PIPELINE",
        "? SOFTMAX-STABLE",
        "≈ NUM-NAN",
    ]
    assert "(fixed by the next release https://example.org/issues/7)" in lines[-4] + lines[-3]
    assert "1 inconclusive" in lines[0]
    assert "1 not applicable" in lines[0]


def test_under_strict_a_deviation_is_told_as_a_failure_and_only_once() -> None:
    text = printed(replace(only(sample(), TORCH), strict=True))
    assert "breaks 3 of" in text
    assert text.count("NUM-NAN") == 1


def test_quiet_is_a_line_a_subject_and_the_headline() -> None:
    lines = printed(sample(), quiet=True).splitlines()
    assert len(lines) == 5
    assert [line.split()[0] for line in lines[:4]] == ["✓", "✗", "✗", "✗"]
    assert lines[-1] == "1 of 4 implementations conforms"


def test_no_control_character_reaches_the_terminal() -> None:
    text = printed(sample())
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "⟨U+202E⟩" in text
    assert "characters left out]" in text


def test_markup_of_the_terminal_library_is_text() -> None:
    name = "[bold red]x[/] [link=http://e.example]y[/link] :boom:"
    run = only(sample(), RIGHT)
    subject = replace(run.subjects[0], name=name)
    verdicts = tuple(replace(v, subject=name) for v in run.verdicts)
    assert name in printed(replace(run, subjects=(subject,), verdicts=verdicts))


def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = StringIO()
    print_run(sample(), Console(file=file, width=80, force_terminal=True))
    assert "\x1b[3" not in file.getvalue()
    assert "not conformant" in file.getvalue()


def test_with_colour_the_words_are_the_same() -> None:
    file = StringIO()
    console = Console(file=file, width=200, force_terminal=True, color_system="standard", no_color=False)
    print_run(only(sample(), RIGHT), console, quiet=True)
    assert "\x1b[32mconformant" in file.getvalue()


@pytest.mark.parametrize("width", [30, 60, 100])
def test_narrow_terminals_are_respected_but_for_what_is_to_be_copied(width: int) -> None:
    run = only(sample(), MINE, TORCH)
    lines = printed(run, width).splitlines()
    assert all(len(line) <= width for line in lines if not line.startswith("    replay"))
    assert all(line == line.rstrip() for line in lines)
    whole = [v.evidence.replay for v in run.verdicts if v.evidence]
    assert [line[14:] for line in lines if line.startswith("    replay")] == whole


def test_a_terminal_without_unicode_gets_words_and_escapes() -> None:
    file = BytesIO()
    console = Console(file=TextIOWrapper(file, encoding="ascii"), width=200)
    print_run(only(sample(), RIGHT, HOSTILE), console, quiet=True)
    console.file.flush()
    text = file.getvalue().decode("ascii")
    assert text.startswith(f"+ {RIGHT} conformant")
    assert "\\u27e8U+202E\\u27e9" in text


def test_what_could_not_be_judged_says_why() -> None:
    run = only(sample(), RIGHT)
    record = replace(
        run.subjects[0], error="no module named 'models'; is it on the path?", subject_seconds=0.0
    )
    lines = printed(replace(run, subjects=(record,), verdicts=())).splitlines()
    assert lines == [f"? {RIGHT} not judged: no module named 'models'; is it on the path?"]


def test_problems_and_interruptions_are_said_last() -> None:
    run = replace(only(sample(), RIGHT), problems=("the baseline's entry 3 expired",), complete=False)
    lines = printed(run, quiet=True).splitlines()
    assert lines[-2:] == [
        "problem the baseline's entry 3 expired",
        "Interrupted: these are the verdicts reached until then.",
    ]


def test_a_proof_without_arrays_is_told_without_them() -> None:
    run = only(sample(), TORCH)
    bare = evidence(
        run.requirements[0], TORCH, actual=None, expected=None, worst_error=None, worst_ratio=None
    )
    verdicts = tuple(replace(v, evidence=bare if v.evidence else None) for v in run.verdicts)
    text = printed(replace(run, verdicts=verdicts))
    assert "expected" not in text
    assert "replay    headcheck run" in text
