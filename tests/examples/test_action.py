"""The composite action: its steps, run as a runner runs them, with a headcheck that does as it is told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import runner

STUB = """#!/usr/bin/env bash
printf '%s\\n' "$@" >"$RUNNER_TEMP/arguments"
echo "::error::said by an implementation"
echo "::stop-commands::x"
echo "##[error]said by an implementation"
for argument in "$@"; do
  case "$argument" in
    sarif=*|github=*|summary=*) file="${argument#*=}"; form="${argument%%=*}" ;;
    *.json|*.html) file="$argument"; form=page ;;
    *) continue ;;
  esac
  if [ "$STATUS" != 4 ]; then echo "::warning title=$form::$form" >"$file"; fi
done
exit "$STATUS"
"""


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tools, workspace, temporary = (tmp_path / name for name in ("tools", "work space", "temporary"))
    for folder in (tools, workspace, temporary):
        folder.mkdir()
    for name, text in (("headcheck", STUB), ("python", '#!/bin/sh\necho "python $*"\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def run(status: int = 0, **inputs: str) -> tuple[runner.Job, list[str]]:
        monkeypatch.setenv("STATUS", str(status))
        job = runner.run({"subjects": "a.py:A", **inputs}, workspace, temporary, path)
        written = temporary / "arguments"
        return job, written.read_text().splitlines() if written.exists() else []

    run.workspace = workspace  # type: ignore[attr-defined]
    return run


def test_the_outputs_are_handed_over_and_a_good_status_passes(act) -> None:
    job, arguments = act()
    assert job.failed == 0
    assert arguments[:3] == ["run", "--profile", "standard"]
    assert arguments[-2:] == ["--", "a.py:A"]
    assert "--baseline" not in arguments
    assert job.commands == ["::warning title=github::github"]  # and nothing that the implementation said
    assert job.summary == "::warning title=summary::summary\n"
    assert job.outputs["run"]["status"] == "0"
    assert Path(job.outputs["run"]["results"]).name == "headcheck-results.json"
    uploaded = job.used["actions/upload-artifact@v7"]
    assert Path(uploaded["path"]).name == "headcheck-report.html"
    assert uploaded["archive"] == "False"
    scanned = job.used["github/codeql-action/upload-sarif@v4"]
    assert Path(scanned["sarif_file"]).name == "headcheck.sarif"


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5])
def test_the_job_ends_with_the_status_after_the_uploads(act, status: int) -> None:
    job, _ = act(status=status)
    assert job.failed == status
    assert len(job.used) == (0 if status == 4 else 2)


def test_a_headcheck_that_is_not_there_fails_the_job(act, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = act(status=127)
    assert job.failed == 3
    assert "not run to its end" in job.log


def test_subjects_come_one_a_line_and_are_not_expanded(act) -> None:
    (act.workspace / "a.py:X").touch()
    _, arguments = act(subjects="a.py:*\n\n  my file.py:B\n-q\n$(touch owned)")
    assert arguments[arguments.index("--") + 1 :] == ["a.py:*", "my file.py:B", "-q", "$(touch owned)"]
    assert not (act.workspace / "owned").exists()


def test_no_subject_is_a_usage_error(act) -> None:
    job, arguments = act(subjects=" \n")
    assert job.failed == 4
    assert arguments == []
    assert job.commands[0].startswith("::error title=headcheck::No subjects given.")


def test_the_baseline_is_that_given_or_the_one_that_is_there(act) -> None:
    (act.workspace / "headcheck-baseline.toml").touch()
    _, arguments = act()
    assert arguments[arguments.index("--baseline") + 1] == "headcheck-baseline.toml"
    _, arguments = act(baseline="other list.toml", strict="true", profile="smoke")
    assert arguments[arguments.index("--baseline") + 1] == "other list.toml"
    assert "--strict" in arguments
    assert arguments[2] == "smoke"


def test_a_name_that_is_no_file_name_is_made_one(act) -> None:
    job, _ = act(name="torch/2.13 on: cpu")
    assert Path(job.used["actions/upload-artifact@v7"]["path"]).name == "torch-2.13-on--cpu-report.html"


def test_code_scanning_can_be_left_out(act) -> None:
    job, _ = act(sarif="false")
    assert list(job.used) == ["actions/upload-artifact@v7"]


def test_headcheck_is_installed_from_where_the_action_is(act) -> None:
    job, _ = act(extras="torch,jax")
    assert f"python -m pip install {runner.ROOT}[torch,jax]" in job.log
    job, _ = act()
    assert f"python -m pip install {runner.ROOT}\n" in job.log


# What the scripts and the description say of each other -----------------------------------------------


def test_what_a_script_reads_its_step_gives_it() -> None:
    for step in runner.declared()["runs"]["steps"]:
        if "run" in step:
            script = runner.ROOT / "action" / re.findall(r"action/([\w.]+)", step["run"])[0]
            assert os.access(script, os.X_OK)
            read = set(re.findall(r"\bINPUT_\w+", script.read_text(encoding="utf-8")))
            assert read == set(step["env"])


def test_what_stands_in_a_command_is_no_expression() -> None:
    for step in runner.declared()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")  # an input in a command line is a way to run anything


def test_the_scripts_are_sound() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    scripts = sorted((runner.ROOT / "action").glob("*.sh"))
    subprocess.run(["shellcheck", *scripts], check=True)


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "examples/github/.github/workflows/attention.yml"),
        ("gitlab-ci", "examples/gitlab/.gitlab-ci.yml"),
        ("gitlab-ci", "examples/gitlab/headcheck.gitlab-ci.yml"),
    ],
)
def test_the_descriptions_are_as_the_services_want_them(schema: str, file: str) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, runner.ROOT / file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("validate-manifest", ".pre-commit-hooks.yaml"),
        ("validate-config", "examples/pre-commit/.pre-commit-config.yaml"),
    ],
)
def test_the_hook_is_as_pre_commit_wants_it(command: str, file: str) -> None:
    pytest.importorskip("pre_commit")
    done = subprocess.run([sys.executable, "-m", "pre_commit", command, runner.ROOT / file], check=False)
    assert done.returncode == 0
