"""The command line as a person runs it: a process, in a folder with a module of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MINIATURES = Path(__file__).with_name("miniatures.py")
Headcheck = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with subjects, a module that does not import, and a results file cut short."""
    (tmp_path / "mine.py").write_text(MINIATURES.read_text())
    (tmp_path / "fails.py").write_text("raise ValueError('not today')\n")
    (tmp_path / "short.json").write_text('{"format": "headcheck results",')
    (tmp_path / "foreign.json").write_text('{"version": "2.1.0", "runs": []}')
    return tmp_path


@pytest.fixture
def headcheck(folder: Path) -> Headcheck:
    """Run the command line in the folder."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from headcheck.cli import main; main()", *arguments]
        return subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=120
        )

    return run
