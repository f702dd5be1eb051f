from __future__ import annotations

import math
import shlex
from dataclasses import replace

import pytest
from headcheck.reports.words import SIGNS, command, counted, enumerated, headline, number, reason, standings
from headcheck.verdicts import Run, Status

from .sample import MINE, RIGHT, TORCH, sample


def only(run: Run, *names: str) -> Run:
    subjects = tuple(s for s in run.subjects if s.name in names)
    return replace(run, subjects=subjects, verdicts=tuple(v for v in run.verdicts if v.subject in names))


def becoming(run: Run, status: Status, requirement: str = "SCALE-DK") -> Run:
    """The right implementation alone, with one verdict changed."""
    verdicts = (replace(v, status=status) if v.requirement == requirement else v for v in run.of(RIGHT))
    return replace(only(run, RIGHT), verdicts=tuple(verdicts))


def test_every_status_has_a_word_of_its_own() -> None:
    assert set(SIGNS) == set(Status)
    assert len({sign.word for sign in SIGNS.values()}) == len(Status)
    assert all(sign.ascii.isascii() and sign.meaning for sign in SIGNS.values())


def test_not_applicable_is_neither_counted_as_applicable_nor_as_met() -> None:
    run = sample()
    [right] = standings(only(run, RIGHT))
    lacking = sum(v.status is Status.NOT_APPLICABLE for v in run.of(RIGHT))
    assert lacking == 5
    assert right.sentence == f"meets all {len(run.requirements) - 5} requirements that apply"
    assert right.remarks == ("5 not applicable",)


def test_failures_are_counted_among_what_applies() -> None:
    [torch] = standings(only(sample(), TORCH))
    assert torch.sentence == "breaks 2 of the 67 requirements that apply"
    assert [v.requirement for v in torch.breaking] == ["MASK-EMPTY-ROW", "PATH-AGREE"]
    assert "1 deviation" in torch.remarks


def test_under_strict_a_deviation_is_a_failure_and_no_remark() -> None:
    [torch] = standings(replace(only(sample(), TORCH), strict=True))
    assert torch.sentence == "breaks 3 of the 67 requirements that apply"
    assert torch.remarks == ("1 not applicable",)


def test_what_applies_may_be_one_requirement() -> None:
    run = only(sample(), MINE)
    [broken] = (verdict for verdict in run.verdicts if verdict.requirement == "SCALE-DK")
    [mine] = standings(replace(run, verdicts=(broken,)))
    assert mine.sentence == "breaks the one requirement that applies"
    [met] = standings(replace(run, verdicts=(replace(broken, status=Status.PASS),)))
    assert met.sentence == "meets the one requirement that applies"


def test_an_interrupted_run_counts_what_it_judged() -> None:
    run = only(sample(), MINE)
    [mine] = standings(replace(run, verdicts=run.verdicts[:20], complete=False))
    judged = sum(v.status not in {Status.NOT_APPLICABLE, Status.BLOCKED} for v in run.verdicts[:20])
    assert mine.sentence == f"breaks 2 of the {judged} judged before the interruption"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a row sums to 0.9", "a row sums to 0.9"),
        ("a row sums to 0.9. It is row 3.", "a row sums to 0.9"),
        ("Refused.", "Refused"),
        ("one line\nand another", "one line"),
        ("the scale is 0.25; it is 1/sqrt(d_model)", "the scale is 0.25; it is 1/sqrt(d_model)"),
        (f"the scale is 0.25; {'it is wrong and ' * 10}", "the scale is 0.25"),
    ],
)
def test_the_reason_is_the_first_sentence_of_a_message(message: str, shown: str) -> None:
    assert reason(message) == shown


@pytest.mark.parametrize(
    ("run", "sentence", "title"),
    [
        (
            replace(only(sample(), RIGHT), full=False),
            "breaks none of the requirements judged, but not every MUST was run",
            "No failure found in",
        ),
        (
            replace(only(sample(), RIGHT), full=False, profile="smoke"),
            "breaks none of the requirements judged, but smoke tries few examples",
            "No failure found in",
        ),
        (
            replace(only(sample(), RIGHT), complete=False),
            "breaks none of the requirements judged, but the run was interrupted",
            "No failure found in",
        ),
        (
            becoming(sample(), Status.INCONCLUSIVE),
            "breaks none of the requirements judged, but 1 MUST is inconclusive",
            "No failure found in",
        ),
        (
            becoming(sample(), Status.KNOWN_FAILURE),
            "meets every MUST that applies except for 1 known failure",
            "is conformant except for 1 known failure",
        ),
        (
            becoming(sample(), Status.HARNESS_ERROR),
            "headcheck itself failed on 1 requirement",
            "was not judged",
        ),
        (
            becoming(sample(), Status.DEVIATES, "NUM-NAN"),
            "meets every MUST that applies",
            "is conformant",
        ),
        (
            replace(only(sample(), RIGHT), verdicts=()),
            "none of the requirements that were run applies",
            "was not judged",
        ),
    ],
)
def test_sentences(run: Run, sentence: str, title: str) -> None:
    [standing] = standings(run)
    assert standing.sentence == sentence
    assert title in headline((standing,))
    if standing.conclusion.startswith("conformant"):
        assert standing.sign is SIGNS[Status.PASS]


def test_a_subject_that_could_not_be_driven_says_why() -> None:
    run = only(sample(), RIGHT)
    record = replace(run.subjects[0], error="no module named 'models'")
    [standing] = standings(replace(run, subjects=(record,), verdicts=()))
    assert standing.sentence == "no module named 'models'"


def test_headlines_of_several() -> None:
    run = sample()
    assert headline(()) == "Nothing was judged"
    assert headline(standings(run)) == "1 of 4 implementations conforms"
    assert headline(standings(only(run, TORCH, MINE))) == "None of 2 implementations conforms"
    assert headline(standings(replace(run, full=False))) == "No failure found in 1 of 4 implementations"
    right = only(run, RIGHT)
    twin = replace(right.subjects[0], name="twin")
    verdicts = (*right.verdicts, *(replace(v, subject="twin") for v in right.verdicts))
    both = replace(right, subjects=(*right.subjects, twin), verdicts=verdicts)
    assert headline(standings(both)) == "All 2 implementations conform"


def test_the_command_repeats_the_run_whatever_the_subjects_are_called() -> None:
    run = replace(sample(), strict=True)
    arguments = shlex.split(command(run))
    assert arguments[:3] == ["headcheck", "run", RIGHT]
    assert arguments[-5:] == ["--profile", "standard", "--seed", str(run.seed), "--strict"]
    assert len(arguments) == 2 + len(run.subjects) + 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (-0.0, "0"),
        (1 / 3, "0.333"),
        (1.3e-5, "1.3e-05"),
        (-6.02e23, "-6.02e+23"),
        (math.nan, "NaN"),
        (math.inf, "Inf"),
        (-math.inf, "-Inf"),
        (None, "NaN/Inf"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_counting_and_listing() -> None:
    assert (counted(1, "key", "keys"), counted(0, "key", "keys")) == ("1 key", "0 keys")
    assert enumerated(["a"]) == "a"
    assert enumerated(["a", "b", "c"]) == "a, b and c"
