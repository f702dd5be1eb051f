"""What the cost requirements say of everything bundled: run by hand, `python benchmarks/cost.py [SUBJECT ...]`.

Right implementations: the law counted, on how many paths, and the seconds that judging takes, the first
time after the imports (asked for: at most 2 with JAX) and again (at most 0.3).  Each subject has a process
of its own.  Faults: the terms by which each planted fault of cost is named.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from time import perf_counter
from typing import NamedTuple

from headcheck.adapters.built_in import installed
from headcheck.adapters.subjects import load
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.families.cost import finding
from headcheck.reference.cost_model import SELF_ATTENTION
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reference.styles.catalogue import STYLES
from headcheck.session import InProcess

FRAMEWORKS = ("numpy", "torch", "jax")


class Judged(NamedTuple):
    verdict: str
    law: str
    message: str
    paths: int
    first: float
    again: float


def judged(subject: str) -> Judged:
    """Judge one subject twice, from nothing but its imports."""
    seconds = []
    for _ in range(2):
        session = InProcess(load(subject))
        declaration = session.declare()
        attend, case = Attend(session, declaration, declaration.conventions), Case().fitted(declaration)
        start = perf_counter()
        found = finding(attend, case)
        seconds.append(perf_counter() - start)
    return Judged(
        found.verdict, str(found.polynomial or ""), found.message, len(declaration.variants), *seconds
    )


def all_judged(subjects: list[str]) -> Iterator[tuple[str, Judged]]:
    """Yield the judgement of each subject, made in a new process."""
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as pool:
        yield from zip(subjects, pool.map(judged, subjects), strict=True)


def right_ones(subjects: list[str]) -> int:
    """Print a row for each right implementation; return how many are not found to be right."""
    print(f"{'right':56}{'law':24}{'paths':>6}{'first, s':>10}{'again, s':>10}")
    wrong = 0
    for subject, one in all_judged(subjects):
        print(f"{subject.removeprefix('headcheck.reference.'):56}{one.law:24}", end="")
        print(f"{one.paths:6}{one.first:10.2f}{one.again:10.2f}", flush=True)
        if one.verdict != "holds" or one.law != str(SELF_ATTENTION):
            wrong += 1
            print(f"    {one.verdict}: {one.message}")
    return wrong


def faulty_ones(subjects: list[str]) -> int:
    """Print what is said of each fault; return how many are not found to be wrong."""
    print("\nfaults")
    missed = 0
    for subject, one in all_judged(subjects):
        missed += one.verdict != "broken"
        print(
            f"{subject.removeprefix('headcheck.reference.faults.'):40}{one.verdict}: {one.message}",
            flush=True,
        )
    return missed


def main(subjects: list[str]) -> None:
    """Judge the subjects named, or all that is bundled."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    there = [name for name in FRAMEWORKS if find_spec(name)]
    right = subjects or [*installed(), *(style.subject for style in STYLES if style.framework in there)]
    wrong = right_ones(right)
    planted = [fault for fault in FAULTS if fault.caught_by.startswith("COST-") and not subjects]
    faulty = [fault.subject(name) for fault in planted for name in there if name in fault.frameworks]
    missed = faulty_ones(faulty) if faulty else 0
    print(
        f"\nright: {len(right)}, of which not found right: {wrong}; faults: {len(faulty)}, of which missed: {missed}"
    )
    sys.exit(bool(wrong or missed))


if __name__ == "__main__":
    main(sys.argv[1:])
