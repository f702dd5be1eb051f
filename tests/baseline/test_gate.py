"""A run judged against its known failures: what is new, changed, mended, stale."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from headcheck import baseline
from headcheck.baseline import Baseline, Entry
from headcheck.verdicts import Run, Status, Verdict
from hypothesis import given, settings

from tests.runs import EVERY_STATUS, LEVELS, SUBJECT, any_run, evidence, run, verdict

TODAY = date(2026, 6, 1)
FAILING = verdict("MASK-ZERO", Status.FAIL, evidence=evidence(variant="fused", dtype="float16"))
ENTRY = Entry(
    SUBJECT, "MASK-ZERO", "fail", "fused", {"dtype": "float16"}, "known since 1.0", "https://e.org/7"
)


def gated(some: Run, *entries: Entry, today: date = TODAY) -> Run:
    return baseline.apply(some, Baseline(entries), today, requirements=LEVELS)


def judged(one: Verdict, *entries: Entry, today: date = TODAY) -> Verdict:
    return gated(run(one), *entries, today=today).verdicts[0]


def test_an_expected_failure_is_known_and_never_a_pass() -> None:
    after = gated(run(FAILING, verdict("SHAPE-OUTPUT", Status.PASS)), ENTRY)
    known = after.verdicts[0]
    assert known.status is Status.KNOWN_FAILURE
    assert (known.reason, known.link, known.kind) == ("known since 1.0", "https://e.org/7", "fail")
    assert known.evidence == FAILING.evidence
    assert after.conclusion(SUBJECT) == "conformant except for 1 known failure"
    assert after.problems == ()


def test_judging_twice_changes_nothing_more() -> None:
    once = gated(run(FAILING), ENTRY)
    assert gated(once, ENTRY) == once


def test_a_new_failure_stays_a_failure() -> None:
    after = gated(run(FAILING, verdict("MASK-CAUSAL", Status.FAIL)), ENTRY)
    assert after.verdicts[1] == verdict("MASK-CAUSAL", Status.FAIL)
    assert after.conclusion(SUBJECT) == "not conformant"


@pytest.mark.parametrize(
    ("one", "entry", "words"),
    [
        (FAILING, replace(ENTRY, kind="crash"), "Known as crash, but this is fail."),
        (replace(FAILING, status=Status.TIMEOUT), ENTRY, "Known as fail, but this is timeout."),
        (
            FAILING,
            replace(ENTRY, variant=""),
            "Known on dtype float16, but this is on path 'fused', dtype float16.",
        ),
        (
            FAILING,
            replace(ENTRY, when={"dtype": "bfloat16"}),
            "Known on path 'fused', dtype bfloat16, but this is on path 'fused', dtype float16.",
        ),
        (FAILING, replace(ENTRY, expires=date(2026, 5, 31)), "Known until 2026-05-31, which is over."),
    ],
)
def test_what_an_entry_does_not_cover_stays_a_failure_and_says_why(
    one: Verdict, entry: Entry, words: str
) -> None:
    after = judged(one, entry)
    assert after.status is one.status
    assert after.message == f"{words} {one.message}"


def test_an_entry_that_names_no_configuration_covers_any() -> None:
    assert judged(FAILING, Entry(SUBJECT, "MASK-ZERO")).status is Status.KNOWN_FAILURE


def test_any_of_several_entries_may_cover() -> None:
    other = replace(ENTRY, variant="eager", reason="other")
    assert judged(FAILING, other, ENTRY).reason == "known since 1.0"


def test_an_entry_covers_its_last_day() -> None:
    entry = replace(ENTRY, expires=TODAY)
    assert judged(FAILING, entry).status is Status.KNOWN_FAILURE
    assert gated(run(FAILING), entry).problems == ()


def test_a_pass_with_an_entry_prints_the_command_that_mends_it() -> None:
    listed = Baseline((ENTRY,), "my list.toml")
    after = baseline.apply(run(verdict("MASK-ZERO", Status.PASS)), listed, TODAY, requirements=LEVELS)
    (one,) = after.verdicts
    assert one.status is Status.UNEXPECTED_PASS
    command = one.message.splitlines()[-1]
    assert shlex.split(command) == ["headcheck", "baseline", "prune", "--baseline", "my list.toml"]
    assert after.conclusion(SUBJECT) == "not conformant"
    assert baseline.prune(after, listed) == Baseline((), "my list.toml")


def judged_here(profile: str = "standard", **here: Any) -> Run:
    some = run(verdict("MASK-ZERO", Status.PASS), profile=profile)
    return replace(some, subjects=(replace(some.subjects[0], **here),))


@pytest.mark.parametrize(
    ("some", "entry"),
    [
        (judged_here(dtypes=("float32",)), ENTRY),  # no float16 on this machine
        (judged_here(variants=("eval",)), ENTRY),  # no fused path in this release
        (judged_here(), replace(ENTRY, when={"device": "cuda"})),
        (judged_here("smoke"), ENTRY),  # listed by hand, without the case that shows it
    ],
)
def test_a_run_contradicts_no_entry_that_it_could_not_try(some: Run, entry: Entry) -> None:
    listed = Baseline((entry,))
    assert gated(some, entry) == some
    assert baseline.prune(some, listed) == listed == baseline.write(some, listed)


def test_of_two_entries_on_a_requirement_only_the_one_that_was_tried_is_mended() -> None:
    there = replace(ENTRY, when={"device": "cuda"})
    some = judged_here()
    assert gated(some, ENTRY, there).verdicts[0].status is Status.UNEXPECTED_PASS
    assert baseline.prune(some, Baseline((ENTRY, there))).entries == (there,)


def test_a_run_that_is_not_whole_does_not_hide_its_known_failures() -> None:
    after = gated(run(FAILING, full=False), ENTRY)
    assert after.conclusion(SUBJECT) == "no failure found except for 1 known failure"


@pytest.mark.parametrize(
    "status", [Status.NOT_APPLICABLE, Status.BLOCKED, Status.INCONCLUSIVE, Status.HARNESS_ERROR]
)
def test_what_was_not_decided_is_left_alone(status: Status) -> None:
    one = verdict("MASK-ZERO", status)
    assert judged(one, ENTRY) == one
    assert baseline.prune(run(one), Baseline((ENTRY,))).entries == (ENTRY,)


def test_stale_entries_are_problems() -> None:
    some = run(FAILING)
    (problem,) = gated(some, replace(ENTRY, requirement="MASK-ZORRO")).problems
    assert "MASK-ZORRO on attention.py:Attention names no requirement" in problem
    (problem,) = gated(some, replace(ENTRY, expires=date(2026, 5, 31))).problems
    assert "MASK-ZERO on attention.py:Attention expired on 2026-05-31" in problem
    (problem,) = gated(some, replace(ENTRY, subject="old.py:A")).problems
    assert "lists failures of old.py:A, but this run judged attention.py:Attention" in problem


def test_entries_on_what_this_run_did_not_judge_are_no_problem() -> None:
    assert gated(run(FAILING), ENTRY, replace(ENTRY, subject="other.py:B")).problems == ()
    assert gated(run(FAILING), ENTRY, replace(ENTRY, requirement="COST-QUADRATIC")).problems == ()


def test_the_requirements_that_exist_are_by_default_those_of_the_specification() -> None:
    pytest.importorskip("numpy")
    entries = (ENTRY, replace(ENTRY, requirement="SHAPE-CROSS"), replace(ENTRY, requirement="SHAPE-CORSS"))
    (problem,) = baseline.apply(run(FAILING), Baseline(entries), TODAY).problems
    assert "SHAPE-CORSS" in problem


# Writing ----------------------------------------------------------------------------------------------


def test_what_is_written_excuses_the_run_it_was_written_from() -> None:
    listed = baseline.write(EVERY_STATUS)
    assert [(entry.requirement, entry.kind) for entry in listed.entries] == [
        ("MASK-CAUSAL", "crash"),
        ("MASK-EMPTY-ROW", "fail"),
        ("MASK-ZERO", "fail"),
        ("PATH-AGREE", "timeout"),
    ]
    after = gated(EVERY_STATUS, *listed.entries)
    assert [v.requirement for v in after.verdicts if after.breaks(v)] == ["SCALE-DK"]  # passes unexpectedly
    known = next(entry for entry in listed.entries if entry.requirement == "MASK-EMPTY-ROW")
    assert (known.reason, known.variant) == ("NaN since 1.5", "weights")
    assert known.case == evidence().case


def test_a_deviation_is_listed_where_it_would_fail_the_run() -> None:
    strict = replace(EVERY_STATUS, strict=True)
    written = {entry.requirement: entry.kind for entry in baseline.write(strict).entries}
    assert written["NUM-NAN"] == "deviates"


@settings(deadline=None)
@given(any_run())
def test_any_run_is_excused_by_the_list_written_from_it(some: Run) -> None:
    listed = baseline.write(some)
    after = baseline.apply(some, listed, TODAY, requirements=())
    broken = [v for v in after.verdicts if after.breaks(v)]
    assert all(v.status is Status.UNEXPECTED_PASS for v in broken)
    assert after.problems == some.problems
    assert baseline.write(some, listed) == listed


def renewed(some: Run, *entries: Entry) -> tuple[Entry, ...]:
    return baseline.write(some, Baseline(entries, "b.toml")).entries


def test_what_people_wrote_is_kept() -> None:
    mine: dict[str, Any] = {"reason": "mine", "link": "https://e.org", "expires": date(2027, 1, 1)}
    proof = evidence(variant="fused", dtype="float16", case={"dtype": "float16", "n_q": 3})
    crash = replace(FAILING, status=Status.CRASH, evidence=proof)
    (entry,) = renewed(run(crash), replace(ENTRY, **mine))
    assert entry == replace(ENTRY, **mine, kind="crash", case=proof.case)
    any_path = Entry(SUBJECT, "MASK-ZERO", **mine)
    (entry,) = renewed(run(FAILING), any_path)
    assert (entry.variant, entry.when, entry.reason) == (None, {}, "mine")


def test_entries_on_what_was_not_judged_stay_and_those_on_what_holds_go() -> None:
    elsewhere, blocked = replace(ENTRY, subject="b.py:B"), replace(ENTRY, requirement="GRAD-ORACLE")
    mended = replace(ENTRY, requirement="SHAPE-OUTPUT")
    some = run(verdict("SHAPE-OUTPUT", Status.PASS), verdict("GRAD-ORACLE", Status.BLOCKED), FAILING)
    kept = renewed(some, elsewhere, blocked, mended)
    assert [entry.pair for entry in kept] == [
        (SUBJECT, "GRAD-ORACLE"),
        (SUBJECT, "MASK-ZERO"),
        ("b.py:B", "MASK-ZERO"),
    ]


def test_pruning_takes_only_what_holds() -> None:
    listed = Baseline((ENTRY, replace(ENTRY, requirement="SHAPE-OUTPUT")))
    some = run(FAILING, verdict("SHAPE-OUTPUT", Status.PASS))
    assert baseline.prune(some, listed).entries == (ENTRY,)
