"""What a run costs: run by hand, `python benchmarks/run.py [SUBJECT ...]`.

For each subject: the CPU time of a standard run less imports over the CPU time inside the implementation's
own calls (asked for: at most 4); the wall time of a smoke run over that of importing the framework (at most
2); the peak memory of the largest process of a standard run above that of the framework's import (at most
300 MB).  Medians of several runs, taken in turn, because other work on the machine moves them all alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FRAMEWORKS = {"torch": "torch", "jax": "jax", "flax": "flax.linen, flax.nnx", "numpy": "numpy"}


def wall(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def peak(command: list[str]) -> float:
    """Return the most memory, in MB, that a command or one of the processes it started held."""
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(started.pid, 0)
    return used.ru_maxrss / 1024


def framework_of(subject: str) -> str:
    return next((name for name in ("flax", "torch", "jax") if name in subject), "numpy")


def measure(subject: str, runs: int = 5) -> dict[str, float]:
    headcheck = [sys.executable, "-m", "headcheck", "run", subject, "-q", "--no-html"]
    imports = [sys.executable, "-c", f"import {FRAMEWORKS[framework_of(subject)]}"]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        ratios, smokes, loads = [], [], []
        for _ in range(runs):
            wall([*headcheck, "--json", str(results)])
            [record] = json.loads(results.read_text())["subjects"]
            inside, beside = record["subject_seconds"], record["headcheck_seconds"]
            ratios.append((inside + beside) / inside)
            loads.append(wall(imports))
            smokes.append(wall([*headcheck, "--profile", "smoke"]))
        memory, base = peak(headcheck), peak(imports)
    return {
        "standard: CPU / CPU inside the subject": statistics.median(ratios),
        "smoke: wall / wall of the import": statistics.median(
            smoke / load for smoke, load in zip(smokes, loads, strict=True)
        ),
        "standard: peak MB above the import": memory - base,
        "import, wall seconds": statistics.median(loads),
        "smoke, wall seconds": statistics.median(smokes),
    }


if __name__ == "__main__":
    for name in sys.argv[1:] or ["torch"]:
        print(name)
        for words, figure in measure(name).items():
            print(f"  {words:42} {figure:8.2f}")
