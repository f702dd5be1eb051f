"""The page of the suite's own trials says what trying again says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from headcheck.pool import PROFILES
from headcheck.selftest import Trial, holes, tried

from docs import selftest

KEPT = selftest.kept()
TRIALS = list(KEPT.trials.values())
ON_NUMPY = [trial for trial in TRIALS if trial.framework == "numpy"]
SAMPLE = ON_NUMPY[:: max(1, len(ON_NUMPY) // 6)]


def test_the_page_holds_what_the_catalogue_holds() -> None:
    assert selftest.stale() == []


def test_the_page_shows_no_hole() -> None:
    assert holes(TRIALS, selftest.judging()) == []


@pytest.mark.parametrize("trial", SAMPLE, ids=lambda trial: trial.name)
def test_trying_again_gives_the_verdict_of_the_page(trial: Trial) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = tried(trial, selftest.judging(), PROFILES[selftest.PROFILE], others=None)
    assert (again.verdict, again.error) == (trial.verdict, "")
    assert not trial.meant or trial.meant in again.caught_by


def test_what_is_new_makes_the_page_stale(tmp_path: Path) -> None:
    page = tmp_path / "selftest.html"
    text = selftest.FILE.read_text("utf-8")
    page.write_text(
        re.sub(r'"numpy ScaleByModel": \{"code": "\w+"', r'"numpy ScaleByModel": {"code": "0"', text)
    )
    assert "not tried as they are written: numpy ScaleByModel; 1 in all" in selftest.stale(page)[0]
    page.write_text(text.replace('"requirements": ["DIV-REFUSE", ', '"requirements": ["DIV-OTHER", '))
    assert "other requirements: DIV-OTHER, DIV-REFUSE" in selftest.stale(page)[0]
    assert "not tried" in selftest.stale(tmp_path / "missing.html")[1]
