"""False alarms: run by hand, `python benchmarks/alarms.py [--seeds FIRST LAST] [--dtypes alone] [torch ...]`.

Every right style of the catalogue is judged by the whole specification, once a seed with its number formats
taking turns, or once a seed and format with that format alone.  Prints what accuses one, and the sums.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from multiprocessing import get_context
from resource import RUSAGE_CHILDREN, getrusage

from headcheck.adapters.protocol import Adapter, Declaration
from headcheck.adapters.subjects import load
from headcheck.engine import Judgement, Subject
from headcheck.pool import PROFILES
from headcheck.selftest import CAUGHT, candidates
from headcheck.session import InProcess
from headcheck.specification import select
from headcheck.verdicts import Status
from pebble import ProcessPool

TURNS_A_PROCESS = 100


class Only(InProcess):
    """A subject that claims one number format of those it takes."""

    def __init__(self, adapter: Adapter, dtype: str):
        super().__init__(adapter)
        self._dtype = dtype

    def declare(self) -> Declaration:
        declared = super().declare()
        return replace(declared, dtypes=tuple(one for one in declared.dtypes if one == self._dtype))


@dataclass(frozen=True)
class Turn:
    """A right style to judge on one seed: by which requirements, and in which number format alone."""

    style: str
    seed: int
    dtype: str  # empty where they take turns
    profile: str
    only: tuple[str, ...]

    def judged(self) -> Run:
        adapter = load(self.style)
        session = Only(adapter, self.dtype) if self.dtype else InProcess(adapter)
        judgement = Judgement(Subject(self.style, session), PROFILES[self.profile], self.seed, prove=False)
        error = judgement.prepare().error
        if error:
            return Run(self, Counter(), (error,))
        verdicts = [judgement.judge(one) for one in select(self.only) if not one.deep]
        accused = [f"{one.requirement}: {one.message}" for one in verdicts
                   if one.status in CAUGHT or one.status is Status.HARNESS_ERROR]  # fmt: skip
        return Run(self, Counter(one.status for one in verdicts), tuple(accused))


@dataclass(frozen=True)
class Run:
    """What one judgement of a right style came to."""

    turn: Turn
    counts: Counter[Status]
    accused: tuple[str, ...]


def turns(options: argparse.Namespace) -> Iterator[Turn]:
    """Yield every style on every seed, seeds in turn: what is stopped early has seen every style."""
    first, last = options.seeds
    every = [one for one in candidates(options.frameworks) if not one.meant]
    styles = [one.subject for one in every if fnmatchcase(one.name, options.styles)]
    alone = options.dtypes == "alone"
    dtypes = {style: load(style).declare().dtypes if alone else ("",) for style in styles}
    for seed in range(first, last + 1):
        for style in styles:
            for dtype in dtypes[style]:
                yield Turn(style, seed, dtype, options.profile, tuple(options.only))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("frameworks", nargs="*", default=["numpy"], help="numpy, torch, jax")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 49), metavar=("FIRST", "LAST"))
    parser.add_argument("--dtypes", choices=("turns", "alone"), default="turns")
    parser.add_argument("--styles", default="*", metavar="GLOB", help="of those whose names match")
    parser.add_argument("--only", nargs="+", default=(), metavar="GLOB", help="by these requirements")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="smoke")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    total: Counter[Status] = Counter()
    count, alarms, (seed, _) = 0, 0, options.seeds
    # A process keeps what JAX compiles, until the system gives it no more: no process judges many.
    with ProcessPool(options.jobs, TURNS_A_PROCESS, warnings.simplefilter, ("ignore",),
                     get_context("spawn")) as processes:  # fmt: skip
        for run in processes.map(Turn.judged, turns(options)).result():
            turn = run.turn
            if turn.seed != seed:
                print(f"up to seed {seed}: {alarms} alarms in {total.total()} verdicts", flush=True)
                seed = turn.seed
            count, total, alarms = count + 1, total + run.counts, alarms + len(run.accused)
            for message in run.accused:
                print(f"{turn.style} seed {turn.seed} {turn.dtype}: {message}", flush=True)
    shown = ", ".join(f"{number} {status.value}" for status, number in total.most_common())
    print(f"{alarms} alarms in {total.total()} verdicts ({shown})")
    used = getrusage(RUSAGE_CHILDREN)
    print(f"of {count} judgements at {options.profile}, {used.ru_utime + used.ru_stime:.0f} s of CPU")


if __name__ == "__main__":
    main()
