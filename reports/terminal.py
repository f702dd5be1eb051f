"""The verdict of a run in the terminal: a line for what passed, a paragraph for what did not.

Reads without colour and in any width: what is to be copied stands on a line of its own and is never
broken by us.  Whatever an implementation calls itself or says, no control character of it gets through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headcheck.verdicts import Evidence, Run, Status, Verdict
from rich.console import Console
from rich.text import Text

from .causes import likely, matched
from .grid import Grid, errors, ratios, read
from .plain import clean, one_line
from .words import SIGNS, Sign, Standing, headline, number, standings

_STYLES = {"good": "green", "bad": "bold red", "odd": "yellow", "mute": "dim"}
_TOLD = frozenset({Status.DEVIATES, Status.KNOWN_FAILURE, Status.INCONCLUSIVE, Status.HARNESS_ERROR})
_SMALL = 8  # elements of an array that is shown whole


def print_run(run: Run, console: Console, *, quiet: bool = False) -> None:
    """Print what became of each subject, the worst of it with its proof; with `quiet` one line a subject."""
    statements = {info.id: info.statement for info in run.requirements}
    every = standings(run)
    for standing in every:
        _say(console, _verdict_line(standing, console), hang=2)
        if not quiet:
            _details(standing, statements, console)
    for problem in run.problems:
        _say(console, Text.assemble(("problem ", "bold red"), one_line(problem, 600)))
    if len(every) != 1:
        _say(console, Text(headline(every), style="bold"))
    if not run.complete:
        _say(console, Text("Interrupted: these are the verdicts reached until then.", style="yellow"))
    theirs = sum(subject.subject_seconds for subject in run.subjects)
    ours = sum(subject.headcheck_seconds for subject in run.subjects)
    if theirs and run.complete and not quiet:
        spent = f"CPU: {number(theirs)} s in the implementation's own calls, {number(ours)} s in headcheck"
        _say(console, Text(spent, style="dim"))


def _verdict_line(standing: Standing, console: Console) -> Text:
    remarks = ", ".join(standing.remarks)
    tone = _STYLES[standing.sign.tone]
    return Text.assemble(
        _mark(standing.sign, console),
        " ",
        (one_line(standing.record.name, 120), "bold"),
        " ",
        (standing.conclusion, tone),
        f": {one_line(standing.sentence, 600)}",
        (f" ({remarks})" if remarks else "", "dim"),
    )


def _details(standing: Standing, statements: Mapping[str, str], console: Console) -> None:
    if cause := likely(standing.causes):
        _say(console, Text(cause, style="bold"), 2, hang=2)
    for note in standing.record.notes:
        _say(console, Text(f"Note: {one_line(note, 400)}", style="dim"), 2, hang=2)
    told = [v for v in standing.verdicts if v.status in _TOLD and not standing.run.breaks(v)]
    for verdict in standing.breaking:
        console.print()
        _finding(verdict, statements.get(verdict.requirement, ""), console)
    if standing.breaking and told:
        console.print()
    for verdict in told:
        _remark(verdict, console)
    blocked = [one_line(v.requirement, 60) for v in standing.verdicts if v.status is Status.BLOCKED]
    if blocked and standing.breaking:
        waiting = f"Not judged until these are mended: {', '.join(blocked)}"
        _say(console, Text(waiting, style="dim"), 2, hang=2)
    if standing.breaking or told:
        console.print()


def _finding(verdict: Verdict, statement: str, console: Console) -> None:
    name = (one_line(verdict.requirement, 60), "bold")
    title = Text.assemble(_mark(SIGNS[verdict.status], console), " ", name, "  ", one_line(statement, 300))
    _say(console, title, 2, hang=2)
    for line in clean(verdict.message, 600).splitlines():
        _say(console, Text(line), 4, whole=line.startswith("headcheck "))  # a command, to copy
    proof = verdict.evidence
    if proof is None:
        return
    for label, value in facts(proof):
        text = Text.assemble((f"{label:<10}", "dim"), one_line(value, 300))
        _say(console, text, 4, hang=10)
    if proof.replay:
        replay = Text.assemble((f"{'replay':<10}", "dim"), one_line(proof.replay, 2000))
        _say(console, replay, 4, whole=True)


def facts(proof: Evidence) -> Iterator[tuple[str, str]]:
    """Yield what a proof says, with its label: the case, expected and actual, the error, what it matches."""
    if proof.case_text:
        yield "case", proof.case_text
    if proof.variant and proof.variant not in proof.case_text:
        yield "path", one_line(proof.variant, 120)
    expected, actual = read(proof.expected), read(proof.actual)
    if actual:
        yield from _numbers(proof, expected, actual)
    if proof.matches:
        yield "matches", matched(proof)
    if proof.grounds:
        yield "judged by", one_line(" and ".join(proof.grounds), 120)


def _numbers(proof: Evidence, expected: Grid | None, actual: Grid) -> Iterator[tuple[str, str]]:
    """Yield expected and actual, whole where they are small, else at the worst element; then the error."""
    expected = (expected.spread(actual) or expected) if expected else None
    worst = actual.index(proof.worst_index)
    if worst is None and expected and expected.shape == actual.shape:
        over = ratios(errors(expected, actual), read(proof.bound))
        worst = max(over, key=over.__getitem__)
    where = f" at [{', '.join(map(str, proof.worst_index))}]" if proof.worst_index else ""
    quantity = one_line(proof.quantity, 80)
    of = f" ({quantity}{where})" if quantity else ""
    if len(actual.elements) <= _SMALL or worst is None:
        alike = (n for n in (6, 9, 12) if expected and _listed(expected, n) != _listed(actual, n))
        digits = next(alike, 17) if expected and proof.worst_error else 6
        if expected:
            yield "expected", _listed(expected, digits)
        yield "actual", _listed(actual, digits) + (f" ({quantity})" if quantity else "")
    elif expected and worst in expected.elements:
        one, other = expected.elements[worst], actual.elements[worst]
        digits = next((n for n in (7, 10, 13) if number(one, n) != number(other, n)), 17)
        yield "expected", number(one, digits)
        yield "actual", number(other, digits) + of
    if proof.worst_error is not None and proof.worst_ratio:
        bound = number(proof.worst_error / proof.worst_ratio)
        ratio = number(proof.worst_ratio)
        lawful = f", {ratio} times the bound {bound}" if bound not in {"0", "NaN"} else ""
        yield "error", number(proof.worst_error) + where + lawful


def _listed(grid: Grid, digits: int) -> str:
    values = [number(x, digits) for x in list(grid.elements.values())[: _SMALL * 2]]
    more = len(grid.elements) - len(values)
    return f"[{', '.join(values)}{f', … {more} more' if more else ''}]" if grid.shape else values[0]


def _remark(verdict: Verdict, console: Console) -> None:
    sign = SIGNS[verdict.status]
    why = " ".join(one_line(part, 200) for part in (verdict.reason, verdict.link) if part)
    reason = f" ({why})" if why else ""
    name = (one_line(verdict.requirement, 60), "bold")
    said = f"  {sign.word}: {one_line(verdict.message, 300)}{reason}"
    _say(console, Text.assemble(_mark(sign, console), " ", name, said), 2, hang=2)


def _mark(sign: Sign, console: Console) -> tuple[str, str]:
    return (sign.ascii if console.options.ascii_only else sign.glyph, _STYLES[sign.tone])


def _say(console: Console, text: Text, indent: int = 0, hang: int = 0, whole: bool = False) -> None:
    """Print a text indented, its further lines by ``hang`` more; ``whole`` leaves it in one piece to copy."""
    text = encodable(text, console)
    lines = [text]
    if not whole:
        first, *rest = text[hang:].wrap(console, max(12, console.width - indent - hang)) or [Text()]
        lines = [text[:hang] + first, *(Text(" " * hang) + line for line in rest)]
    for line in lines:
        line.rstrip()
        console.print(Text(" " * indent) + line, soft_wrap=True, highlight=False)


def encodable(text: Text, console: Console) -> Text:
    """Return the text with what the terminal's encoding lacks written as escapes."""
    plain = text.plain.encode(console.encoding, "backslashreplace").decode(console.encoding)
    return text if plain == text.plain else Text(plain, style=text.style)
