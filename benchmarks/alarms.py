"""False alarms: run by hand, `python benchmarks/alarms.py [--seeds FIRST LAST] [--dtypes alone] [torch ...]`.

Every right style of the catalogue is judged by the whole specification, once a seed with its number formats
taking turns, or once a seed and format with that format alone.  Prints what accuses one, and the sums.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from time import process_time

from headcheck.adapters.protocol import Adapter, Declaration
from headcheck.adapters.subjects import load
from headcheck.engine import Judgement, Subject
from headcheck.pool import PROFILES, Profile
from headcheck.selftest import CAUGHT, candidates
from headcheck.session import InProcess
from headcheck.specification import Requirement, select
from headcheck.verdicts import Status


class Only(InProcess):
    """A subject that claims one number format of those it takes."""

    def __init__(self, adapter: Adapter, dtype: str):
        super().__init__(adapter)
        self._dtype = dtype

    def declare(self) -> Declaration:
        declared = super().declare()
        return replace(declared, dtypes=tuple(one for one in declared.dtypes if one == self._dtype))


@dataclass(frozen=True)
class Run:
    """What one judgement of a right style came to."""

    style: str
    seed: int
    dtype: str  # the one that was judged alone; empty where they took turns
    counts: Counter[Status]
    accused: tuple[str, ...]


def judged(style: str, session: InProcess, dtype: str, profile: Profile, seed: int,
           requirements: tuple[Requirement, ...]) -> Run:  # fmt: skip
    judgement = Judgement(Subject(style, session), profile, seed, prove=False)
    error = judgement.prepare().error
    verdicts = [judgement.judge(requirement) for requirement in requirements] if not error else []
    accused = [f"{one.requirement}: {one.message}" for one in verdicts
               if one.status in CAUGHT or one.status is Status.HARNESS_ERROR]  # fmt: skip
    counts = Counter(one.status for one in verdicts)
    return Run(style, seed, dtype, counts, tuple([error] if error else accused))


def runs(
    styles: Sequence[str],
    requirements: tuple[Requirement, ...],
    profile: Profile,
    seeds: range,
    *,
    alone: bool,
) -> Iterator[Run]:
    """Yield every style on every seed, seeds in turn: what is stopped early has seen every style."""
    dtypes = {style: load(style).declare().dtypes for style in styles}
    for seed in seeds:
        for style in styles:
            if not alone:
                yield judged(style, InProcess(load(style)), "", profile, seed, requirements)
                continue
            for dtype in dtypes[style]:
                yield judged(style, Only(load(style), dtype), dtype, profile, seed, requirements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("frameworks", nargs="*", default=["numpy"], help="numpy, torch, jax")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 49), metavar=("FIRST", "LAST"))
    parser.add_argument("--dtypes", choices=("turns", "alone"), default="turns")
    parser.add_argument("--styles", default="*", metavar="GLOB", help="of those whose names match")
    parser.add_argument("--only", nargs="+", default=(), metavar="GLOB", help="by these requirements")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="smoke")
    options = parser.parse_args()
    first, last = options.seeds
    warnings.simplefilter("ignore")  # what NumPy says of infinities is not news
    total: Counter[Status] = Counter()
    count, alarms, seed = 0, 0, first
    requirements = tuple(one for one in select(options.only) if not one.deep)
    every = [one for one in candidates(options.frameworks) if not one.meant]
    styles = [one.subject for one in every if fnmatchcase(one.name, options.styles)]
    sought = runs(styles, requirements, PROFILES[options.profile], range(first, last + 1),
                  alone=options.dtypes == "alone")  # fmt: skip
    for run in sought:
        if run.seed != seed:
            print(f"up to seed {seed}: {alarms} alarms in {total.total()} verdicts", flush=True)
            seed = run.seed
        count, total, alarms = count + 1, total + run.counts, alarms + len(run.accused)
        for message in run.accused:
            print(f"{run.style} seed {run.seed} {run.dtype}: {message}", flush=True)
    shown = ", ".join(f"{number} {status.value}" for status, number in total.most_common())
    print(f"{alarms} alarms in {total.total()} verdicts ({shown})")
    print(f"of {count} judgements at {options.profile}, {process_time():.0f} s of CPU")


if __name__ == "__main__":
    main()
