"""The results file: a run as one strict, versioned JSON document, and back.

    {"format": "headcheck-results", "format_version": 1, ..., "footer": {"complete": true, "verdicts": 104}}

`results.schema.json` describes every field.  The footer stands last, so that a file that was cut short is
told from a whole one.  JSON has no NaN and no infinity: a number that is not finite is the string "nan",
"inf" or "-inf"; where any JSON value may stand (a case, a measurement), it is {"number": "nan"} instead, so
that a word is never taken for a number.  Reading what was written gives the same run again, but for tuples
inside a case or a measurement, which come back as lists, and lone surrogates, which no reader agrees on and
which are written out as "\\udc80".
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from . import __version__
from .verdicts import Run

FORMAT = "headcheck-results"
FORMAT_VERSION = 1
_FREE = frozenset({"case", "measured"})  # fields that hold any JSON value
_ARRAYS = frozenset({"expected", "actual", "bound"})
_NOT_FINITE = ("nan", "inf", "-inf")
_EXPECTED = "expected a file that `headcheck run --json FILE` wrote"


class RecordError(Exception):
    """A results file that cannot be used: what was given, what was expected and what to do, in one line."""


def dumps(run: Run) -> str:
    """Return the run as the text of a results file, one subject, requirement or verdict a line."""
    recorded = _encode(run)
    footer = {"complete": recorded.pop("complete"), "verdicts": len(run.verdicts)}
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **recorded, "footer": footer}
    return (
        "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in document.items()) + "\n}\n"
    )


def loads(text: str, name: str = "the results") -> Run:
    """Return the run that a results file describes; `name` is what messages call the file.

    Raises RecordError for what is not JSON, not a results file, cut short, newer than this headcheck or
    against the schema.
    """
    document = _parsed(text, name)
    _known_format(document, name)
    footer = document.pop("footer", None)
    if footer is None:
        raise RecordError(f"{name} has no footer, so it was cut short; run headcheck again to write it whole")
    _valid({**document, "footer": footer}, name)
    if len(document["verdicts"]) != footer["verdicts"]:
        raise RecordError(
            f"{name} holds {len(document['verdicts'])} verdicts, but its footer counts {footer['verdicts']}: "
            f"it was cut short or edited; run headcheck again to write it whole"
        )
    del document["format"], document["format_version"]
    run: Run = _decode(Run, {**document, "complete": footer["complete"]})
    _coherent(run, name)
    return run


def read(path: str | Path) -> Run:
    """Return the run that the results file at `path` describes; RecordError where it cannot be used."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RecordError(f"{path} is not UTF-8 text; {_EXPECTED}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordError(f"cannot read {path}: {reason}; {_EXPECTED}") from None
    return loads(text, str(path))


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema (2020-12) of a results file."""
    text = files("headcheck").joinpath("results.schema.json").read_text(encoding="utf-8")
    described: Mapping[str, Any] = json.loads(text)
    return described


def _encode(value: Any, free: bool = False) -> Any:
    """Return a value as JSON has it; where any value may stand, a number that is not finite is wrapped."""
    if is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name), free=f.name in _FREE) for f in fields(value)}
    if isinstance(value, Mapping):
        return {_text(str(key)): _encode(item, free) for key, item in value.items()}
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(float(value))} if free else str(float(value))
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, tuple | list):
        return [_encode(item, free) for item in value]
    if hasattr(value, "tolist"):  # an array or a scalar of whatever library
        return _encode(value.tolist(), free)
    raise TypeError(f"a results file holds numbers, text, lists and mappings, not {type(value).__name__}")


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def _decode(hint: Any, value: Any) -> Any:
    """Return the value that the JSON stands for, by the type its field declares."""
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None:
        return None
    if origin in {Union, types.UnionType}:
        return _decode(next(argument for argument in arguments if argument is not types.NoneType), value)
    if origin is tuple:
        return tuple(_decode(arguments[0], item) for item in value)
    if origin is Mapping:
        return {
            key: _free(item) if arguments[1] is Any else _decode(arguments[1], item)
            for key, item in value.items()
        }
    if hint is Any:
        return [_decode(Any, item) for item in value] if isinstance(value, list) else _number(value)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _decode(hints[name], item) for name, item in value.items()})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return _number(value) if hint is float else value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _free(value: Any) -> Any:
    if isinstance(value, list):
        return [_free(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"number"} and value["number"] in _NOT_FINITE:
            return float(value["number"])
        return {key: _free(item) for key, item in value.items()}
    return value


def _lines(value: Any) -> str:
    """Return JSON text with every object of a list on a line of its own."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(item, allow_nan=False) for item in value) + "\n]"
    return json.dumps(value, allow_nan=False)


