"""What the HTML page shows, in the order it shows it: a run arranged for a reader in a hurry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from headcheck.diff import Change, Diff
from headcheck.verdicts import BROKEN, RequirementInfo, Run, Status, Verdict

from .differences import groups
from .grid import read
from .heatmap import Comparison, compare
from .measured import Measured, Table, measured
from .words import SIGNS, Sign, Standing, command, headline, number, standings

_FAILING = BROKEN | {Status.DEVIATES, Status.KNOWN_FAILURE}
_SHOWN_IN_FULL = BROKEN | {Status.DEVIATES}
_QUIET = frozenset({Status.PASS, Status.NOT_APPLICABLE, Status.BLOCKED})


@dataclass(frozen=True)
class Finding:
    """One verdict that is more than a word: a failure, a deviation, or something left open."""

    anchor: str
    standing: Standing
    verdict: Verdict
    requirement: RequirementInfo

    @property
    def sign(self) -> Sign:
        """The sign of its status."""
        return SIGNS[self.verdict.status]

    @property
    def glyph(self) -> str:
        """The name of its status's glyph."""
        return glyph(self.verdict.status)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Expected, actual and difference, where there are arrays."""
        return compare(self.verdict.evidence) if self.verdict.evidence else None

    @property
    def worst(self) -> tuple[tuple[str, str], ...]:
        """Name and value of what is known at the worst element."""
        proof = self.verdict.evidence
        if proof is None or proof.worst_error is None:
            return ()
        actual, expected = read(proof.actual), read(proof.expected)
        index = actual.index(proof.worst_index) if actual else None
        values = []
        if actual and expected and index:
            expected = expected.spread(actual)
            values += [("expected", number(expected.elements[index], 7))] if expected else []
            values += [("actual", number(actual.elements[index], 7))]
        values.append(("error", number(proof.worst_error)))
        if proof.worst_ratio:
            bound = proof.worst_error / proof.worst_ratio
            values += [("bound", number(bound))] if bound > 0 else []
            values.append(("error / bound", number(proof.worst_ratio)))
        return tuple(values)


@dataclass(frozen=True)
class Findings:
    """What is to be told of one subject."""

    standing: Standing
    shown: tuple[Finding, ...]  # with their proof
    listed: tuple[Finding, ...]  # by their message


@dataclass(frozen=True)
class Cell:
    """One verdict in the matrix."""

    sign: Sign | None  # None where the run was interrupted before it
    status: str  # names the glyph
    anchor: str  # of its finding, "" where it has none
    verdict: Verdict | None


@dataclass(frozen=True)
class Row:
    """One requirement: a row of the matrix and an entry of the specification."""

    requirement: RequirementInfo
    anchor: str
    cells: tuple[Cell, ...]

    @property
    def failing(self) -> bool:
        """Whether any subject breaks it."""
        return any(cell.verdict is not None and cell.verdict.status in _FAILING for cell in self.cells)

    @property
    def quiet(self) -> bool:
        """Whether no subject has a finding on it."""
        return not any(cell.anchor for cell in self.cells)

    @property
    def search(self) -> str:
        """What the text filter looks through."""
        return f"{self.requirement.id} {self.requirement.statement}".lower()


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    run: Run
    standings: tuple[Standing, ...]
    families: tuple[tuple[str, tuple[Row, ...]], ...]
    findings: tuple[Findings, ...]
    diff: Diff | None = None

    @property
    def changes(self) -> tuple[tuple[str, tuple[Change, ...]], ...]:
        """What changed since the earlier run, group by group, with the group's title."""
        return groups(self.diff) if self.diff else ()

    def shows(self, requirement: str) -> bool:
        """Return whether the page has an entry of this requirement."""
        return any(info.id == requirement for info in self.run.requirements)

    @property
    def headline(self) -> str:
        """The verdict on the run in one sentence."""
        return headline(self.standings)

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return command(self.run)

    @property
    def reasons(self) -> int:
        """How many reasons stand in the verdict of each subject, so that all verdicts fit on a screen."""
        return 10 if len(self.standings) <= 2 else 3

    @property
    def first(self) -> Finding | None:
        """The first failure that is shown with its proof."""
        return next((finding for findings in self.findings for finding in findings.shown), None)

    @property
    def failures(self) -> int:
        """How many failures are shown with their proof."""
        return sum(len(findings.shown) for findings in self.findings)

    @property
    def signs(self) -> list[tuple[str, Sign, int]]:
        """Every sign in the matrix, with how often it stands there."""
        counted = [(status, sum(s.counts[status] for s in self.standings)) for status in SIGNS]
        return [(glyph(status), SIGNS[status], count) for status, count in counted if count]

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """What was measured on the way to a verdict, requirement by requirement."""
        order = {info.id: place for place, info in enumerate(self.run.requirements)}
        given = [v for v in self.run.verdicts if v.measured]
        return tuple(measured(v) for v in sorted(given, key=lambda v: order.get(v.requirement, len(order))))

    @property
    def tables(self) -> list[tuple[str, Table, list[str]]]:
        """Requirement, table and subjects, of each table measured; subjects that share one are together."""
        shared: dict[tuple[str, Table], list[str]] = {}
        for one in self.measured:
            if one.table:
                shared.setdefault((one.verdict.requirement, one.table), []).append(one.verdict.subject)
        return [(requirement, table, subjects) for (requirement, table), subjects in shared.items()]


