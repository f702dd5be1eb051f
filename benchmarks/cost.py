"""What is said of the cost of all that is bundled: run by hand, `python benchmarks/cost.py [SUBJECT ...]`.

Right implementations: the law counted; how many of their paths follow it, each counted in full; and the CPU
seconds that judging takes, the first time after the imports (asked for: at most 2 with JAX) and again with
the same adapter (at most 0.3).  Each subject has a process of its own.

Faults: what is said of each one that is planted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from time import process_time
from typing import NamedTuple

from headcheck.adapters.built_in import installed
from headcheck.adapters.subjects import load
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.costing import judge_cost
from headcheck.families.cost import counter, finding
from headcheck.reference.cost_model import CROSS_ATTENTION, SELF_ATTENTION
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reference.styles.catalogue import STYLES
from headcheck.session import InProcess

FRAMEWORKS = ("numpy", "torch", "jax")


class Judged(NamedTuple):
    verdict: str
    law: str
    cross: str
    message: str
    first: float
    again: float


def opened(subject: str) -> tuple[Attend, Attend, Case]:
    """Return two judges of one subject that do not know what the other has seen, and the case."""
    session = InProcess(load(subject))
    declaration = session.declare()
    judges = [Attend(session, declaration, declaration.conventions) for _ in range(2)]
    return judges[0], judges[1], Case().fitted(declaration)


def judged(subject: str) -> Judged:
    """Judge one subject twice, from nothing but its imports."""
    *judges, case = opened(subject)
    seconds = []
    for attend in judges:
        start = process_time()
        found = finding(attend, case)
        seconds.append(process_time() - start)
    return Judged(found.verdict, str(found.polynomial or ""), str(found.cross or ""), found.message, *seconds)


def paths(subject: str) -> str:
    """Return how many of a subject's paths follow the law, of how many."""
    attend, _, case = opened(subject)
    variants = [v for v in attend.declaration.variants if not v.dtypes or case.dtype in v.dtypes]
    laws = [judge_cost(counter(attend, case, variant=v.name), cross=False).polynomial for v in variants]
    return f"{laws.count(SELF_ATTENTION)} of {len(laws)}"


def each(function, subjects: list[str]) -> Iterator[tuple]:
    """Yield each subject with what the function gives for it in a new process."""
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as pool:
        yield from zip(subjects, pool.map(function, subjects), strict=True)


def right_ones(subjects: list[str]) -> int:
    """Print a row for each right implementation; return how many are not found to be right."""
    print(f"{'right':50}{'self':20}{'cross':38}{'paths':>8}{'first':>7}{'again':>7}")
    wrong = 0
    for (subject, one), (_, followed) in zip(each(judged, subjects), each(paths, subjects), strict=True):
        print(f"{subject.removeprefix('headcheck.reference.'):50}{one.law:20}{one.cross:38}", end="")
        print(f"{followed:>8}{one.first:7.2f}{one.again:7.2f}", flush=True)
        laws = {one.law: str(SELF_ATTENTION), one.cross: str(CROSS_ATTENTION)}
        if one.verdict != "holds" or any(found not in {"", law} for found, law in laws.items()):
            wrong += 1
            print(f"    {one.verdict}: {one.message}")
    return wrong


def faulty_ones(subjects: list[str]) -> int:
    """Print what is said of each fault; return how many are not found to be wrong."""
    print("\nfaults")
    missed = 0
    for subject, one in each(judged, subjects):
        missed += one.verdict != "broken"
        print(f"{subject.removeprefix('headcheck.reference.faults.'):42}{one.message}", flush=True)
    return missed


def main(subjects: list[str]) -> None:
    """Judge the subjects named, or all that is bundled."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    there = [name for name in FRAMEWORKS if find_spec(name)]
    right = subjects or [*installed(), *(style.subject for style in STYLES if style.framework in there)]
    wrong = right_ones(right)
    planted = [fault for fault in FAULTS if fault.caught_by.startswith("COST-") and not subjects]
    faulty = [fault.subject(name) for fault in planted for name in fault.frameworks if name in there]
    missed = faulty_ones(faulty)
    print(f"\nright: {len(right)}, not found right: {wrong}; faults: {len(faulty)}, missed: {missed}")
    sys.exit(bool(wrong or missed))


if __name__ == "__main__":
    main(sys.argv[1:])