def _parsed(text: str, name: str) -> Any:
    if not text.strip():
        raise RecordError(f"{name} is empty; {_EXPECTED}")

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        ours = FORMAT in text[:200]
        if ours and not ('"footer"' in text[-300:] and text.rstrip().endswith("}")):
            raise RecordError(
                f"{name} was cut short after {len(text)} characters; run headcheck again to write it whole"
            ) from None
        what = "is damaged" if ours else "is not JSON"
        raise RecordError(f"{name} {what} ({error or 'nested too deeply'}); {_EXPECTED}") from None


def _known_format(document: Any, name: str) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RecordError(f'{name} is {_described(document)}, not "format": "{FORMAT}"; {_EXPECTED}')
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise RecordError(
            f"{name} has format_version {version}, by headcheck {_shown(document.get('headcheck'))}; this is "
            f"headcheck {__version__} and reads up to {FORMAT_VERSION}: upgrade it, or run headcheck again"
        )


def _described(document: Any) -> str:
    """Return what some other JSON seems to be."""
    if not isinstance(document, dict):
        return f"a JSON {'list' if isinstance(document, list) else 'value'}"
    if "format" in document:
        return f'"format": {_shown(document["format"])}'
    keys = ", ".join(_shown(key) for key in list(document)[:4])
    return f"a JSON object with {keys or 'nothing in it'}"


def _valid(document: Any, name: str) -> None:
    from jsonschema import Draft202012Validator  # not loaded to write results
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema()).iter_errors(_without_arrays(document)))
    if error is None:
        return
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    match error.validator:
        case "additionalProperties":
            unknown = (key for key in error.instance if key not in error.schema.get("properties", {}))
            what = f"has {', '.join(_shown(key) for key in unknown)}, which is unknown"
        case "required":
            missing = (key for key in error.validator_value if key not in error.instance)
            what = f"lacks {', '.join(_shown(key) for key in missing)}"
        case "enum":
            what = f"is {_shown(error.instance)}, none of {', '.join(map(str, error.validator_value))}"
        case "type":
            what = f"is {_shown(error.instance)}, not of type {error.validator_value}"
        case _:
            what = f"is {_shown(error.instance)}, against {error.validator} {_shown(error.validator_value)}"
    raise RecordError(
        f"{name} is not as results.schema.json has it: {where.lstrip('.') or 'the document'} {what} (written "
        f"by headcheck {_shown(document.get('headcheck'))}, this is {__version__}); run headcheck again"
    )


def _without_arrays(value: Any) -> Any:
    """Return a document without its well-formed arrays, which a general validator takes seconds over."""
    if isinstance(value, dict):
        return {
            key: None if key in _ARRAYS and _is_array(item) else _without_arrays(item)
            for key, item in value.items()
        }
    return [_without_arrays(item) for item in value] if isinstance(value, list) else value


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_array, value))
    return value is None or isinstance(value, int | float) or value in _NOT_FINITE


def _coherent(run: Run, name: str) -> None:
    """Refuse a verdict on what the file does not describe, and two verdicts on one pair."""
    subjects, requirements = {s.name for s in run.subjects}, {r.id for r in run.requirements}
    judged: set[tuple[str, str]] = set()
    for verdict in run.verdicts:
        pair = verdict.subject, verdict.requirement
        if verdict.subject not in subjects:
            problem = f"a verdict is on {_shown(verdict.subject)}, which is none of its subjects"
        elif verdict.requirement not in requirements:
            problem = f"a verdict is on {_shown(verdict.requirement)}, which is none of its requirements"
        elif pair in judged:
            problem = f"{_shown(verdict.requirement)} is judged twice on {_shown(verdict.subject)}"
        else:
            judged.add(pair)
            continue
        raise RecordError(f"{name} contradicts itself: {problem}; run headcheck again to write it")


def _shown(value: Any, limit: int = 60) -> str:
    """Return foreign JSON as a short, printable piece of a message."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
