"""The list of known failures as values, and as the TOML file that a team keeps beside its code.

    [[failure]]
    subject = "attention.py:MyAttention"
    requirement = "MASK-EMPTY-ROW"
    variant = ""
    when = {dtype = "float32"}
    kind = "fail"
    reason = "NaN where no key is allowed; our callers never do that"
    link = "https://example.org/issues/7"
    expires = 2027-01-01
    case = {batch = 1, n_q = 1, n_k = 2, ...}

One table an entry, sorted, so that two branches that add different failures merge.
"""

from __future__ import annotations

import difflib
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from .identity import variant, when
from .verdicts import Verdict

FILE = "headcheck-baseline.toml"
FORMAT = "headcheck-baseline"
FORMAT_VERSION = 1
KINDS = ("fail", "crash", "timeout", "deviates")
_HEADING = """\
Known failures, by `headcheck baseline write`.  Yours to edit: reason, link, and expires = 2027-01-31.
variant "" is a subject's first path; without variant or when, an entry covers any."""
_FIELDS: Mapping[str, type] = {
    "subject": str,
    "requirement": str,
    "variant": str,
    "when": dict,
    "kind": str,
    "reason": str,
    "link": str,
    "expires": date,
    "case": dict,
}


class BaselineError(Exception):
    """A baseline file that cannot be used: what was given, expected and what to do, in one line."""


@dataclass(frozen=True)
class Entry:
    """One known failure.  Without a variant, or without `when`, it covers any."""

    subject: str
    requirement: str
    kind: str = "fail"
    variant: str | None = None
    when: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    link: str = ""
    expires: date | None = None
    case: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[str, str]:
        """The subject and the requirement it is about."""
        return self.subject, self.requirement

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from the other entries, and the order of the file."""
        told = "any" if self.variant is None else f"={self.variant}"
        return self.subject, self.requirement, told, str(sorted(self.when.items()))

    def covers(self, verdict: Verdict) -> bool:
        """Return whether the failure is on the configuration that this entry names."""
        found = when(verdict)
        return self.variant in {None, variant(verdict)} and all(
            found.get(name) == value for name, value in self.when.items()
        )

    def expired(self, today: date) -> bool:
        """Return whether its last day is over."""
        return self.expires is not None and today > self.expires


@dataclass(frozen=True)
class Baseline:
    """All known failures of one file, sorted."""

    entries: tuple[Entry, ...] = ()
    path: str = FILE

    def of(self, pair: tuple[str, str]) -> tuple[Entry, ...]:
        """Return the entries on one subject and requirement."""
        return tuple(entry for entry in self.entries if entry.pair == pair)


def dumps(baseline: Baseline) -> str:
    """Return the text of a baseline file.  TOML has no null: a field of a case that is None is left out."""
    import tomlkit  # not loaded to read

    document = tomlkit.document()
    for line in _HEADING.splitlines():
        document.add(tomlkit.comment(line))
    document.add("format", FORMAT)
    document.add("format_version", FORMAT_VERSION)
    tables = tomlkit.aot()
    for entry in sorted(baseline.entries, key=lambda entry: entry.key):
        table = tomlkit.table()
        for name in _FIELDS:
            value = getattr(entry, name)
            if value is not None and value != {}:
                table.add(name, _toml(value))
        tables.append(table)
    if baseline.entries:
        document.add("failure", tables)
    # All text stands in basic strings, where what a reviewer could not see can be written as an escape.
    return "".join(_escaped(character) for character in tomlkit.dumps(document))


def loads(text: str, path: str = FILE) -> Baseline:
    """Return the known failures that a text lists; `path` is what messages call it.

    Raises BaselineError for what is not TOML, not a baseline, newer than this headcheck, or not as expected.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BaselineError(
            f"{path} is not TOML: {error}; expected what `headcheck baseline write` makes"
        ) from None
    version = document.get("format_version")
    if document.get("format") != FORMAT or type(version) is not int:
        raise BaselineError(
            f'{path} has no format = "{FORMAT}"; expected what `headcheck baseline write` makes'
        )
    if version > FORMAT_VERSION:
        raise BaselineError(
            f"{path} has format_version {version}, and this headcheck reads {FORMAT_VERSION}: upgrade it"
        )
    tables = document.get("failure", [])
    if unknown := sorted(document.keys() - {"format", "format_version", "failure"}):
        raise BaselineError(f"{path}: unknown key {unknown[0]!r}; expected tables [[failure]]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BaselineError(f"{path}: failure is no list of tables; expected [[failure]] before each")
    entries = [_entry(table, f"{path}: failure {number}") for number, table in enumerate(tables, 1)]
    seen: dict[tuple[str, ...], int] = {}
    for number, entry in enumerate(entries, 1):
        if (first := seen.setdefault(entry.key, number)) != number:
            raise BaselineError(
                f"{path}: failures {first} and {number} are on the same {entry.requirement}; keep one"
            )
    return Baseline(tuple(sorted(entries, key=lambda entry: entry.key)), path)


def read(path: str | Path) -> Baseline:
    """Return the known failures that a file lists; BaselineError where it cannot be used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BaselineError(
            f"{path} is not UTF-8 text; expected what `headcheck baseline write` makes"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BaselineError(f"cannot read {path}: {reason}; `headcheck baseline write` makes one") from None
    return loads(text, str(path))


def _entry(table: Mapping[str, Any], where: str) -> Entry:
    """Return the entry that a table describes."""
    for name, value in table.items():
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(_FIELDS)}"
            raise BaselineError(f"{where} has an unknown key {name!r}; {hint}")
        if not isinstance(value, _FIELDS[name]) or isinstance(value, datetime):
            words = {str: "text", date: "a date like 2027-01-31", dict: "a table"}[_FIELDS[name]]
            raise BaselineError(f"{where}: {name} is {value!r}; expected {words}")
    for name in ("subject", "requirement", "kind"):
        if not table.get(name):
            raise BaselineError(f"{where} has no {name}; expected subject, requirement and kind in each")
    if table["kind"] not in KINDS:
        raise BaselineError(f"{where}: kind is {table['kind']!r}; expected one of {', '.join(KINDS)}")
    for name, value in table.get("when", {}).items():
        if name not in {"dtype", "device"} or not isinstance(value, str):
            raise BaselineError(f"{where}: when has {name} = {value!r}; expected dtype or device, as text")
    return Entry(**table)


def _escaped(character: str) -> str:
    """Return a character, or the escape of one that is invisible or turns text around."""
    if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp"}:
        return character
    return f"\\U{ord(character):08X}"


def _toml(value: Any) -> Any:
    """Return a value as tomlkit writes it: tables on one line, text without lone surrogates."""
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, item in value.items():
            if item is not None:
                table.append(_toml(str(name)), _toml(item))
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        for item in value:
            array.append(_toml(item))
        return array
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value
