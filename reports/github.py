"""GitHub Actions: annotations in the pull request, and the summary of a step.

GitHub keeps ten annotations of a step and drops the rest unsaid, so the tenth says what it stands for; it
drops a summary of more than a megabyte whole, so this one ends before that and says what it left out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headcheck.verdicts import Run, Status

from .causes import matched
from .findings import Finding, Notice, findings, known, notices
from .markdown import block, bounded, cell, code, link, prose
from .place import Place
from .plain import clean
from .words import headline, standings

MOST_ANNOTATIONS = 10
MOST_BYTES = 900_000


def commands(run: Run) -> str:
    """Return the findings as workflow commands, one a line, ten at most, what breaks first."""
    found = [_of_notice(notice) for notice in notices(run)]
    found += [_of_finding(finding) for finding in findings(run)]
    if (total := len(found)) > MOST_ANNOTATIONS:
        kept = MOST_ANNOTATIONS - 1
        text = (
            f"{total - kept} of {total} findings are not annotated; the step summary and the report have all."
        )
        found[kept:] = [_command("error", "headcheck: more findings", text)]
    return "".join(f"{command}\n" for command in found)


def summary(run: Run) -> str:
    """Return the run as Markdown for a step summary, below 900 KB."""
    left_out = (
        "\n**Cut here to stay below GitHub's limit:** {number} of the {total} parts of this summary are left "
        "out. The report and the results file have all of them.\n"
    )
    return bounded(_parts(run), MOST_BYTES, left_out)


@contextmanager
def unheeded(say: Callable[[str], object]) -> Iterator[None]:
    """Keep the runner from acting on what is printed inside, which may quote an implementation.

    ``say`` prints a line.  Outside GitHub Actions nothing is printed.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    say(f"::stop-commands::{token}")
    try:
        yield
    finally:
        say(f"::{token}::")


def _of_finding(finding: Finding) -> str:
    return _command("error" if finding.breaking else "warning", finding.title, finding.text, finding.place)


def _of_notice(notice: Notice) -> str:
    return _command("error", f"headcheck: {notice.kind}", notice.text, notice.place)


def _command(level: str, title: str, text: str, place: Place | None = None) -> str:
    """Return one workflow command, escaped as the runner undoes it."""
    properties = {"title": clean(title, 200)}
    if place is not None and place.inside:
        properties = {"file": place.path, "line": str(place.line)} | properties
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {written}::{_data(clean(text, 3000))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _parts(run: Run) -> Iterator[str]:
    """Yield the summary piece by piece, the most urgent first."""
    stand = standings(run)
    yield f"## headcheck: {prose(headline(stand), 400)}\n"
    for notice in notices(run):
        yield f"- **{notice.kind}**: {prose(notice.text)}"
    yield "\n| subject | verdict | pass | fail | known | deviates | other |\n|---|---|--:|--:|--:|--:|--:|"
    for subject in stand:
        count = subject.counts
        deviates = 0 if run.strict else count[Status.DEVIATES]
        shown = count[Status.PASS], len(subject.breaking), count[Status.KNOWN_FAILURE], deviates
        cells = [cell(subject.record.name), prose(subject.conclusion), *map(str, shown)]
        yield f"| {' | '.join(cells)} | {len(subject.verdicts) - sum(shown)} |"
    for finding in findings(run):
        yield _failure(finding)
    if tolerated := known(run):
        yield "\n### Known failures\n\n| requirement | subject | reason | link |\n|---|---|---|---|"
        for verdict in tolerated:
            reason = prose(verdict.reason) or "none given"
            named = f"{cell(verdict.requirement)} | {cell(verdict.subject)}"
            yield f"| {named} | {reason} | {link(verdict.link)} |"
    yield f"\nProfile {code(run.profile)}, seed {run.seed}, headcheck {code(run.headcheck)}."


def _failure(finding: Finding) -> str:
    verdict, requirement = finding.verdict, finding.requirement
    lines = [
        f"\n### {code(finding.title)}\n",
        f"{requirement.level.value}: {prose(requirement.statement)}\n",
        block(verdict.message),
    ]
    if proof := verdict.evidence:
        lines.append(f"\nSmallest case: {code(proof.case_text, 600)}\n")
        if proof.matches:
            lines.append(f"Matches {prose(matched(proof), 600)}\n")
        if proof.replay:
            lines.append(f"Replay: {code(proof.replay, 1000)}\n")
        if proof.script:
            script = block(proof.script, "python", 8000)
            lines.append(f"<details><summary>Script, without headcheck</summary>\n\n{script}\n\n</details>")
    return "\n".join(lines)
