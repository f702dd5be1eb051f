"""The suite's own trial: which requirement judges a fault at which profile."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from headcheck import selftest
from headcheck.pool import PROFILES
from headcheck.selftest import Trial, candidates, tried
from headcheck.specification import named

pytestmark = pytest.mark.numpy

SMOKE, STANDARD = PROFILES["smoke"], PROFILES["standard"]
CHOSEN = [named(id) for id in ("SHAPE-OUTPUT", "PROJ-ORACLE", "SCALE-DK", "SOFTMAX-ROWSUM")]
FAULT = next(one for one in candidates(["numpy"]) if one.name == "ScaleByModel")
STYLE = next(one for one in candidates(["numpy"]) if not one.meant)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Who was asked, in order: requirement, profile and seed."""
    made: list[tuple[str, str, int]] = []
    original = selftest._caught

    def caught(candidate: Trial, requirements: Iterable[selftest.Requirement], profile, seed):  # type: ignore[no-untyped-def]
        made.extend((one.id, profile.name, seed) for one in requirements)
        return original(candidate, requirements, profile, seed)

    monkeypatch.setattr(selftest, "_caught", caught)
    return made


def test_a_fault_that_is_caught_meets_the_others_at_their_profile(asked: list[tuple[str, str, int]]) -> None:
    trial = tried(FAULT, CHOSEN, STANDARD, others=SMOKE)
    assert trial.verdict == "caught"
    assert asked[0] == (FAULT.meant, "standard", 0)
    assert {profile for _, profile, _ in asked[1:]} == {"smoke"}
    assert len(asked) == len(CHOSEN)
    assert "PROJ-ORACLE" in trial.caught_by


def test_or_none(asked: list[tuple[str, str, int]]) -> None:
    assert tried(FAULT, CHOSEN, STANDARD, others=None).caught_by == (FAULT.meant,)
    assert asked == [(FAULT.meant, "standard", 0)]


def test_one_that_is_missed_meets_all_at_the_profile(asked: list[tuple[str, str, int]]) -> None:
    deaf = [one for one in CHOSEN if one.id != FAULT.meant]
    trial = tried(FAULT, deaf, STANDARD, others=None)
    assert trial.verdict == "caught by another"
    assert {profile for _, profile, _ in asked} == {"standard"}


def test_a_right_style_is_judged_on_every_seed(asked: list[tuple[str, str, int]]) -> None:
    trial = tried(STYLE, CHOSEN, SMOKE, range(3), others=None)
    assert trial.verdict == "left in peace"
    assert {seed for _, _, seed in asked} == {0, 1, 2}
    assert len(asked) == 3 * len(CHOSEN)
