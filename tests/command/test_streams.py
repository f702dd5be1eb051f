"""Results to stdout, progress to a terminal alone, colour where it is welcome, and nothing lost on Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Headcheck

FRAMEWORKS = {"numpy", "torch", "jax", "flax", "hypothesis", "jinja2", "jsonschema", "rich"}
SMOKE = ("run", "mine.py:Right", "--no-html", "--profile", "smoke")


@pytest.mark.parametrize("line", ["--help", "run --help", "--version", "list --help"])
def test_help_imports_neither_numpy_nor_a_framework(line: str) -> None:
    asked = (
        "import sys; from headcheck.cli import main\n"
        f"sys.argv[1:] = {line.split()!r}\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout
    assert not FRAMEWORKS & set(done.stderr.split())


def test_results_go_to_stdout_and_no_bar_to_a_file(headcheck: Headcheck) -> None:
    done = headcheck(*SMOKE)
    assert done.returncode == 0
    assert "mine.py:Right no failure found" in done.stdout
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def on_a_terminal(folder: Path, **environment: str) -> str:
    """Return what a terminal is shown of stdout and stderr."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from headcheck.cli import main; main()", *SMOKE]
    process = subprocess.Popen(
        command, cwd=folder, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"} | environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += (read := os.read(ours, 4096))
        except OSError:  # the other end is closed
            break
        if not read:
            break
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_colour_on_a_terminal_unless_it_is_not_wanted(folder: Path) -> None:
    assert "\x1b[32m" in on_a_terminal(folder, NO_COLOR="")
    assert "\x1b[3" not in on_a_terminal(folder, NO_COLOR="1")


def test_who_reads_no_further_than_a_line_loses_no_file(folder: Path) -> None:
    command = [sys.executable, "-c", "from headcheck.cli import main; main()", "run", "mine.py:GivesNaN"]
    options = ["--profile", "smoke", "--html", "r.html", "--json", "r.json"]
    process = subprocess.Popen(
        [*command, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 1
    assert process.stderr.read() == ""
    assert json.loads((folder / "r.json").read_text())["footer"]["complete"]
    assert (folder / "r.html").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_judged_before_an_interruption_is_kept(folder: Path, number: signal.Signals) -> None:
    subjects = ["mine.py:Right", "mine.py:Hangs"]
    # A shell that runs the tests in the background has told them, and what they start, to ignore Ctrl-C.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeding}; from headcheck.cli import main; main()", "run", *subjects]
    options = ["--no-html", "--json", "r.json", "--profile", "smoke"]
    process = subprocess.Popen(
        [*command, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (folder / "hanging").exists():  # the first is judged by then, and the second hangs for a minute
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "mine.py:Right no failure found" in shown
    record = json.loads((folder / "r.json").read_text())
    assert record["footer"]["complete"] is False
    judged = [one["requirement"] for one in record["verdicts"] if one["subject"] == "mine.py:Right"]
    assert len(judged) > 50
