"""GitLab code quality: one issue a finding, shown in the merge request beside the subject's class.

The fields are those of GitLab's documentation, "Code Quality report format".
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from headcheck.identity import fingerprint
from headcheck.verdicts import Run, Status

from .findings import Finding, findings, notices
from .place import Place
from .plain import one_line


def render(run: Run) -> str:
    """Return the findings of a run as GitLab's code quality JSON."""
    issues = [_issue(finding) for finding in findings(run)]
    for notice in dict.fromkeys(notices(run)):
        named = hashlib.sha256(f"{notice.kind}\n{notice.text}".encode()).hexdigest()[:32]
        issues.append(_fields(notice.text or notice.kind, notice.kind, named, "critical", notice.place))
    return json.dumps(issues, indent=1) + "\n"


def _issue(finding: Finding) -> dict[str, Any]:
    severity = "critical" if finding.breaking else "minor"
    if finding.verdict.status in {Status.CRASH, Status.TIMEOUT}:
        severity = "blocker"
    text = f"{finding.title}. {finding.text}"
    return _fields(text, finding.requirement.id, fingerprint(finding.verdict), severity, finding.place)


def _fields(text: str, check: str, named: str, severity: str, place: Place) -> dict[str, Any]:
    return {
        "description": one_line(text.replace("\n", " · "), 1500),
        "check_name": f"headcheck/{one_line(check, 100)}",
        "fingerprint": named,
        "severity": severity,
        "location": {"path": place.path, "lines": {"begin": place.line}},
    }
