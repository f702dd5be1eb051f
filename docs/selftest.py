"""The page of the suite's own trials, kept as docs/selftest.html: `python -m docs.selftest`.

A fault is judged by the requirement meant for it at standard; then, but for JAX, where each of its shapes is
compiled, by the others at smoke.  Right styles are judged by all.  From nothing that takes a third of an hour
of CPU.  So the page holds what was tried, and only what it does not know is tried again: faults that are new
or written anew, and requirements that are new.  With --all, everything is.  `stale` says where page and
catalogue differ; before it says nothing, the site is not built.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headcheck.pool import PROFILES
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reports.kill_matrix import render
from headcheck.selftest import Trial, candidates, holes, tried
from headcheck.specification import Requirement, specification

FILE = Path(__file__).with_name("selftest.html")
FRAMEWORKS = ("numpy", "torch", "jax")
PROFILE = "standard"
OTHERS = {"numpy": "smoke", "torch": "smoke", "jax": "none"}
DATA = re.compile(r'<script type="application/json" id="trials">\n(.*?)</script>', re.DOTALL)
PLACE = re.compile(r"\([^()\s]*[/\\](\w+\.py):\d+\)")  # of a file on the machine on which it was tried
Key = tuple[str, str]  # framework, name


@dataclass(frozen=True)
class Kept:
    """What a page holds: the requirements of its columns, and each trial with the code that was tried."""

    requirements: tuple[str, ...] = ()
    trials: Mapping[Key, Trial] = field(default_factory=dict)
    codes: Mapping[Key, str] = field(default_factory=dict)

    def knows(self, candidate: Trial) -> bool:
        """Return whether a candidate was tried as it is written now, and the suite did right by it."""
        trial = self.trials.get(key_of(candidate))
        return trial is not None and trial.good and self.codes[key_of(candidate)] == code(candidate)


def key_of(trial: Trial) -> Key:
    """Return what names a trial."""
    return trial.framework, trial.name


def code(trial: Trial) -> str:
    """Return a fingerprint of what a fault does and of what it is meant for; of a style, of its name."""
    faults = {fault.name: fault for fault in FAULTS}
    source = inspect.getsource(faults[trial.name].planted) if trial.meant else trial.subject
    return hashlib.sha256(f"{trial.meant}\n{source}".encode()).hexdigest()[:8]


def judging() -> tuple[Requirement, ...]:
    """Return the requirements that a trial is judged by."""
    return tuple(one for one in specification() if not one.deep)


def kept(page: Path = FILE) -> Kept:
    """Return what a page holds; nothing where there is no page."""
    found = DATA.search(page.read_text("utf-8")) if page.exists() else None
    if not found:
        return Kept()
    data = json.loads(found[1])
    trials, codes = {}, {}
    for candidate in candidates(FRAMEWORKS):
        held = data["trials"].get(f"{candidate.framework} {candidate.name}")
        if held:
            caught = {name: tuple(held[name]) for name in ("caught_by", "messages")}
            trials[key_of(candidate)] = replace(candidate, error=held["error"], **caught)
            codes[key_of(candidate)] = held["code"]
    return Kept(tuple(data["requirements"]), trials, codes)


def stale(page: Path = FILE) -> list[str]:
    """Return where a page differs from the catalogue, in sentences; empty where it does not."""
    held, now = kept(page), [one.id for one in judging()]
    unknown = [f"{one.framework} {one.name}" for one in candidates(FRAMEWORKS) if not held.knows(one)]
    found = []
    if list(held.requirements) != now:
        changed = sorted(set(now) ^ set(held.requirements)) or ["their order"]
        found.append(f"other requirements: {', '.join(changed)}")
    if unknown:
        found.append(f"not tried as they are written: {', '.join(unknown[:8])}; {len(unknown)} in all")
    return [f"{page.name} is out of date, run `python -m docs.selftest`: {one}" for one in found]


def retried(held: Kept) -> Iterator[tuple[Trial, bool]]:
    """Yield every trial, and whether it was tried now; first those that were not."""
    requirements = judging()
    new = [one for one in requirements if one.id not in held.requirements]
    for candidate in sorted(candidates(FRAMEWORKS), key=held.knows, reverse=True):
        others = PROFILES.get(OTHERS[candidate.framework])
        alone = others is None and bool(candidate.meant)
        known = held.trials[key_of(candidate)] if held.knows(candidate) else None
        by: Sequence[Requirement] = requirements if known is None else () if alone else new
        if known and not by:
            yield known, False
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what NumPy says of a fault is not news
            at = others if known and candidate.meant and others else PROFILES[PROFILE]
            trial = tried(candidate, by, at, others=others)
        if known:
            caught = {
                name: (*getattr(known, name), *getattr(trial, name)) for name in ("caught_by", "messages")
            }
            trial = replace(trial, **caught)
        yield trial, True


def drawn(trials: Sequence[Trial]) -> str:
    """Return the page of trials, in the order of the catalogue."""
    places = {key_of(one): place for place, one in enumerate(candidates(FRAMEWORKS))}
    trials = [
        replace(one, messages=tuple(PLACE.sub(r"(\1)", message) for message in one.messages))
        for one in sorted(trials, key=lambda one: places[key_of(one)])
    ]
    infos = [one.info for one in judging()]
    codes = {key_of(trial): code(trial) for trial in trials}
    return render(trials, infos, PROFILE, others=OTHERS, codes=codes)


def main(arguments: Sequence[str]) -> int:
    """Try what is not known, write the page, and print what is wrong with the suite."""
    trials: list[Trial] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an exit would be taken for the subject's
    try:
        for trial, now in retried(Kept() if "--all" in arguments else kept()):
            trials.append(trial)
            if now:
                print(f"{trial.framework:5} {trial.name:36} {trial.verdict}", flush=True)
    finally:  # what was tried until an interruption need not be tried again
        FILE.write_text(drawn(trials), encoding="utf-8")
    wrong = holes(trials, judging())
    print("\n".join(wrong) or f"{FILE.name}: no hole")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
