"""The README's counts and outputs are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from headcheck.cli import COMMANDS
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reference.styles.catalogue import STYLES
from headcheck.specification import FAMILIES, specification

from docs.transcript import environment, settled

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WORDS = " ".join(README.split())


def test_counts() -> None:
    classes = sum(len(fault.frameworks) for fault in FAULTS)
    assert f"{len(specification())} requirements in {len(FAMILIES)} families" in WORDS
    assert f"{len(FAULTS)} faults, {classes} wrong classes over the three frameworks" in WORDS
    assert f"{len(STYLES)} right styles" in WORDS


def test_two_commands_set_up_everything() -> None:
    assert len(re.findall(r"^python3 -m venv", README, re.MULTILINE)) == 2


def test_every_command_is_named() -> None:
    [table] = re.findall(r"^## Commands\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(?:headcheck )?(\w+)", table))
    assert set(COMMANDS) - named == {"adapter"}  # has a section of its own


@pytest.mark.torch
def test_what_it_finds_in_torch() -> None:
    pytest.importorskip("torch")
    [shown] = re.findall(r"^\$ (headcheck run torch.*?)^```$", README, re.MULTILINE | re.DOTALL)
    command, _, output = shown.partition("\n")
    came = subprocess.run(
        ["bash", "-c", f"{command} --no-html"],
        env=environment(os.environ),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    ).stdout
    for finding in re.split(r"\n(?=  [✗≠] )", output):
        said = settled(finding).removesuffix("...").strip()
        assert said in settled(came), f"{said}\nis not among\n{came}"


@pytest.mark.torch
def test_the_script_fails_without_headcheck(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    [script] = re.findall(r"^```python\n(# MASK-EMPTY-ROW.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "proof.py").write_text(script, "utf-8")
    done = subprocess.run(
        [sys.executable, "proof.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (
        done.stderr.rstrip()
        .splitlines()[-1]
        .startswith("AssertionError: a row with no key allowed gives NaN")
    )
