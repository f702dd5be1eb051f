"""headcheck in a user's own pytest suite: one line, one item a requirement, and nothing else changed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.gate.shell import edited, shell

ATTENTION = """\
from headcheck.reference.on_numpy import MultiHeadAttention


class Attention(MultiHeadAttention):
    def scale(self):
        return self.d_model**-0.5
"""
SUITE = """\
import headcheck
from attention import Attention

test_attention = headcheck.conformance(Attention, profile="smoke", only=["SCALE-*", "SHAPE-OUTPUT"])
"""
LISTED = SUITE.replace("smoke", 'smoke", baseline="headcheck-baseline.toml')
RUN = "headcheck run attention.py:Attention --profile smoke --no-html --only SCALE-DK --only SCALE-ANCHOR"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("written")
    (folder / "attention.py").write_text(ATTENTION)
    shell(f"{RUN} --json results.json", folder)
    assert shell("headcheck baseline write results.json", folder).returncode == 0
    return (folder / "headcheck-baseline.toml").read_text().replace('reason = ""', 'reason = "ours"')


@pytest.fixture
def folder(tmp_path: Path, written: str) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -W error\n")
    (tmp_path / "attention.py").write_text(ATTENTION)
    (tmp_path / "headcheck-baseline.toml").write_text(written)
    return tmp_path


def suite(folder: Path, text: str, options: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "test_attention.py").write_text(text)
    return shell(f"python -m pytest -p no:cacheprovider -q {options}", folder)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    found = re.findall(r"^(PASSED|FAILED|SKIPPED|XFAIL|XPASS) .*?\[([A-Z-]+)\]", done.stdout, re.MULTILINE)
    return {item: outcome for outcome, item in found}


def test_an_item_a_requirement_that_shows_what_a_person_needs(folder: Path) -> None:
    done = suite(folder, SUITE, "-rA --junitxml=junit.xml")
    assert done.returncode == 1
    assert outcomes(done) == {"SHAPE-OUTPUT": "PASSED", "SCALE-DK": "FAILED", "SCALE-ANCHOR": "FAILED"}
    shown = done.stdout.partition("[SCALE-ANCHOR] ____")[2].partition("short test summary")[0]
    for piece in (
        "MUST: Identity weights and two keys with a score gap",
        "case      B=1, n_q=1",
        "expected  ",
        "actual    ",
        "matches   a known fault: the scores are divided by sqrt(d_model)",
        "replay    headcheck run attention:Attention --no-html --only SCALE-ANCHOR",
        "This script fails without headcheck:",
    ):
        assert piece in shown
    assert "pytest_items.py" not in shown
    script = shown.partition("without headcheck:")[2]
    assert "headcheck" not in script.replace("from headcheck.reference", "")
    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    assert "test_attention[SCALE-DK]" in {case.get("name") for case in cases}


def test_items_are_chosen_as_any_others(folder: Path) -> None:
    assert outcomes(suite(folder, SUITE, "-rA -k ANCHOR")) == {"SCALE-ANCHOR": "FAILED"}
    assert outcomes(suite(folder, SUITE, "-rA -m headcheck_shapes")) == {"SHAPE-OUTPUT": "PASSED"}
    assert outcomes(suite(folder, SUITE, "-rA -x")).keys() == {"SHAPE-OUTPUT", "SCALE-DK"}
    with_cache = shell("python -m pytest -q; python -m pytest -q -rA --lf", folder)
    assert outcomes(with_cache) == {"SCALE-DK": "FAILED", "SCALE-ANCHOR": "FAILED"}


def test_every_family_has_its_marker() -> None:
    from headcheck import pytest_plugin
    from headcheck.specification import FAMILIES

    class Config:
        lines: list[str] = []  # noqa: RUF012 -- read once

        def addinivalue_line(self, name: str, line: str) -> None:
            self.lines.append(line.partition(":")[0])

    pytest_plugin.pytest_configure(Config())
    assert sorted(Config.lines) == sorted(f"headcheck_{family}" for family in FAMILIES)


def test_workers_agree_on_the_items(folder: Path) -> None:
    pytest.importorskip("xdist")
    done = suite(folder, SUITE, "-rA -n 2")
    assert outcomes(done) == {"SHAPE-OUTPUT": "PASSED", "SCALE-DK": "FAILED", "SCALE-ANCHOR": "FAILED"}


def test_it_can_stand_in_a_class(folder: Path) -> None:
    text = SUITE.replace("test_attention =", "class TestAttention:\n    test =")
    done = suite(folder, text, "-rA")
    assert outcomes(done) == {"SHAPE-OUTPUT": "PASSED", "SCALE-DK": "FAILED", "SCALE-ANCHOR": "FAILED"}


def test_known_failures_are_strict_xfails_with_their_reason(folder: Path) -> None:
    done = suite(folder, LISTED, "-rA")
    assert done.returncode == 0, done.stdout
    assert outcomes(done) == {"SHAPE-OUTPUT": "PASSED", "SCALE-DK": "XFAIL", "SCALE-ANCHOR": "XFAIL"}
    assert "[SCALE-DK] - ours" in done.stdout


def test_a_known_failure_excuses_only_itself(folder: Path) -> None:
    edited(folder / "headcheck-baseline.toml", 'kind = "fail"', 'kind = "crash"')
    done = suite(folder, LISTED, "-rA")
    assert outcomes(done)["SCALE-DK"] == "FAILED"
    assert "Known as crash, but this is fail." in done.stdout


def test_one_that_holds_again_fails_until_the_command_that_it_prints_is_run(folder: Path) -> None:
    edited(folder / "attention.py", "self.d_model**-0.5", "super().scale()")
    done = suite(folder, LISTED, "-rA")
    assert outcomes(done)["SCALE-DK"] == "FAILED"
    commands = re.findall(r"^headcheck baseline prune.*$", done.stdout, re.MULTILINE)
    assert shell(commands[0], folder).returncode == 0
    assert suite(folder, LISTED).returncode == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[[failure]]", "[failure", "headcheck-baseline.toml is not TOML"),
        ('"SCALE-DK"', '"SCALE-KD"', "SCALE-KD names no requirement"),
    ],
)
def test_a_list_that_cannot_be_used_is_told_in_a_line(
    before: str, after: str, said: str, folder: Path
) -> None:
    edited(folder / "headcheck-baseline.toml", before, after)
    done = suite(folder, LISTED)
    assert done.returncode == 2
    shown = done.stdout.partition("ERROR collecting test_attention.py")[2].splitlines()[1:2]
    assert said in shown[0]
    assert "Traceback" not in done.stdout


def test_collecting_imports_no_framework(folder: Path) -> None:
    (folder / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print('imported', sorted({'torch', 'jax', 'hypothesis'} & set(sys.modules)))\n"
    )
    text = 'import headcheck\ntest_attention = headcheck.conformance("torch.nn:MultiheadAttention")\n'
    done = suite(folder, text, "--collect-only -p no:hypothesispytest")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("::test_attention[") > 50
    assert "imported []" in done.stdout


def test_what_the_user_has_of_hypothesis_stays_as_it_is(folder: Path) -> None:
    """A profile that prints and keeps what it finds: neither is it read nor is anything kept."""
    (folder / "conftest.py").write_text(
        "from hypothesis import Verbosity, settings\n"
        "from hypothesis.database import InMemoryExampleDatabase\n"
        "ours = settings(verbosity=Verbosity.debug, max_examples=3, database=InMemoryExampleDatabase())\n"
        "settings.register_profile('ours', ours)\n"
        "settings.load_profile('ours')\n"
        "def pytest_sessionfinish():\n"
        "    now = settings()\n"
        "    same = now.database is ours.database and now.verbosity == ours.verbosity\n"
        "    print('after:', same, now.max_examples, len(now.database.data))\n"
    )
    done = suite(folder, SUITE, "-s")
    assert "SCALE-DK fail" in done.stdout  # and so something was shrunk
    assert "after: True 3 0\n" in done.stdout
    assert "Trying example" not in done.stdout
    assert "Run complete" not in done.stdout


def test_hostile_text_does_nothing_in_the_output(folder: Path) -> None:
    (folder / "attention.py").write_text(
        ATTENTION.replace(
            "return self.d_model**-0.5",
            r'raise RuntimeError("\x1b[31m\u202e]]> <b>\n::error::x \ud800 \x00" + "z" * 1_000_000)',
        )
    )
    done = suite(folder, SUITE.replace('"SCALE-*", ', ""), "--junitxml=junit.xml --color=no")
    assert done.returncode == 1
    assert len(done.stdout) < 100_000
    assert not {"\x1b", "\u202e", "\x00"} & set(done.stdout)
    assert not re.search(r"(?m)^\s*::", done.stdout)
    ElementTree.parse(folder / "junit.xml")
