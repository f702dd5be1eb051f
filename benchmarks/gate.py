"""What a gate costs: run by hand, `python benchmarks/gate.py [RUNS]`.

The smoke profile on a clean torch module of the user's own, with and without a list of known failures,
against importing torch: wall time and CPU time (children included) of each, in turn, because other work on
the machine moves them all alike.  Asked for: at most twice the import.  Prints the medians, and the median of
the ratios taken within each turn.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = Path(__file__).parents[1] / "examples" / "tox" / "attention" / "on_torch.py"
GATE = [sys.executable, "-m", "headcheck", "run", "attention.py:Attention", "--profile", "smoke", "--no-html"]
COMMANDS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "gate": [*GATE, "--quiet"],
    "gate with a list": [*GATE, "--quiet", "--baseline", "headcheck-baseline.toml"],
}
# One that is known, and whose requirement this module does not offer, so that the run stays clean.
LIST = """\
format = "headcheck-baseline"
format_version = 1

[[failure]]
subject = "attention.py:Attention"
requirement = "DROPOUT-EVAL"
kind = "fail"
"""


def cost(command: list[str], folder: str) -> tuple[float, float]:
    """Return the seconds on the wall and of CPU that a command took, all of its processes together."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent


def main(turns: int) -> None:
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(MODULE, Path(folder) / "attention.py")
        (Path(folder) / "headcheck-baseline.toml").write_text(LIST, encoding="utf-8")
        for turn in range(turns + 1):  # the first fills the caches
            for name, command in COMMANDS.items():
                spent = cost(command, folder)
                if turn:
                    costs[name].append(spent)
    imports = costs["import torch"]
    print(f"{os.cpu_count()} cores, {turns} turns; seconds, and times the import of the same turn")
    for name, spent in costs.items():
        for which, word in enumerate(("wall", "CPU")):
            middle = statistics.median(one[which] for one in spent)
            ratio = statistics.median(
                one[which] / base[which] for one, base in zip(spent, imports, strict=True)
            )
            print(f"  {name:18} {word:5} {middle:7.2f} {ratio:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
