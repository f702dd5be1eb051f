"""A user's mistake is told in a line or two: what was given, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Headcheck

NOT_A_SUBJECT = {
    "run mine.py": ["not a subject", "path/to/file.py:Name"],
    "run nowhere.py:Right": ["no such file"],
    "run no_such_module:Right": ["no such module"],
    "run mine.py:Rihgt": ["no 'Rihgt'", "Did you mean Right?"],
    "run mine.py:number": ["of type int", "expected a class"],
    "run fails.py:Right": ["ValueError: not today", "fails.py:1"],
    "run mine.py:WantsMore": ["licence unknown", "headcheck adapter new mine.py:WantsMore"],
    "run mine.py:HasNoProjections": ["no attribute for W_q", "alpha", "headcheck adapter new"],
    "run mine.py:CannotBeBuilt": ["OSError: no such device", "mine.py:", "Expected a module of that size"],
    "run mine.py:Nothing*": ["Nothing*"],
}
NOT_A_COMMAND = {
    "rum": ["no command 'rum'", "did you mean run?"],
    "run --only MASK-CASUAL mine.py:Right": [
        "no requirement matches 'MASK-CASUAL'",
        "did you mean MASK-CAUSAL",
    ],
    "run --skip NOPE mine.py:Right": ["no requirement matches 'NOPE'"],
    "run --profile quick mine.py:Right": ["'quick' is not one of", "smoke"],
    "run --seed -1 mine.py:Right": ["-1"],
    "run --html no/folder/r.html mine.py:Right": ["cannot write no/folder/r.html", "no folder no/folder"],
    "run --json . mine.py:Right": ["cannot write ."],
    "run --output paper=x mine.py:Right": ["paper"],
    "run --timeout nan mine.py:Right": ["--timeout", "nan is not in the range", "0.1"],
    "run --timeout inf mine.py:Right": ["--timeout", "inf is not in the range"],
    'run --case {"batch":1000000000} mine.py:Right': ["B=1000000000", "expected one of at most"],
    "run --case {} --case [ mine.py:Right": ["--case is not JSON"],
    "run --baseline none.toml mine.py:Right": ["none.toml"],
    "explain MASK-CASUAL": ["no requirement 'MASK-CASUAL'", "did you mean MASK-CAUSAL"],
    "replay none.json": ["cannot read none.json", "headcheck run --json"],
    "replay short.json": ["short.json"],
    "report foreign.json --html r.html": ["foreign.json"],
    "diff mine.py short.json": ["mine.py is not JSON"],
}


@pytest.mark.parametrize("line", NOT_A_SUBJECT)
def test_what_cannot_be_judged(headcheck: Headcheck, line: str) -> None:
    done = headcheck(*line.split(), "--no-html", NO_COLOR="1", COLUMNS="200")
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stdout.startswith("?")
    assert all(words in done.stdout for words in NOT_A_SUBJECT[line]), done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("line", NOT_A_COMMAND)
def test_what_cannot_be_done(headcheck: Headcheck, line: str) -> None:
    done = headcheck(*line.split())
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("headcheck: ")
    assert all(words in done.stderr for words in NOT_A_COMMAND[line]), done.stderr
    assert done.stderr.count("\n") <= 2
    assert "Traceback" not in done.stderr


def test_nothing_is_judged_before_an_output_is_known_to_be_writable(
    headcheck: Headcheck, folder: Path
) -> None:
    done = headcheck("run", "mine.py:Right", "--json", "results.json", "--junit", "no/folder/j.xml")
    assert (done.returncode, done.stdout) == (4, "")
    assert not (folder / "results.json").exists()


def test_the_other_subjects_are_still_judged(headcheck: Headcheck) -> None:
    done = headcheck("run", "-q", "--no-html", "--profile", "smoke", "gone.py:Mine", "mine.py:Right")
    assert done.returncode == 4
    assert "gone.py: no such file" in done.stdout
    assert "mine.py:Right no failure found" in done.stdout
