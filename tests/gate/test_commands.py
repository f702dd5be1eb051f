"""The gate's commands: what is said, and with which exit status, in a repository of the user's own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.gate.shell import edited, shell
from tests.runs import HOSTILE, hostile

ATTENTION = """\
import os
from headcheck.reference.on_numpy import MultiHeadAttention


class Attention(MultiHeadAttention):
    def scale(self):
        return self.d_model**-0.5


class Right(MultiHeadAttention):
    pass
"""
RUN = "headcheck run attention.py:Attention --profile smoke --no-html --only SCALE-DK --only SCALE-ANCHOR"
GATE = f"{RUN} --baseline headcheck-baseline.toml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The results of a run with two failures, and the list written from them."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "attention.py").write_text(ATTENTION)
    assert shell(f"{RUN} --json results.json", folder).returncode == 1
    assert shell("headcheck baseline write results.json", folder).returncode == 0
    return (folder / "results.json").read_text(), (folder / "headcheck-baseline.toml").read_text()


@pytest.fixture
def folder(tmp_path: Path, recorded: tuple[str, str]) -> Path:
    (tmp_path / "attention.py").write_text(ATTENTION)
    (tmp_path / "results.json").write_text(recorded[0])
    (tmp_path / "headcheck-baseline.toml").write_text(recorded[1])
    return tmp_path


def in_one_line(text: str) -> str:
    return " ".join(text.split())


# The gate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "status", "said"),
    [
        ('reason = ""', 'reason = "mine"', 0, "no failure found except for 2 known failures"),
        ('kind = "fail"', 'kind = "crash"', 1, "Known as crash, but this is fail."),
        ('reason = ""', 'reason = ""\nexpires = 2020-01-31', 1, "expired on 2020-01-31"),
        ('"SCALE-DK"', '"SCALE-KD"', 1, "SCALE-KD on attention.py:Attention names no requirement"),
        (
            'when = {dtype = "float64"}',
            'when = {dtype = "float16"}',
            1,
            "Known on dtype float16, but this is on dtype float64.",
        ),
        ('"attention.py:Attention"', '"other.py:A"', 1, "lists failures of other.py:A, but this run judged"),
        ("kind =", "knid =", 4, "has an unknown key 'knid'; did you mean kind?"),
        ("[[failure]]", "[failure", 4, "headcheck-baseline.toml is not TOML"),
        ("n_q = ", "n_q = 0.", 4, "headcheck-baseline.toml: the case of SCALE-"),
    ],
)
def test_a_list_is_held_against_the_run(
    before: str, after: str, status: int, said: str, folder: Path
) -> None:
    edited(folder / "headcheck-baseline.toml", before, after)
    done = shell(GATE, folder)
    assert done.returncode == status, done.stdout + done.stderr
    assert said in in_one_line(done.stdout + done.stderr)
    if status == 4:
        assert len(done.stderr.splitlines()) == 1


def test_a_list_holds_two_subjects_and_each_is_judged_by_its_own(folder: Path) -> None:
    both = GATE.replace("attention.py:Attention", "attention.py:Attention attention.py:Right")
    done = shell(both, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    edited(folder / "headcheck-baseline.toml", ":Attention", ":Right")
    done = shell(both, folder)
    assert done.returncode == 1
    assert in_one_line(done.stdout).count("take it off the list: headcheck baseline prune") == 2
    pruned = shell("headcheck baseline prune", folder)
    assert pruned.stdout.splitlines() == [
        "mended  attention.py:Right  SCALE-ANCHOR",
        "mended  attention.py:Right  SCALE-DK",
        "headcheck-baseline.toml: 2 taken out, 0 left",
        "Every known failure is mended: delete headcheck-baseline.toml, and run without --baseline.",
    ]


def test_what_people_wrote_survives_a_rewrite(folder: Path) -> None:
    listed = folder / "headcheck-baseline.toml"
    edited(
        listed, 'reason = ""\nlink = ""', 'reason = "ours"\nlink = "https://e.org/7"\nexpires = 2999-01-31'
    )
    before = listed.read_text()
    assert shell("headcheck baseline write results.json", folder).returncode == 0
    assert listed.read_text() == before.replace("expires = 2999-01-31\n", "").replace(
        'link = "https://e.org/7"\n', 'link = "https://e.org/7"\nexpires = 2999-01-31\n'
    )


def test_a_run_without_failures_makes_no_list(folder: Path) -> None:
    (folder / "headcheck-baseline.toml").unlink()
    right = RUN.replace(":Attention", ":Right")
    done = shell(f"{right} --json results.json; headcheck baseline write results.json", folder)
    assert done.stdout.splitlines()[-1].endswith("there is nothing to write.")
    assert not (folder / "headcheck-baseline.toml").exists()


def test_what_cannot_be_judged_stays_on_the_list(folder: Path) -> None:
    before = (folder / "headcheck-baseline.toml").read_text()
    (folder / "attention.py").unlink()
    done = shell("headcheck baseline prune", folder)
    assert "attention.py:Attention could not be judged, and its entries stay" in done.stdout
    assert (folder / "headcheck-baseline.toml").read_text() == before


def test_the_judging_process_imports_neither_a_framework_nor_hypothesis(folder: Path) -> None:
    """Importing torch takes longer than all that a smoke run does in its own process."""
    program = (
        "import sys; from headcheck.cli import group; "
        "group.main(sys.argv[1:], standalone_mode=False); "
        "print({'torch', 'jax', 'flax', 'hypothesis', 'jsonschema', 'jinja2', 'tomlkit'} & set(sys.modules))"
    )
    command = RUN.removeprefix("headcheck ").replace(":Attention", ":Right")
    done = shell(f"{sys.executable} -c {json.dumps(program)} {command}", folder)
    assert done.stdout.splitlines()[-1] == "set()", done.stdout + done.stderr


@pytest.mark.torch
def test_a_version_of_the_framework_s_own_type_does_not_import_it(folder: Path) -> None:
    pytest.importorskip("torch")
    program = (
        "import sys; from headcheck.cli import group; "
        "group.main(sys.argv[1:], standalone_mode=False); print('torch' in sys.modules)"
    )
    command = "run torch.nn:MultiheadAttention --profile smoke --no-html --quiet --only SHAPE-OUTPUT"
    done = shell(f"{sys.executable} -c {json.dumps(program)} {command}", folder)
    assert done.stdout.splitlines()[-1] == "False", done.stdout + done.stderr


# Replay -----------------------------------------------------------------------------------------------


def test_every_failure_replays_to_what_it_is_now(folder: Path) -> None:
    done = shell("headcheck replay results.json", folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "2 still failing"
    edited(folder / "attention.py", "self.d_model**-0.5", "super().scale()")
    done = shell("headcheck replay results.json", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 fixed"
    (folder / "attention.py").unlink()
    done = shell("headcheck replay results.json", folder)
    assert done.returncode == 4
    assert done.stdout.splitlines()[-1] == "2 cannot be built"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("SCALE-DKK", "no requirement 'SCALE-DKK'; did you mean SCALE-DK"),
        ("--subject nobody", "no subject 'nobody' in these results; expected one of attention.py:Attention"),
    ],
)
def test_what_no_results_can_hold_is_a_mistake(
    recorded: tuple[str, str], folder: Path, asked: str, said: str
) -> None:
    (folder / "results.json").write_text(recorded[0])
    done = shell(f"headcheck replay results.json {asked}", folder)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr


def test_a_crash_without_a_case_replays_as_well(folder: Path) -> None:
    edited(folder / "attention.py", "        return self.d_model**-0.5", "        os.abort()")
    run = "headcheck run attention.py:Attention --profile smoke --no-html --quiet --json crash.json"
    assert shell(run, folder).returncode == 1
    done = shell("headcheck replay crash.json", folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "SHAPE-OUTPUT  still failing: the process was killed by SIGABRT" in done.stdout
    (folder / "attention.py").write_text(ATTENTION.replace("self.d_model**-0.5", "super().scale()"))
    assert shell("headcheck replay crash.json", folder).returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{}", "expected a file that `headcheck run --json FILE` wrote"),
        ("a,b\n1,2\n", "is not JSON"),
        (None, "was cut short"),
    ],
)
def test_a_file_that_is_no_record_is_told_in_a_line(text: str | None, said: str, folder: Path) -> None:
    whole = (folder / "results.json").read_text()
    (folder / "results.json").write_text(whole[: len(whole) // 2] if text is None else text)
    for command in ("replay", "baseline write", "report", "diff results.json")[: 4 if text is None else 1]:
        done = shell(f"headcheck {command} results.json", folder)
        assert done.returncode == 4
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
    assert not list(folder.glob("*.html"))


# What is printed --------------------------------------------------------------------------------------


def test_what_a_record_holds_does_nothing_in_the_terminal(folder: Path) -> None:
    from headcheck import record

    for number, text in enumerate(HOSTILE.values()):
        (folder / f"{number}.json").write_text(record.dumps(hostile(text)), encoding="utf-8")
    commands = "replay --no-isolate", "diff results.json", "diff --format markdown results.json", "report"
    for command in commands:
        every = " ".join(f"headcheck {command} {number}.json || true;" for number in range(len(HOSTILE)))
        done = shell(every, folder, GITHUB_ACTIONS="true", NO_COLOR="1")
        printed = done.stdout + done.stderr
        assert "Traceback" not in printed
        assert "an error of its own" not in printed
        assert not re.search(r"[^\n\t\x20-\x7e\u00a0-\u200a\u2010-\u2027\u2030-\ud7ff\ue000-\uffef]", printed)
        acting = re.sub(r"(?ms)^::stop-commands::(\w+)$.*?^::\1::$", "", printed)
        assert not re.search(r"(?m)^\s*::|##\[", acting)


def test_a_command_to_copy_is_not_broken(folder: Path) -> None:
    (folder / "a rather long name of a folder").mkdir()
    path = folder / "a rather long name of a folder" / "and a long name of the list of known failures.toml"
    (folder / "headcheck-baseline.toml").rename(path)
    edited(folder / "attention.py", "self.d_model**-0.5", "super().scale()")
    done = shell(f"{RUN} --baseline '{path.relative_to(folder)}'", folder)
    commands = [line.strip() for line in done.stdout.splitlines() if "headcheck baseline prune" in line]
    assert len(commands) == 2
    assert shell(commands[0], folder).returncode == 0
    assert "failure]]" not in path.read_text()