def arrange(run: Run, diff: Diff | None = None) -> Page:
    """Return a run arranged for the page, with what changed since an earlier one."""
    standing = standings(run)
    requirements = {info.id: info for info in run.requirements}
    findings: dict[tuple[str, str], Finding] = {
        (verdict.subject, verdict.requirement): Finding(
            f"{anchor(verdict.requirement)}--{place}", one, verdict, requirements[verdict.requirement]
        )
        for place, one in enumerate(standing, 1)
        for verdict in one.verdicts
        if verdict.status not in _QUIET and verdict.requirement in requirements
    }
    return Page(
        run=run,
        standings=standing,
        families=_families(run, standing, findings),
        diff=diff,
        findings=tuple(
            Findings(
                one,
                shown=tuple(
                    f
                    for f in sorted(of_subject, key=lambda f: _place(f.verdict, one.breaking))
                    if f.verdict.status in _SHOWN_IN_FULL
                ),
                listed=tuple(f for f in of_subject if f.verdict.status not in _SHOWN_IN_FULL),
            )
            for one in standing
            if (of_subject := [f for f in findings.values() if f.standing is one])
        ),
    )


def _place(verdict: Verdict, first: tuple[Verdict, ...]) -> int:
    """Return where a finding stands: what breaks in its order, then the rest as it is."""
    return first.index(verdict) if verdict in first else len(first)


def anchor(requirement: str) -> str:
    """Return the fragment identifier of a requirement: its ID, where that is one."""
    return re.sub(r"[^A-Za-z0-9-]", "-", requirement)


def glyph(status: Status) -> str:
    """Return the name of a status's glyph in the page's sprite."""
    return status.name.lower().replace("_", "-")


def _families(
    run: Run, standing: tuple[Standing, ...], findings: Mapping[tuple[str, str], Finding]
) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    verdicts = {(verdict.subject, verdict.requirement): verdict for verdict in run.verdicts}

    def cell(subject: str, requirement: str) -> Cell:
        verdict = verdicts.get((subject, requirement))
        if verdict is None:
            return Cell(None, "", "", None)
        finding = findings.get((subject, requirement))
        return Cell(SIGNS[verdict.status], glyph(verdict.status), finding.anchor if finding else "", verdict)

    rows = [
        Row(info, anchor(info.id), tuple(cell(one.record.name, info.id) for one in standing))
        for info in run.requirements
    ]
    return tuple((name, tuple(group)) for name, group in groupby(rows, lambda row: row.requirement.family))
