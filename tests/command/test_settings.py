"""Settings: the command line over the environment over the file, and nothing unknown taken in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Headcheck

RUN = ("run", "mine.py:Right", "-q", "--no-html", "--json", "r.json")


def profile_of(folder: Path) -> str:
    return str(json.loads((folder / "r.json").read_text())["profile"])


def test_the_command_line_stands_over_the_environment_over_the_file(
    headcheck: Headcheck, folder: Path
) -> None:
    only = ("--only", "SHAPE-OUTPUT")
    (folder / "pyproject.toml").write_text('[tool.headcheck]\nprofile = "deep"\n')
    headcheck(*RUN, *only)
    assert profile_of(folder) == "deep"
    headcheck(*RUN, *only, HEADCHECK_PROFILE="standard")
    assert profile_of(folder) == "standard"
    headcheck(*RUN, *only, "--profile", "smoke", HEADCHECK_PROFILE="standard")
    assert profile_of(folder) == "smoke"


def test_a_file_of_its_own_and_subjects_in_it(headcheck: Headcheck, folder: Path) -> None:
    (folder / "headcheck.toml").write_text(
        'subjects = ["mine.py:Right"]\nno-html = true\nonly = ["SHAPE-*"]\n'
    )
    done = headcheck("run", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("? mine.py:Right no failure found")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('profil = "smoke"', ["no setting 'profil'", "did you mean 'profile'?"]),
        ('profile = "quick"', ["profile", "'quick'"]),
        ("seed = true", ["seed is True", "expected a whole number"]),
        ("only = [1]", ["expected a list of text"]),
        ("profile = ", ["cannot be read as TOML"]),
    ],
)
def test_what_a_setting_cannot_be(headcheck: Headcheck, folder: Path, written: str, words: list[str]) -> None:
    (folder / "headcheck.toml").write_text(written)
    done = headcheck(*RUN)
    assert (done.returncode, done.stdout) == (4, "")
    assert "headcheck.toml" in done.stderr
    assert all(one in done.stderr for one in words), done.stderr
