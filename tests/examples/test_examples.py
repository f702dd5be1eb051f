"""The examples, run as far as a machine without the services can: as a team would copy them."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import runner
from tests.examples.runner import yaml
from tests.gate.shell import PATH, edited, shell
from tests.outputs import consumers

EXAMPLES = runner.ROOT / "examples"


def copied(name: str, to: Path) -> Path:
    """Return a repository of one's own that holds the example."""
    shutil.copytree(EXAMPLES / name, to)
    (to / ".git").mkdir()
    return to


# GitHub: a module with known failures, and three pull requests ----------------------------------------


def pull_request(repository: Path, temporary: Path) -> tuple[runner.Job, list[dict[str, str]]]:
    """Return what the workflow's job leaves, and its annotations."""
    workflow = yaml.safe_load((repository / ".github/workflows/attention.yml").read_text(encoding="utf-8"))
    (step,) = [s for s in workflow["jobs"]["headcheck"]["steps"] if "/headcheck@" in s.get("uses", "")]
    temporary.mkdir()
    job = runner.run(step["with"], repository, temporary, PATH, skip=("Install headcheck",))
    return job, consumers.workflow_commands("".join(f"{line}\n" for line in job.commands))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    return copied("github", tmp_path / "repository")


@pytest.mark.torch
def test_a_pull_request_that_changes_nothing_passes(repository: Path, tmp_path: Path) -> None:
    job, annotations = pull_request(repository, tmp_path / "t")
    assert (job.failed, annotations) == (0, []), job.log
    assert "Known failures" in job.summary
    scanned = Path(job.used["github/codeql-action/upload-sarif@v4"]["sarif_file"])
    assert consumers.sarif(scanned.read_text(encoding="utf-8"))["results"] == []
    page = Path(job.used["actions/upload-artifact@v7"]["path"]).read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")


@pytest.mark.torch
def test_a_pull_request_that_breaks_it_is_stopped_at_the_right_line(repository: Path, tmp_path: Path) -> None:
    module = repository / "attention.py"
    edited(module, "num_heads <= 0 or d_model % num_heads:", "num_heads <= 0:")
    job, annotations = pull_request(repository, tmp_path / "t")
    assert job.failed == 1, job.log
    (annotation,) = annotations
    assert annotation["title"] == "attention.py:Attention breaks DIV-REFUSE"
    assert annotation["file"] == "attention.py"
    line = module.read_text(encoding="utf-8").splitlines()[int(annotation["line"]) - 1]
    assert line == "class Attention(nn.Module):"
    scanned = Path(job.used["github/codeql-action/upload-sarif@v4"]["sarif_file"])
    (result,) = consumers.sarif(scanned.read_text(encoding="utf-8"))["results"]
    assert result["ruleId"] == "DIV-REFUSE"
    assert "breaks DIV-REFUSE" in job.summary


@pytest.mark.torch
def test_a_pull_request_that_mends_a_known_failure_is_stopped_until_it_is_pruned(
    repository: Path, tmp_path: Path
) -> None:
    edited(repository / "attention.py", "mask == 0, -inf", "mask == 0, torch.finfo(scores.dtype).min")
    job, annotations = pull_request(repository, tmp_path / "t")
    assert job.failed == 1, job.log
    assert [one["title"].split()[-1] for one in annotations] == ["MASK-EMPTY-ROW", "GRAD-FINITE"]
    prune = annotations[0]["message"].splitlines()[-1]
    assert prune == "headcheck baseline prune"
    assert shell(prune, repository).returncode == 0
    listed = (repository / "headcheck-baseline.toml").read_text(encoding="utf-8")
    assert "SHAPE-REFUSE" in listed
    assert "MASK-EMPTY-ROW" not in listed
    job, annotations = pull_request(repository, tmp_path / "again")
    assert (job.failed, annotations) == (0, []), job.log


def test_the_workflow_gives_only_what_the_action_takes() -> None:
    text = (EXAMPLES / "github/.github/workflows/attention.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["headcheck"]["steps"]
    given = {name for step in steps if "/headcheck@" in step.get("uses", "") for name in step["with"]}
    assert given
    assert given <= runner.declared()["inputs"].keys()


# GitLab, pre-commit, tox ------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_gitlab_job_writes_what_it_hands_over(tmp_path: Path) -> None:
    repository = copied("gitlab", tmp_path / "repository")
    template = yaml.safe_load((repository / "headcheck.gitlab-ci.yml").read_text(encoding="utf-8"))
    job = yaml.safe_load((repository / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    assert (repository / job["include"][0]["local"]).is_file()
    extended = template[job["attention"]["extends"]]
    variables = extended["variables"] | job["attention"]["variables"]
    script = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()] + extended["script"]
    done = shell("\n".join(script), repository)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = extended["artifacts"]["reports"]
    assert consumers.gitlab((repository / reports["codequality"]).read_text(encoding="utf-8")) == []
    assert consumers.junit((repository / reports["junit"]).read_text(encoding="utf-8")).failures == 0
    for path in extended["artifacts"]["paths"]:
        assert (repository / path).is_file()


@pytest.mark.torch
def test_the_hook_passes_and_stops(tmp_path: Path) -> None:
    repository = copied("pre-commit", tmp_path / "repository")
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (used,) = config["repos"][0]["hooks"]
    (hook,) = yaml.safe_load((runner.ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["id"] == used["id"]
    command = f"{hook['entry']} {shlex.join(used['args'])}"
    done = shell(command, repository)
    assert done.returncode == 0, done.stdout + done.stderr
    edited(repository / "attention.py", "/ np.sqrt(self.d_k)", "/ np.sqrt(self.d_model)")
    assert shell(command, repository).returncode == 1
    assert sorted(path.name for path in repository.iterdir() if path.is_file()) == [
        ".pre-commit-config.yaml",
        "attention.py",
    ]  # a hook that leaves files behind would be in the next commit


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_the_tox_recipe_judges_each_port(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    repository = copied("tox", tmp_path / "repository")
    recipe = configparser.ConfigParser(interpolation=None)
    recipe.read(repository / "tox.ini")
    assert framework in recipe["tox"]["env_list"].split(", ")
    command = recipe["testenv"]["commands"].replace("{env_name}", framework).replace("{posargs}", "")
    done = shell(command.strip(), repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repository / f"{framework}.html").is_file()


def test_tox_reads_the_recipe() -> None:
    pytest.importorskip("tox")
    recipe = EXAMPLES / "tox" / "tox.ini"
    command = [sys.executable, "-m", "tox", "-c", recipe, "list", "--no-desc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["numpy", "torch", "jax"], done.stderr
    for framework in done.stdout.split():
        assert (EXAMPLES / "tox" / "attention" / f"on_{framework}.py").is_file()
