"""One page a requirement, and a table of all of them, written from the catalogue when the site is built."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import groupby

from headcheck.adapters import protocol
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reference.faults.fault import EVERYWHERE, Fault
from headcheck.reference.faults.shipped import SHIPPED
from headcheck.reports.document import sentence
from headcheck.reports.mathml import formula
from headcheck.selftest import Trial
from headcheck.specification import SPEC_VERSION, Requirement, specification
from headcheck.verdicts import Level

from . import selftest

LEVELS: Mapping[Level, str] = {
    Level.MUST: "A run in which it does not hold fails.",
    Level.SHOULD: "Where it does not hold the run says so, and fails under `--strict`.",
    Level.INFO: "It is measured and shown, and fails no run.",
}
_MARKUP = re.compile(r"([\\*_{}\[\]<>|#])")


def pages() -> dict[str, str]:
    """Return the pages as Markdown, by the name of the file."""
    requirements = specification()
    return {"index.md": index(requirements)} | {f"{one.id}.md": page(one) for one in requirements}


def index(requirements: Iterable[Requirement]) -> str:
    """Return the page that lists all requirements, family by family."""
    requirements = tuple(requirements)
    faults = [fault for one in requirements for fault in meant_for(one)]
    lines = [
        "# Requirements",
        "",
        f"Version {SPEC_VERSION} of the specification: {len(requirements)} requirements in "
        f"{len({one.info.family for one in requirements})} families. {len(faults)} wrong implementations are "
        "kept to test them; each is meant for one requirement and listed on its page.",
        "",
        "`headcheck spec` prints this list, and `headcheck explain ID` the most of a page.",
        "",
    ]
    for family, members in groupby(requirements, key=lambda one: one.info.family):
        of_family = list(members)
        rows = [
            (f"[{one.id}]({one.id}.md)", str(one.level), prose(one.info.statement), str(len(meant_for(one))))
            for one in of_family
        ]
        names = "\n".join(one.id for one in of_family)
        lines += [
            f"## {family.capitalize()}",
            "",
            *table(("ID", "level", "statement", "faults"), rows),
            "",
            f"```{{toctree}}\n:hidden:\n:caption: {family.capitalize()}\n\n{names}\n```",
            "",
        ]
    return "\n".join(lines)


def page(requirement: Requirement) -> str:
    """Return the page of one requirement."""
    info = requirement.info
    set_formula = str(formula(info.formula, displayed=True))
    lines = [
        f"# {info.id}",
        "",
        f"**{prose(info.statement)}.**",
        "",
        f'<p class="formula">{set_formula}</p>',
        "",
        prose(sentence(info.why)),
        "",
        f"Level\n: {info.level}. {LEVELS[info.level]}",
        "",
        f"Family\n: {info.family}",
        "",
        f"Since\n: version {info.since} of the specification",
        "",
        f"Needs\n: {needs(info.needs)}",
        "",
        f"Depends on\n: {depends_on(info.depends_on)}",
        "",
        f"Judged on\n: {judged_on(requirement)}",
        "",
        "## Faults meant for it",
        "",
        *_faults(meant_for(requirement)),
        "",
        "## To judge it alone",
        "",
        f"```sh\nheadcheck run mymodel.py:MyAttention --only {info.id}\n```",
        "",
    ]
    return "\n".join(lines)


def needs(capabilities: Iterable[str]) -> str:
    """Return what an implementation must offer, in words."""
    known = described_capabilities()
    words = [f"`{name}` ({prose(known[name])})" for name in capabilities]
    if not words:
        return "nothing that is not always offered"
    return "; ".join(words) + ". Without them it is *not applicable*, which is not a pass."


def depends_on(ids: Iterable[str]) -> str:
    """Return the requirements whose failure blocks this one."""
    links = [f"[{id}]({id}.md)" for id in ids]
    return f"{' and '.join(links)}. Where that does not hold it is *blocked*." if links else "no other"


def judged_on(requirement: Requirement) -> str:
    """Return which of a run's cases a requirement is given, in words."""
    if requirement.once:
        words = ["a situation of its own, once a run"]
    else:
        share = {0.0: "none", 1.0: "all"}.get(requirement.share, f"{requirement.share:.0%}")
        shapes = f"the first {requirement.shapes} shapes" if requirement.shapes else "every shape"
        words = [f"one case of {shapes} of the alphabet, and {share} of the cases drawn beyond them"]
        if requirement.long:
            words.append("sequences of hundreds included")
        if requirement.every_dtype:
            words.append("in every dtype claimed, in turn")
    if requirement.control:
        words.append(
            "beside each failing case its control, the same without what the requirement is about; "
            "where that fails too it is *blocked*"
        )
    if requirement.deep:
        words.append("only in the profile `deep`, or where it is named")
    return "; ".join(words) + "."


@cache
def described_capabilities() -> Mapping[str, str]:
    """Return what each capability means, as the protocol's own comments say it."""
    source = inspect.getsource(protocol)
    block = source[source.index("Capability = Literal[") : source.index("\n]\n")]
    return dict(re.findall(r'^ {4}"([\w ]+)",  # (.+)$', block, re.MULTILINE))


def meant_for(requirement: Requirement) -> list[Fault]:
    """Return the faults that this requirement is meant to catch."""
    return [fault for fault in FAULTS if fault.caught_by == requirement.id]


def _faults(faults: Iterable[Fault]) -> Iterator[str]:
    rows = [
        (
            f"`{fault.name}`"
            + ("" if fault.frameworks == EVERYWHERE else f" on {' and '.join(fault.frameworks)}"),
            prose(sentence(fault.lie)) + shipped(fault),
            prose(said(fault)),
        )
        for fault in faults
    ]
    if not rows:
        yield "None: it fails no run."
        return
    yield "Wrong implementations, each as small as its fault, and what this requirement said of them when"
    yield "they were [last tried](../explanation/selftest.md)."
    yield ""
    yield from table(("fault", "what it does", "what the requirement says"), rows)


def said(fault: Fault) -> str:
    """Return what the requirement meant for a fault said of it, on the first framework that it exists on."""
    for framework in fault.frameworks:
        trial = tried().get((framework, fault.name))
        words = dict(zip(trial.caught_by, trial.messages, strict=True)) if trial else {}
        if fault.caught_by in words:
            return words[fault.caught_by].removeprefix("seed 0: ")
    return ""


@cache
def tried() -> Mapping[tuple[str, str], Trial]:
    """Return the suite's own trials, from the page that is kept."""
    return selftest.kept().trials


def shipped(fault: Fault) -> str:
    """Return links to the public defects of this kind, as a sentence; "" where none is known."""
    links = [f"[{prose(SHIPPED[key].project)}]({SHIPPED[key].url})" for key in fault.shipped]
    return f" Shipped in {', '.join(links)}." if links else ""


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]


def prose(text: str) -> str:
    """Return a text as Markdown that shows it as it is, but for `code`, which stays code."""
    parts = text.split("`")
    plain = [
        _MARKUP.sub(r"\\\1", part) if i % 2 == 0 else part.replace("|", "\\|") for i, part in enumerate(parts)
    ]
    return "`".join(plain)
