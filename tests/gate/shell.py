"""Commands as a user types them, in a repository of the user's own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line, which finds `headcheck` and `python` as an activated environment would."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("HEADCHECK_", "PYTEST"))
    }
    ours.pop("GITHUB_ACTIONS", None)
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={**ours, "PATH": PATH, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def edited(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
