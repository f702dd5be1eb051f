"""What an implementation does to its caller is a verdict about it, and the run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headcheck.adapters.protocol import Build, Call
from headcheck.session import Isolated
from headcheck.worker import TimedOut

from .conftest import Headcheck

SHAPE = "SHAPE-OUTPUT"
WHAT_IT_DOES = {
    "GivesADict": (SHAPE, "fail", "a dict with the keys 'answer' came back"),
    "GivesNothing": (SHAPE, "fail", "None came back"),
    "GivesTheWrongShape": (SHAPE, "fail", "has shape (1, 1, 0); expected (1, 1, 1)"),
    "GivesNaN": ("SOFTMAX-RANGE", "fail", "a weight is NaN"),
    "Raises": (SHAPE, "fail", "raised RuntimeError: no licence"),
    "Exits": (SHAPE, "fail", "raised SystemExit: 3"),
    "Interrupts": (SHAPE, "fail", "raised KeyboardInterrupt"),
    "ExitsUnderMask": ("MASK-ALLOW-ALL", "fail", "raised SystemExit: no such kernel"),
    "Leaves": (SHAPE, "crash", "exited with status 0 while it was called"),
    "Aborts": (SHAPE, "crash", "exited with status 7"),
    "Segfaults": (SHAPE, "crash", "killed by SIGSEGV while it was called"),
    "Hangs": (SHAPE, "timeout", "no answer within 0.5 s"),
}


def judged(headcheck: Headcheck, folder: Path, *subjects: str, only: str = SHAPE) -> list[dict[str, Any]]:
    options = ["--no-html", "--json", "r.json", "--timeout", "0.5", "--only", only]
    done = headcheck("run", *options, *(f"mine.py:{name}" for name in subjects))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    verdicts: list[dict[str, Any]] = json.loads((folder / "r.json").read_text())["verdicts"]
    return verdicts


@pytest.mark.parametrize("name", WHAT_IT_DOES)
def test_what_it_does_is_the_verdict(headcheck: Headcheck, folder: Path, name: str) -> None:
    requirement, status, words = WHAT_IT_DOES[name]
    [verdict] = judged(headcheck, folder, name, only=requirement)
    assert verdict["status"] == status
    assert words in verdict["message"]


def test_a_crash_is_shrunk_and_the_neighbour_lives(headcheck: Headcheck, folder: Path) -> None:
    dead, alive = judged(headcheck, folder, "Segfaults", "Right")
    assert (dead["status"], alive["status"]) == ("crash", "pass")
    case = dead["evidence"]["case"]
    assert case["n_k"] > 7
    # The first shape of more than seven keys has 16 queries and two heads of four.
    assert case["n_q"] * case["num_heads"] * case["d_k"] < 16 * 2 * 4


def test_what_rests_on_a_failure_is_blocked(headcheck: Headcheck, folder: Path) -> None:
    [shape, oracle] = judged(headcheck, folder, "GivesNothing", only="[SP][HR]*-O[UR]*")
    assert (shape["requirement"], oracle["requirement"]) == (SHAPE, "PROJ-ORACLE")
    assert (oracle["status"], oracle["message"]) == ("blocked", f"{SHAPE} failed")


def test_a_hang_replays_with_its_own_time_limit(headcheck: Headcheck, folder: Path) -> None:
    [verdict] = judged(headcheck, folder, "Hangs")
    assert "--timeout 0.5" in verdict["evidence"]["replay"]
    again = headcheck("replay", "r.json")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "still failing: no answer within 0.5 s" in again.stdout


def test_what_hangs_again_is_not_waited_for_so_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # where it leaves its word
    few, many = (np.ones((1, n, 4)) for n in (2, 9))
    small, large = (Call(Build(4, 2), x, x, x) for x in (few, many))
    with Isolated("mine.py:Hangs", timeout=2.0) as session:
        session.declare()
        waits = []
        for _ in range(2):
            assert session.attend([small])[0].raised is None
            with pytest.raises(TimedOut) as hang:
                session.attend([large])
            waits.append(hang.value.seconds)
    assert waits[0] == 2.0
    assert 0.2 <= waits[1] < 2.0
