"""Judging a run against its known failures, so that only what is new stops a pull request.

An entry excuses one requirement of one subject, on one configuration, for one kind of failure, until it
expires.  It never makes a pass of a failure: the verdict is "known failure" and the subject "conformant
except for".  What an entry does not cover stays a failure; and an entry whose requirement holds again is
one, because left where it is it would hide the next.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from .identity import configuration, failed, kind, when
from .identity import variant as path_of
from .known_failures import FILE, Baseline, BaselineError, Entry, dumps, loads, read
from .verdicts import Run, Status, SubjectRecord, Verdict

if TYPE_CHECKING:
    from .cases import Case

__all__ = [
    "Baseline",
    "BaselineError",
    "Entry",
    "apply",
    "cases",
    "dumps",
    "loads",
    "mended",
    "prune",
    "read",
    "write",
]

_SHALLOW = "smoke"  # the profile that tries too little to contradict what is listed without a case
_HOLDS = frozenset({Status.PASS, Status.UNEXPECTED_PASS})


def apply(run: Run, baseline: Baseline, today: date, *, requirements: Collection[str] | None = None) -> Run:
    """Return the run as its known failures leave it, with the problems of the list added to its own.

    ``requirements`` are the IDs that exist, by default those of this headcheck.
    """
    stale = {entry.pair for entry in mended(run, baseline)}
    verdicts = tuple(
        replace(verdict, status=Status.UNEXPECTED_PASS, message=_mend(baseline))
        if (verdict.subject, verdict.requirement) in stale
        else _judged(verdict, baseline, today)
        for verdict in run.verdicts
    )
    exist = {requirement.id for requirement in run.requirements}
    exist |= set(_catalogue() if requirements is None else requirements)
    problems = tuple(_problems(run, baseline, today, exist))
    return replace(run, verdicts=verdicts, problems=run.problems + problems)


def write(run: Run, existing: Baseline | None = None) -> Baseline:
    """Return the list that excuses every failure of this run.

    What people wrote into the existing list stays: the reason, link and expiry of an entry that is still
    needed, and whole entries on what this run did not judge.  Entries on what holds again go.
    """
    known = prune(run, existing or Baseline())
    kept = {entry.key: entry for entry in known.entries}
    for verdict in run.verdicts:
        if failed(verdict) and (run.breaks(verdict) or verdict.status is Status.KNOWN_FAILURE):
            covering = [
                entry for entry in known.of((verdict.subject, verdict.requirement)) if entry.covers(verdict)
            ]
            entry = _renewed(verdict, covering[0] if covering else None)
            kept[entry.key] = entry
    return Baseline(tuple(kept[key] for key in sorted(kept)), known.path)


def prune(run: Run, baseline: Baseline) -> Baseline:
    """Return the list without the entries that this run shows to be mended."""
    stale = mended(run, baseline)
    return replace(baseline, entries=tuple(entry for entry in baseline.entries if entry not in stale))


def cases(baseline: Baseline) -> Mapping[tuple[str, str], tuple[Case, ...]]:
    """Return the cases to try first, by subject and requirement; BaselineError where one is no case."""
    from .cases import Case  # needs NumPy, which reading a list does not

    found: dict[tuple[str, str], tuple[Case, ...]] = {}
    for entry in baseline.entries:
        if entry.case:
            try:
                case = Case.from_record(entry.case)
            except ValueError as error:
                where = f"{baseline.path}: the case of {entry.requirement} on {entry.subject}"
                raise BaselineError(f"{where}: {error}") from None
            found[entry.pair] = (*found.get(entry.pair, ()), case)
    return found


def mended(run: Run, baseline: Baseline) -> tuple[Entry, ...]:
    """Return the entries that this run contradicts: the requirement holds, where the entry says it fails.

    What the run could not try contradicts nothing: a path or a dtype that the subject does not have here,
    another device, or, where a profile tries little, a failure that is listed without its case.
    """
    subjects = {subject.name: subject for subject in run.subjects}
    holds = {(v.subject, v.requirement) for v in run.verdicts if v.status in _HOLDS}
    return tuple(
        entry
        for entry in baseline.entries
        if entry.pair in holds
        and _tried(entry, subjects[entry.subject])
        and (entry.case or run.profile != _SHALLOW)
    )


def _tried(entry: Entry, subject: SubjectRecord) -> bool:
    """Return whether the subject was judged on the configuration that an entry names."""
    path, dtype = entry.variant or "", entry.when.get("dtype", "")
    return (
        path in {"", *(subject.variants or (path,))}
        and dtype in {"", *(subject.dtypes or (dtype,))}
        and "device" not in entry.when  # no run records one yet
    )


def _mend(baseline: Baseline) -> str:
    where = "" if baseline.path == FILE else f" --baseline {shlex.quote(baseline.path)}"
    said = f"holds, though {baseline.path} lists it as failing; take it off the list:"
    return f"{said}\nheadcheck baseline prune{where}"


def _judged(verdict: Verdict, baseline: Baseline, today: date) -> Verdict:
    """Return a verdict as the entries on its subject and requirement leave it."""
    entries = baseline.of((verdict.subject, verdict.requirement))
    if not entries or not failed(verdict):
        return verdict
    for entry in entries:
        if entry.covers(verdict) and entry.kind == kind(verdict) and not entry.expired(today):
            return replace(
                verdict, status=Status.KNOWN_FAILURE, reason=entry.reason, link=entry.link, kind=entry.kind
            )
    return replace(verdict, message=f"{_why_not(entries, verdict, today)} {verdict.message}".rstrip())


def _why_not(entries: tuple[Entry, ...], verdict: Verdict, today: date) -> str:
    """Return why none of the entries on this requirement excuses this failure."""
    covering = [entry for entry in entries if entry.covers(verdict)]
    if not covering:
        known = " or ".join(_on(entry.variant, dict(entry.when)) for entry in entries)
        found = configuration(verdict)
        return f"Known {known}, but this is {_on(found['variant'], dict(when(verdict)))}."
    changed = [entry for entry in covering if entry.kind != kind(verdict)]
    if changed:
        return f"Known as {changed[0].kind}, but this is {kind(verdict)}."
    return f"Known until {max(entry.expires for entry in covering if entry.expires)}, which is over."


def _on(path: str | None, where: dict[str, str]) -> str:
    words = [f"path {path!r}" if path else "", *(f"{name} {value}" for name, value in where.items())]
    return f"on {', '.join(filter(None, words)) or 'the first path'}"


def _renewed(verdict: Verdict, entry: Entry | None) -> Entry:
    """Return the entry that excuses this failure, with what people wrote into the one before it."""
    proof = verdict.evidence
    return Entry(
        subject=verdict.subject,
        requirement=verdict.requirement,
        kind=kind(verdict),
        variant=entry.variant if entry else path_of(verdict) if proof else None,
        when=entry.when if entry else when(verdict),
        reason=entry.reason if entry else verdict.reason,
        link=entry.link if entry else verdict.link,
        expires=entry.expires if entry else None,
        case=proof.case if proof else {},
    )


def _problems(run: Run, baseline: Baseline, today: date, exist: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the list itself: each of these fails the run."""
    subjects = {subject.name for subject in run.subjects}
    if baseline.entries and not any(entry.subject in subjects for entry in baseline.entries):
        listed = ", ".join(sorted({entry.subject for entry in baseline.entries}))
        yield (
            f"{baseline.path} lists failures of {listed}, but this run judged {', '.join(sorted(subjects))}; "
            f"correct the names, or give the list that belongs to this run"
        )
    for entry in baseline.entries:
        where = f"{baseline.path}: {entry.requirement} on {entry.subject}"
        if entry.requirement not in exist:
            yield f"{where} names no requirement; correct it (`headcheck spec`) or take it off the list"
        elif entry.expired(today):
            yield f"{where} expired on {entry.expires}; mend the failure, or give it a later date"


def _catalogue() -> Collection[str]:
    from .specification import specification  # needs NumPy, which reading a list does not

    return {requirement.id for requirement in specification()}
