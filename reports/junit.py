"""JUnit XML: a suite a subject, a case a requirement, as every continuous-integration server reads it.

JUnit knows passed, failed, error and skipped.  Only a pass is passed: what breaks conformance is a failure,
a crash or a timeout is an error, and all else (known failures, deviations, blocked, not applicable,
inconclusive) is skipped with its status and reason.  A subject that could not be judged, and anything wrong
with the run itself, is an error of its own, so that no reader takes silence for a pass.
"""

from __future__ import annotations

from math import isfinite
from xml.etree import ElementTree

from headcheck.verdicts import RequirementInfo, Run, Status, SubjectRecord, Verdict

from .causes import matched
from .findings import notices
from .plain import clean, one_line

_ERRORS = frozenset({Status.CRASH, Status.TIMEOUT, Status.HARNESS_ERROR})


def render(run: Run) -> str:
    """Return the run as a JUnit XML document."""
    root = ElementTree.Element("testsuites", name="headcheck")
    requirements = {requirement.id: requirement for requirement in run.requirements}
    for subject in run.subjects:
        root.append(_suite(run, subject, requirements))
    if about := [notice for notice in notices(run) if notice.kind in {"baseline", "interrupted"}]:
        suite = ElementTree.SubElement(root, "testsuite", name="headcheck")
        for number, notice in enumerate(about, 1):
            case = ElementTree.SubElement(
                suite, "testcase", classname="headcheck", name=f"{notice.kind} {number}"
            )
            _outcome(case, "error", notice.kind, notice.text, notice.text)
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(run: Run, subject: SubjectRecord, requirements: dict[str, RequirementInfo]) -> ElementTree.Element:
    name = one_line(subject.name)
    suite = ElementTree.Element("testsuite", name=name, timestamp=one_line(run.started.removesuffix("Z"), 40))
    properties = ElementTree.SubElement(suite, "properties")
    facts = {
        "conclusion": run.conclusion(subject.name),
        "headcheck": run.headcheck,
        "specification": run.spec,
        "profile": run.profile,
        "seed": str(run.seed),
        "framework": subject.framework,
        "source": subject.source,
    }
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", name=key, value=one_line(value))
    if subject.error:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="judged")
        _outcome(case, "error", "not judged", subject.error, subject.error)
    for verdict in run.of(subject.name):
        suite.append(_case(run, name, verdict, requirements[verdict.requirement]))
    _count(suite)
    return suite


def _case(run: Run, name: str, verdict: Verdict, requirement: RequirementInfo) -> ElementTree.Element:
    seconds = verdict.seconds if isfinite(verdict.seconds) else 0.0
    case = ElementTree.Element(
        "testcase", classname=name, name=one_line(requirement.id, 100), time=f"{seconds:.3f}"
    )
    if verdict.status is Status.PASS:
        return case
    broken = run.breaks(verdict)
    if verdict.status is Status.HARNESS_ERROR or (broken and verdict.status in _ERRORS):
        kind = "error"
    else:
        kind = "failure" if broken else "skipped"
    reason = " ".join(part for part in (verdict.reason, verdict.link) if part)
    message = f"{verdict.status.value}: {reason or verdict.message}"
    _outcome(case, kind, verdict.status.value, message, _body(verdict, requirement))
    return case


def _body(verdict: Verdict, requirement: RequirementInfo) -> str:
    parts = [f"{requirement.level.value}: {clean(requirement.statement, 600)}", clean(verdict.message, 4000)]
    if proof := verdict.evidence:
        parts += [
            f"Smallest case: {clean(proof.case_text)}",
            f"Matches {clean(matched(proof))}" if proof.matches else "",
            f"Replay: {clean(proof.replay)}" if proof.replay else "",
            f"Script:\n{clean(proof.script, 20_000)}" if proof.script else "",
        ]
    return "\n\n".join(part for part in parts if part)


def _outcome(case: ElementTree.Element, kind: str, type: str, message: str, body: str) -> None:
    element = ElementTree.SubElement(case, kind, type=type, message=one_line(message, 600))
    element.text = clean(body, 40_000)


def _count(element: ElementTree.Element) -> None:
    """Write into a suite, or the document, how many of its cases went how."""
    cases = list(element.iter("testcase"))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    element.set("tests", str(len(cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
