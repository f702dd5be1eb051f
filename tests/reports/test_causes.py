from __future__ import annotations

import random

import pytest
from headcheck.reports.causes import by_cause, causes, likely, matched
from headcheck.verdicts import Evidence, Level, Status, Verdict

BY_MODEL, BY_KEY, BLOCKED = (
    "The scores are divided by sqrt(d_model)",
    "The scores are divided by d_k",
    "True blocks and False allows",
)


def finding(requirement: str, *matches: str) -> Verdict:
    proof = Evidence(case={}, case_text="", quantity="output", matches=matches)
    return Verdict("mine", requirement, Level.MUST, Status.FAIL, evidence=proof)


def told(*findings: Verdict) -> list[tuple[str, int, int]]:
    return [(cause.words, cause.explained, cause.of) for cause in causes(findings)]


SCALE = "the scores are divided by sqrt(d_model)"


def test_a_fault_that_explains_several_findings_is_their_likely_cause() -> None:
    found = finding("A", BY_MODEL), finding("B", BLOCKED, BY_MODEL), finding("C")
    assert told(*found) == [(SCALE, 2, 3)]
    assert likely(causes(found)) == f"Likely cause: {SCALE} (explains 2 of its 3 findings)"


def test_one_finding_among_several_makes_no_cause_but_an_only_one_does() -> None:
    assert told(finding("A", BY_MODEL), finding("B")) == []
    assert told(finding("A", BY_MODEL)) == [(SCALE, 1, 1)]
    assert likely(causes([finding("A", BY_MODEL)])).endswith("(explains its only finding)")
    assert likely(causes([])) == likely(causes([finding("A")])) == ""


def test_a_second_cause_explains_what_the_first_does_not() -> None:
    first = [finding(name, BY_MODEL, BY_KEY) for name in "AB"] + [finding("C", BY_MODEL)]
    assert told(*first) == [(SCALE, 3, 3)]
    second = [finding(name, BLOCKED) for name in "DE"]
    assert told(*first, *second) == [(SCALE, 3, 5), (BLOCKED, 2, 5)]
    assert likely(causes(first + second)).startswith(
        f"Likely causes: {SCALE} (explains 3 of its 5 findings); "
    )


def test_two_causes_at_most() -> None:
    found = [finding(f"{n}{m}", f"Fault {m}") for m in range(4) for n in range(2)]
    assert [words for words, _, _ in told(*found)] == ["fault 0", "fault 1"]


def test_two_faults_that_explain_the_same_are_told_together_and_three_are_not() -> None:
    assert told(finding("A", BY_MODEL, BY_KEY)) == [(f"{SCALE}, or the scores are divided by d_k", 1, 1)]
    assert told(finding("A", BY_MODEL, BY_KEY, BLOCKED)) == []


def test_what_the_cause_explains_is_read_first_and_what_refuses_arguments_last() -> None:
    order = ("DIV-REFUSE", "DIV-ACCEPT", "SHAPE-OUTPUT", "SHAPE-REFUSE", "SCALE-DK", "HEADS-SUM", "NUM-BOUND")
    scaled = {"SCALE-DK", "NUM-BOUND"}
    found = [finding(name, *([BY_MODEL] if name in scaled else [])) for name in order]
    assert [verdict.requirement for verdict in by_cause(found)] == [
        *("SCALE-DK", "NUM-BOUND"),
        *("SHAPE-OUTPUT", "HEADS-SUM"),
        *("DIV-REFUSE", "DIV-ACCEPT", "SHAPE-REFUSE"),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_ordering_loses_nothing(seed: int) -> None:
    draw = random.Random(seed)
    faults = (BY_MODEL, BY_KEY, BLOCKED)
    found = [finding(f"R-{n}", *draw.sample(faults, draw.randrange(4))) for n in range(draw.randrange(9))]
    assert sorted(v.requirement for v in by_cause(found)) == sorted(v.requirement for v in found)
    assert all(min(2, cause.of) <= cause.explained <= cause.of == len(found) for cause in causes(found))


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ((), ""),
        ((BY_MODEL,), f"a known fault: {SCALE}"),
        ((BLOCKED, "W_o is applied twice"), f"known faults: {BLOCKED}; or W_o is applied twice"),
        (("A row with no allowed key is 0/0",), "a known fault: a row with no allowed key is 0/0"),
        (("NaN in an input is replaced by zero",), "a known fault: NaN in an input is replaced by zero"),
        (("`q *= scale` scales the query",), "a known fault: `q *= scale` scales the query"),
    ],
)
def test_a_match_in_words(faults: tuple[str, ...], words: str) -> None:
    proof = finding("A", *faults).evidence
    assert proof is not None
    assert matched(proof) == words
