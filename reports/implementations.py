"""What is said of an implementation beside its verdicts: its conventions, and what it does not offer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from headcheck.verdicts import Level, Status

from .words import Standing

# The requirements that hold a declared convention against the implementation, and how they are called.
_HELD_BY: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("mask", "mask forms", "mask shapes"), ("MASK-*", "the mask requirements")),
    "row with no key": ("MASK-EMPTY-ROW", "MASK-EMPTY-ROW"),
    "causal alignment": ("MASK-CAUSAL", "MASK-CAUSAL"),
    "layout": ("PROJ-ORACLE", "PROJ-ORACLE"),
}
_KINDS_OF_MASK = frozenset({"mask", "padding", "causal"})


@dataclass(frozen=True)
class Convention:
    """A lawful choice: what was declared of it, what was seen of it; "" where nothing was."""

    name: str
    declared: str
    seen: str
    held_by: str  # the requirements that passed on what is declared

    @property
    def sign(self) -> str:
        """The name of the glyph before what was seen: none where nothing was declared."""
        return ("pass" if self.declared == self.seen else "deviates") if self.declared and self.seen else ""


def conventions(standing: Standing) -> list[Convention]:
    """Return what was declared and seen of each convention; "unknown" declares nothing."""
    subject = standing.record
    found = []
    for name in dict.fromkeys((*subject.declared, *subject.verified)):
        declared = subject.declared.get(name, "").removeprefix("unknown")
        seen = subject.verified.get(name, "")
        if name == "mask shapes":  # recorded as "(B 1 n_q n_k)"
            declared = re.sub(r"(?<=\w) (?=\w)", ", ", declared)
        found.append(Convention(name, declared, seen, _held_by(standing, name) if declared else ""))
    return found


def lacking(standing: Standing) -> dict[str, list[str]]:
    """Return each capability that an implementation lacks, with the requirements not applicable for that."""
    offered = set(standing.record.capabilities)
    if len(offered & _KINDS_OF_MASK) > 1:
        offered.add("masks")
    if len(standing.record.variants) > 1:
        offered.add("paths")
    needs = {info.id: info.needs for info in standing.run.requirements}
    lost: dict[str, list[str]] = {}
    for verdict in standing.verdicts:
        if verdict.status is Status.NOT_APPLICABLE:
            for capability in set(needs.get(verdict.requirement, ())) - offered:
                lost.setdefault(capability, []).append(verdict.requirement)
    return dict(sorted(lost.items()))


def _held_by(standing: Standing, convention: str) -> str:
    """Return what is said of the requirements about a convention where all that apply were passed."""
    glob, words = _HELD_BY.get(convention, ("", ""))
    statuses = {
        verdict.status
        for verdict in standing.verdicts
        if verdict.level is Level.MUST and fnmatchcase(verdict.requirement, glob)
    }
    return words if statuses - {Status.NOT_APPLICABLE} == {Status.PASS} else ""
