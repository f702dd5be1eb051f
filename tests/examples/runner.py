"""A runner of GitHub Actions in miniature: the steps of a composite action, with the expressions ours has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads what the services read")
if shutil.which("bash") is None:
    pytest.skip("what the services run is bash", allow_module_level=True)

ROOT = Path(__file__).parents[2]


@dataclass
class Job:
    """What a job left behind."""

    log: str = ""
    summary: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    used: dict[str, dict[str, str]] = field(default_factory=dict)  # the actions of others: name -> with
    failed: int = 0

    @property
    def commands(self) -> list[str]:
        """The lines of the log that the runner acts upon."""
        acted, token = [], ""
        for line in self.log.splitlines():
            if token:
                token = "" if line.strip() == f"::{token}::" else token
            elif found := re.match(r"\s*::stop-commands::(.+)", line):
                token = found[1]
            elif re.match(r"\s*::\w", line) or "##[" in line:
                acted.append(line)
        return acted


def run(
    inputs: dict[str, str], workspace: Path, temporary: Path, path: str, skip: tuple[str, ...] = ()
) -> Job:
    """Run the repository's action in a workspace; the actions of others are noted, not run."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    unknown = inputs.keys() - action["inputs"].keys()
    assert not unknown, unknown
    given = {name: str(declared.get("default", "")) for name, declared in action["inputs"].items()} | inputs
    job = Job()

    def evaluated(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            kind, *names = found[1].split(".")
            return given[names[0]] if kind == "inputs" else job.outputs.get(names[0], {}).get(names[2], "")

        return re.sub(r"\$\{\{ ([\w.]+) \}\}", value, text)

    def holds(condition: str) -> bool:
        parts = [part.strip() for part in condition.split("&&")]
        pairs = [re.fullmatch(r"([\w.]+) (==|!=) '(.*)'", part) for part in parts]
        assert all(pairs), condition
        return all((evaluated(f"${{{{ {p[1]} }}}}") == p[3]) == (p[2] == "==") for p in pairs if p)

    summary, output = temporary / "summary", temporary / "output"
    for step in action["runs"]["steps"]:
        if job.failed or not holds(step.get("if", "inputs.name != ''")):
            continue
        if "uses" in step:
            job.used[step["uses"]] = {key: evaluated(str(value)) for key, value in step["with"].items()}
            continue
        if step["name"] in skip:
            continue
        output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=workspace,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HEADCHECK_")},
                "PATH": path,
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_TEMP": str(temporary),
                **{name: evaluated(value) for name, value in step.get("env", {}).items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        job.log += done.stdout
        job.failed = done.returncode
        if "id" in step:
            pairs = (line.split("=", 1) for line in output.read_text().splitlines())
            job.outputs[step["id"]] = dict(pairs)
    job.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
    return job


def declared() -> Any:
    """Return the action's own description."""
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
