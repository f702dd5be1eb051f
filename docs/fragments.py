"""The parts of pages that are read off the code: tables, constants, and the schema of a results file."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import click
from headcheck.adapters import declared
from headcheck.cases import Case
from headcheck.cli import run as run_command
from headcheck.engine import COMPILED
from headcheck.families.dropout import FALSE_ALARM
from headcheck.families.masks import LARGEST_SCORE
from headcheck.pool import ALPHABET, PROFILES
from headcheck.reference import bound
from headcheck.reference.dtypes import FORMATS
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reference.styles.catalogue import STYLES
from headcheck.reports.outputs import FORMATS as OUTPUTS
from headcheck.reports.outputs import renderer
from headcheck.reports.words import SIGNS
from headcheck.selftest import Trial
from headcheck.specification import FAMILIES, named, specification
from headcheck.verdicts import BROKEN, Status

from . import selftest
from .catalogue import described_capabilities, prose, table


def fragments() -> dict[str, str]:
    """Return what `{{ name }}` stands for in the pages."""
    return {
        "requirements": str(len(specification())),
        "families": str(len(FAMILIES)),
        "faults": str(len(FAULTS)),
        "wrong_classes": str(sum(len(fault.frameworks) for fault in FAULTS)),
        "styles": str(len(STYLES)),
        "trials": trials(),
        "verdicts": verdicts(),
        "profiles": profiles(),
        "settings": settings(),
        "outputs": outputs(),
        "schema": schema(),
        "capabilities": capabilities(),
        "class_attribute": class_attribute(),
        "formats": formats(),
        "alphabet": alphabet(),
        "smoke_shapes": str(PROFILES["smoke"].shapes),
        "compiled_shapes": str(COMPILED),
        "deviations": f"{bound.K:g}",
        "noisy_runs": str(bound.RUNS),
        "shared_variance": f"{bound.SHARED:g}",
        "unresolved": f"{bound.UNRESOLVED:g}",
        "largest_score": f"{LARGEST_SCORE:.0e}".replace("e+0", "e"),
        "false_alarm": f"{FALSE_ALARM:.0e}".replace("e-0", "e-"),
    }


def verdicts() -> str:
    """Return the table of what a requirement's verdict can be."""
    rows = [
        (
            f"{sign.glyph} {status.value}",
            prose(sign.meaning),
            "yes" if status in BROKEN else STRICT.get(status, "no"),
        )
        for status, sign in SIGNS.items()
    ]
    return "\n".join(table(("verdict", "meaning", "fails the run"), rows))


STRICT: Mapping[Status, str] = {Status.DEVIATES: "under `--strict`", Status.HARNESS_ERROR: "exit status 3"}


def profiles() -> str:
    """Return the table of profiles."""
    rows = [
        (
            f"`{profile.name}`",
            f"{profile.shapes} of {len(ALPHABET)}",
            str(profile.drawn),
            f"{profile.shrink_calls} calls or {profile.shrink_seconds:g} s",
            "yes" if profile.full else "no",
        )
        for profile in PROFILES.values()
    ]
    header = ("profile", "shapes", "cases drawn beyond them", "shrinking a failure", 'may say "conformant"')
    return "\n".join(table(header, rows))


def settings() -> str:
    """Return the table of what a settings file and the environment may hold."""
    context = click.Context(run_command.command, info_name="headcheck run")
    rows = [
        (
            f"`{option.name}`",
            f"`HEADCHECK_{option.name.upper()}`",
            f"`{', '.join(option.opts)}`",
            prose((option.get_help_record(context) or ("", ""))[1].partition("  [")[0]),
        )
        for option in run_command.command.params
        if isinstance(option, click.Option) and option.name and option.name != "help"
    ]
    return "\n".join(table(("setting", "environment", "option", "meaning"), rows))


def outputs() -> str:
    """Return the table of formats that `--output FORMAT=FILE` writes."""
    rows = [(f"`{name}`", prose(_what(renderer(name)))) for name in OUTPUTS]
    return "\n".join(table(("format", "what it is"), rows))


def _what(function: Callable[..., str]) -> str:
    """Return what a function returns, as the first sentence of its docstring says it."""
    said = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ").removeprefix("Return ")
    return said[:1].upper() + said[1:]


