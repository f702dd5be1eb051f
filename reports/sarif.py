"""SARIF 2.1.0, for code scanning: a rule a requirement, a result a finding, at the line of the subject.

A result is recognised in the next run by its subject, its requirement and its configuration class, never by
its counterexample.  Known failures are no results, because most consumers ignore SARIF's suppressions; how
many there are stands in a notification, with everything else about the run itself.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from headcheck.identity import fingerprint
from headcheck.verdicts import Level, RequirementInfo, Run

from .findings import Finding, findings, known, notices
from .place import Place
from .plain import clean, one_line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Level.MUST: "error", Level.SHOULD: "warning", Level.INFO: "note"}


def render(run: Run) -> str:
    """Return the run as a SARIF log."""
    index = {requirement.id: number for number, requirement in enumerate(run.requirements)}
    driver = {
        "name": "headcheck",
        "version": one_line(run.headcheck, 40),
        "rules": [_rule(requirement) for requirement in run.requirements],
    }
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [_invocation(run)],
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, index) for finding in findings(run)],
                "properties": {
                    "specification": one_line(run.spec, 40),
                    "profile": one_line(run.profile, 40),
                    "seed": run.seed,
                    "conclusions": {one_line(s.name): run.conclusion(s.name) for s in run.subjects},
                },
            }
        ],
    }
    return json.dumps(log, indent=1, allow_nan=False) + "\n"


def _rule(requirement: RequirementInfo) -> dict[str, Any]:
    statement, why, formula = (
        _plain(clean(text)) for text in (requirement.statement, requirement.why, requirement.formula)
    )
    return {
        "id": one_line(requirement.id, 100),
        "shortDescription": {"text": statement},
        "fullDescription": {"text": why or statement},
        "help": {"text": "\n\n".join(part for part in (statement, why, f"Formula: {formula}") if part)},
        "defaultConfiguration": {"level": _LEVELS[requirement.level]},
        "properties": {"tags": [one_line(requirement.family, 60)], "level": requirement.level.value},
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    verdict = finding.verdict
    return {
        "ruleId": one_line(verdict.requirement, 100),
        "ruleIndex": index[verdict.requirement],
        "level": "error" if finding.breaking else "warning",
        "message": {"text": _plain(f"{finding.title}. {finding.text}")},
        "locations": [_location(finding.place, verdict.subject)],
        "partialFingerprints": {"headcheckFailure/v1": fingerprint(verdict)},
        "properties": {"status": verdict.status.value},
    }


def _location(place: Place, name: str) -> dict[str, Any]:
    artifact = {"uri": quote(place.path)}
    if place.inside:
        artifact["uriBaseId"] = "%SRCROOT%"
    return {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": place.line}},
        "logicalLocations": [{"fullyQualifiedName": one_line(name), "kind": "type"}],
    }


def _invocation(run: Run) -> dict[str, Any]:
    told: list[dict[str, Any]] = [
        {"level": "error", "message": {"text": _plain(notice.text)}, "descriptor": {"id": notice.kind}}
        for notice in notices(run)
    ]
    if tolerated := known(run):
        which = clean(", ".join(f"{v.requirement} ({v.subject})" for v in tolerated), 4000)
        text = f"Known failures, listed in the baseline and not shown as results: {len(tolerated)}: {which}"
        told.append(
            {"level": "note", "message": {"text": _plain(text)}, "descriptor": {"id": "known failures"}}
        )
    return {"executionSuccessful": run.complete, "toolExecutionNotifications": told}


def _plain(text: str) -> str:
    """Return text in which nothing is a link: in SARIF even a plain message may embed [one](like this)."""
    return text.replace("](", "] (")
