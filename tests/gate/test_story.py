"""The whole story, as a new user lives it: a module of one's own, a list of what is known, pull requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gate.shell import edited, shell
from tests.outputs import consumers

MODULES = Path(__file__).parents[2] / "examples" / "tox" / "attention"
DEVIATION = {  # what the team knows of: shapes that do not fit are broadcast
    "numpy": ("        self.check(Q, K, V)\n", ""),
    "torch": ("if K.shape != V.shape or len(Q) != len(K):", "if K.shape != V.shape:"),
}
RUN = "headcheck run attention.py:Attention --profile smoke --no-html"
GATE = (
    f"{RUN} --baseline headcheck-baseline.toml --output github=annotations.txt "
    "--output sarif=findings.sarif --output junit=junit.xml"
)


class Repository:
    """What a pull request leaves behind after the gate."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.module = folder / "attention.py"
        self.list = folder / "headcheck-baseline.toml"

    def gate(self) -> tuple[int, str]:
        done = shell(GATE, self.folder)
        return done.returncode, done.stdout + done.stderr

    @property
    def annotations(self) -> list[dict[str, str]]:
        return consumers.workflow_commands((self.folder / "annotations.txt").read_text(encoding="utf-8"))

    @property
    def results(self) -> list[dict]:
        return consumers.sarif((self.folder / "findings.sarif").read_text(encoding="utf-8"))["results"]

    @property
    def failures(self) -> int:
        return consumers.junit((self.folder / "junit.xml").read_text(encoding="utf-8")).failures


@pytest.mark.parametrize(
    "framework",
    [pytest.param("numpy", marks=pytest.mark.numpy), pytest.param("torch", marks=pytest.mark.torch)],
)
def test_from_nothing_to_a_gated_pull_request(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    repository = Repository(tmp_path)
    (tmp_path / ".git").mkdir()
    text = (MODULES / f"on_{framework}.py").read_text(encoding="utf-8")
    repository.module.write_text(text, encoding="utf-8")
    edited(repository.module, *DEVIATION[framework])

    # The first run finds it, and it is written down.
    first = shell(f"{RUN} --json results.json", tmp_path)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "SHAPE-REFUSE" in first.stdout
    assert shell("headcheck baseline write results.json", tmp_path).stdout == (
        "headcheck-baseline.toml: 1 known failure. Give each a reason.\n"
    )
    edited(repository.list, 'reason = ""', 'reason = "our callers check their shapes"')

    # A pull request that changes nothing passes, and nothing is called conformant that is not.
    status, said = repository.gate()
    assert status == 0, said
    assert "except for 1 known failure" in said
    assert "our callers check their shapes" in said
    assert (repository.annotations, repository.results, repository.failures) == ([], [], 0)

    # One that breaks something is stopped: one annotation, one result, one failure, at the class.
    right = repository.module.read_text(encoding="utf-8")
    edited(repository.module, "num_heads <= 0 or d_model % num_heads:", "num_heads <= 0:")
    status, said = repository.gate()
    assert status == 1, said
    (annotation,), (result,) = repository.annotations, repository.results
    assert annotation["title"] == "attention.py:Attention breaks DIV-REFUSE"
    assert result["ruleId"] == "DIV-REFUSE"
    assert repository.failures == 1
    where = result["locations"][0]["physicalLocation"]
    assert annotation["file"] == where["artifactLocation"]["uri"] == "attention.py"
    assert int(annotation["line"]) == where["region"]["startLine"]
    line = repository.module.read_text(encoding="utf-8").splitlines()[where["region"]["startLine"] - 1]
    assert line.startswith("class Attention")

    # One that mends what is known is stopped until the list is pruned, by the command that it prints.
    repository.module.write_text(text, encoding="utf-8")
    status, said = repository.gate()
    assert status == 1, said
    assert [one["title"] for one in repository.annotations] == [
        "attention.py:Attention now meets SHAPE-REFUSE"
    ]
    (command,) = (line.strip() for line in said.splitlines() if "headcheck baseline prune" in line)
    pruned = shell(command, tmp_path)
    assert pruned.returncode == 0, pruned.stderr
    assert "Every known failure is mended" in pruned.stdout
    status, said = repository.gate()
    assert status == 0, said
    assert "known failure" not in said

    # What was recorded of the first run replays, and is mended; taken back, it still fails.
    assert shell("headcheck replay results.json", tmp_path).returncode == 0
    repository.module.write_text(right, encoding="utf-8")
    again = shell("headcheck replay results.json", tmp_path)
    assert again.returncode == 1
    assert "SHAPE-REFUSE  still failing" in again.stdout
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["footer"]["complete"]
    assert not (tmp_path / ".hypothesis").exists()  # nothing is left but what was asked for
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {
        *(".git", "attention.py", "headcheck-baseline.toml", "results.json"),
        *("annotations.txt", "findings.sarif", "junit.xml"),
    }