def capabilities() -> str:
    """Return the table of capabilities, with the requirements that need each."""
    rows = [(f"`{name}`", prose(words), _needing(name)) for name, words in described_capabilities().items()]
    return "\n".join(table(("capability", "meaning", "needed by"), rows))


def _needing(capability: str) -> str:
    ids = [one.id for one in specification() if capability in one.info.needs]
    if len(ids) > 9:
        return f"{len(ids)} requirements"
    return ", ".join(f"[{id}](../requirements/{id}.md)" for id in ids)


def class_attribute() -> str:
    """Return the keys of the class attribute `headcheck`, as its module describes them."""
    described = (inspect.getdoc(declared) or "").partition("Every key is optional:\n\n")[2]
    rows = [line.strip().partition(" ") for line in described.splitlines() if line.strip()]
    return "\n".join(
        table(("key", "meaning"), ((f"`{key}`", prose(words.strip())) for key, _, words in rows))
    )


def formats() -> str:
    """Return the table of number formats."""
    rows = [
        (
            f"`{form.name}`",
            *(f"{value:.3g}" for value in (form.unit, form.accumulation, form.smallest, form.largest)),
        )
        for form in FORMATS.values()
    ]
    return "\n".join(table(("dtype", "unit roundoff", "of its sums", "smallest", "largest"), rows))


def alphabet() -> str:
    """Return the table of shapes that all requirements share."""
    rows = [
        (
            *map(str, (case.batch, case.n_q, case.n_k, case.num_heads, case.d_k, case.d_model)),
            ", ".join(_coincidences(case)) or "all distinct",
        )
        for case in ALPHABET
    ]
    return "\n".join(table(("B", "n_q", "n_k", "h", "d_k", "d", "what coincides"), rows))


def _coincidences(case: Case) -> Iterator[str]:
    """Yield which sizes of a case are equal, as chains like B = h."""
    named_sizes = case.sizes | {"d_k": case.d_k, "d": case.d_model}
    if case.itself:
        yield "query, key and value are one array"
        del named_sizes["n_k"]
    for size in dict.fromkeys(named_sizes.values()):
        names = [name for name, value in named_sizes.items() if value == size]
        if len(names) > 1:
            yield " = ".join(names)


def trials() -> str:
    """Return the table of the suite's own trials, a line a family, from the page that is kept."""
    kept = selftest.kept().trials.values()
    faults = [trial for trial in kept if trial.meant]
    rows = []
    for family in FAMILIES:
        of_family = [trial for trial in faults if named(trial.meant).info.family == family]
        cells = [_caught([one for one in of_family if one.framework == name]) for name in selftest.FRAMEWORKS]
        rows.append((family, *cells))
    rows.append(
        ("all", *(_caught([one for one in faults if one.framework == f]) for f in selftest.FRAMEWORKS))
    )
    right = [trial for trial in kept if not trial.meant]
    peace = [[one for one in right if one.framework == name] for name in selftest.FRAMEWORKS]
    rows.append(("right styles left in peace", *map(_caught, peace)))
    return "\n".join(table(("faults of", *selftest.FRAMEWORKS), rows))


def _caught(tried: Sequence[Trial]) -> str:
    return f"{sum(one.good for one in tried)} of {len(tried)}" if tried else "–"


def schema() -> str:
    """Return the fields of a results file, object by object."""
    document = json.loads(files("headcheck").joinpath("results.schema.json").read_text("utf-8"))
    parts = [document["description"], "", *_fields(document)]
    for name, definition in document["$defs"].items():
        parts += ["", f"## {name}", "", definition["description"], "", *_fields(definition)]
    return "\n".join(parts)


def _fields(definition: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in definition:
        return
    required = definition.get("required", ())
    rows = [
        (f"`{name}`", _type(field), "yes" if name in required else "", prose(field["description"]))
        for name, field in definition["properties"].items()
    ]
    yield from table(("field", "type", "always there", "what it holds"), rows)


def _type(field: Mapping[str, Any]) -> str:
    """Return the type of a field in a few words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), Mapping):
        of = field["additionalProperties"]
        return f"{_type(of)} by name" if of else "object"
    named = field.get("type", "any")
    return named if isinstance(named, str) else " or ".join(named)
