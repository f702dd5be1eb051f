"""The engine: the same verdicts whatever is asked first, and each of them for its reason."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from headcheck.adapters.protocol import Declaration
from headcheck.adapters.subjects import adapt, load
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.engine import Judgement, Subject
from headcheck.observation import Failure, NotMet
from headcheck.pool import PROFILES
from headcheck.reference.faults.catalogue import fault_named
from headcheck.reference.on_numpy import MultiHeadAttention
from headcheck.session import InProcess
from headcheck.specification import Requirement, named, select
from headcheck.verdicts import Status, Verdict

SMOKE = PROFILES["smoke"]


def judgement(subject: str | type = MultiHeadAttention, seed: int = 0, profile: str = "smoke") -> Judgement:
    adapter = load(subject) if isinstance(subject, str) else adapt(subject)
    made = Judgement(Subject("mine", InProcess(adapter)), PROFILES[profile], seed)
    assert made.prepare().error == ""
    return made


def verdicts(judging: Judgement, requirements: tuple[Requirement, ...]) -> dict[str, Verdict]:
    return {one.id: judging.judge(one) for one in requirements if not one.deep}


def test_the_same_verdicts_whatever_is_asked_first() -> None:
    everything = select(skip=["COST-*", "DROPOUT-*", "INIT-*"])
    forwards = verdicts(judgement(), everything)
    backwards = verdicts(judgement(), everything[::-1])
    assert {id: (v.status, v.examples, v.situations) for id, v in forwards.items()} == {
        id: (v.status, v.examples, v.situations) for id, v in backwards.items()
    }


def test_the_same_failure_twice() -> None:
    subject = fault_named("ScaleByModel").subject("numpy")
    once, again = (judgement(subject).judge(named("PROJ-ORACLE")) for _ in range(2))
    assert once.status is Status.FAIL
    assert once.evidence is not None
    assert once.evidence == again.evidence


def test_a_run_leaves_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile, errors, state = hypothesis.settings.default, np.geterr(), np.random.get_state()[1]
    verdicts(judgement(fault_named("ScaleByModel").subject("numpy")), select(["PROJ-*", "SCALE-*"]))
    assert hypothesis.settings.default is profile
    assert np.geterr() == errors
    assert np.array_equal(np.random.get_state()[1], state)
    assert [*tmp_path.iterdir()] == []  # no .hypothesis folder


def test_what_is_not_offered_is_not_applicable() -> None:
    verdict = judgement().judge(named("DROPOUT-EVAL"))
    assert (verdict.status, verdict.message) == (Status.NOT_APPLICABLE, "not offered: dropout")


def raising(error: Exception) -> Requirement:
    """Return a requirement that no case can be judged by."""

    def judge(attend: Attend, case: Case) -> Failure | None:
        raise error

    return replace(named("ORDER-KEY"), judge=judge)


def test_what_never_met_its_situation_is_inconclusive() -> None:
    verdict = judgement().judge(raising(NotMet("there is one key alone")))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.message == "never met its situation: there is one key alone"


def test_an_error_of_headchecks_own_accuses_nobody_and_ends_nothing() -> None:
    judging = judgement()
    verdict = judging.judge(raising(ZeroDivisionError("division by zero")))
    assert verdict.status is Status.HARNESS_ERROR
    assert "ZeroDivisionError" in verdict.message
    assert "on B=" in verdict.message  # the case, so that it can be reported
    assert judging.judge(named("ORDER-QUERY")).status is Status.PASS


def test_a_failed_prerequisite_blocks_and_is_named() -> None:
    class Nothing(MultiHeadAttention):
        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            return None

    verdict = judgement(Nothing).judge(named("ORDER-QUERY"))
    assert (verdict.status, verdict.message) == (Status.BLOCKED, "SHAPE-OUTPUT failed")


class NoOutputForOneHead(MultiHeadAttention):
    def __init__(self, d_model: int, num_heads: int, **options: object):
        super().__init__(d_model, num_heads, **options)  # type: ignore[arg-type]
        if num_heads == 1:
            del self.W_o


def test_a_projection_that_is_missing_at_some_sizes_is_the_subjects_fault() -> None:
    judging = judgement(NoOutputForOneHead, profile="standard")
    for id in ("DIV-ACCEPT", "SHAPE-OUTPUT", "PROJ-COUNT"):
        verdict = judging.judge(named(id))
        assert verdict.status is Status.FAIL
        assert "no attribute for W_o" in verdict.message


def test_what_is_excused_once_is_asked_first_and_counted() -> None:
    judging = judgement(fault_named("QueryWeightsTransposed").subject("numpy"))
    verdict = judging.judge(named("MASK-CAUSAL"))
    assert verdict.status is Status.BLOCKED
    found = re.fullmatch(r"PROJ-ORACLE already fails on (\d+) of (\d+) cases .*", verdict.message)
    assert found
    assert 1 < int(found[1]) <= int(found[2]) == verdict.examples


def test_situations_that_were_met_are_counted() -> None:
    verdict = judgement(profile="standard").judge(named("PROJ-ORACLE"))
    met = verdict.situations
    assert verdict.examples > 30
    assert met["mask: none"] + met["mask: heads"] < verdict.examples
    assert {"B = h", "n_q != n_k", "float64", "float32", "mask: keys", "h = 1", "n >= 64"} <= {*met}


@pytest.mark.parametrize("fault", ["ScaleByModel", "SoftmaxOverQueries", "MaskInverted"])
def test_a_failure_shrinks_to_what_a_person_can_read(fault: str) -> None:
    verdict = judgement(fault_named(fault).subject("numpy")).judge(named("PROJ-ORACLE"))
    assert verdict.evidence is not None
    case = verdict.evidence.case
    assert case["batch"] * case["n_q"] * case["n_k"] * case["num_heads"] * case["d_k"] <= 8, case
    assert case["recipe"] in {"integers", "eighths"}


def test_the_replay_command_holds_the_case() -> None:
    verdict = judgement(fault_named("ScaleByModel").subject("numpy")).judge(named("PROJ-ORACLE"))
    assert verdict.evidence is not None
    command = verdict.evidence.replay
    assert command.startswith("headcheck run mine --no-html --only PROJ-ORACLE --case ")
    case = json.loads(command.partition("--case ")[2].strip("'"))
    assert case.items() <= dict(verdict.evidence.case).items()


class Sealed(InProcess):
    """A session with a subject whose weights can be neither set nor read."""

    def declare(self) -> Declaration:
        known = super().declare()
        return replace(known, capabilities=known.capabilities - {"parameters", "read"})


@pytest.mark.parametrize(("fault", "status"), [("", Status.PASS), ("WeightsAveraged", Status.FAIL)])
def test_shapes_are_judged_without_weights(fault: str, status: Status) -> None:
    adapter = load(fault_named(fault).subject("numpy")) if fault else adapt(MultiHeadAttention)
    judging = Judgement(Subject("sealed", Sealed(adapter)), SMOKE)
    assert judging.prepare().error == ""
    assert judging.judge(named("SHAPE-OUTPUT")).status is Status.PASS
    assert judging.judge(named("SHAPE-WEIGHTS")).status is status


def test_weights_of_another_shape_are_found_where_shapes_are_judged_and_nowhere_else() -> None:
    judging = Judgement(
        Subject("averaged", InProcess(load(fault_named("WeightsAveraged").subject("numpy")))),
        SMOKE,
        prove=False,
    )
    judging.prepare()
    verdicts = {one: judging.judge(named(one)) for one in ("SCALE-DK", "HEADS-PERMUTE", "SHAPE-UNIT")}
    assert judging.judge(named("SHAPE-WEIGHTS")).status is Status.FAIL
    assert verdicts["SHAPE-UNIT"].status is Status.FAIL
    for one in ("SCALE-DK", "HEADS-PERMUTE"):
        assert (verdicts[one].status, verdicts[one].message) == (Status.BLOCKED, "SHAPE-WEIGHTS failed")
    assert judging.judge(named("PROJ-ORACLE")).status is Status.PASS
