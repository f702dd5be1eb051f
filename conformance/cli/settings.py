"""Settings from `[tool.headcheck]` of pyproject.toml, or from headcheck.toml.

The command line stands over the environment (HEADCHECK_PROFILE, ...), which stands over the file.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from .usage import Misuse


def settings(directory: Path, parameters: Iterable[click.Parameter]) -> dict[str, Any]:
    """Return the settings of the nearest file at or above a directory, by the names of the parameters.

    A setting is written like its option, with - or _.  Misuse where one is unknown or cannot be.
    """
    for folder in (directory, *directory.parents):
        for name in ("headcheck.toml", "pyproject.toml"):
            path = folder / name
            if path.is_file():
                found = _read(path)
                tool = found if name == "headcheck.toml" else found.get("tool")
                table = tool.get("headcheck") if name == "pyproject.toml" and isinstance(tool, dict) else tool
                if table is not None:
                    return _checked(table, {_written(one): one for one in parameters}, path)
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misuse(f"{path} cannot be read as TOML: {error}") from None


def _checked(table: Any, known: Mapping[str, click.Parameter], path: Path) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise Misuse(f"{path}: [tool.headcheck] is {table!r}; expected a table of settings")
    settings = {}
    for key, value in table.items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None:
            near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}"
            raise Misuse(f"{path}: no setting {key!r}; {hint}")
        settings[str(parameter.name)] = _value(value, parameter, f"{path}: {key}")
    return settings


def _written(parameter: click.Parameter) -> str:
    """Return what a setting is called: its option's name."""
    return parameter.opts[0].lstrip("-")


def _value(value: Any, parameter: click.Parameter, where: str) -> Any:
    """Return a setting's value; Misuse where its option could not have it."""
    several = parameter.nargs == -1 or parameter.multiple
    values = value if several and isinstance(value, list) else [value]
    kinds, words = _kind(parameter)
    if not all(type(one) in kinds for one in values):
        raise Misuse(f"{where} is {value!r}; expected {f'a list of {words}' if several else words}")
    try:
        for one in values:
            parameter.type.convert(one, parameter, None)
    except click.BadParameter as error:
        raise Misuse(f"{where}: {error.message}") from None
    return values if several else value


def _kind(parameter: click.Parameter) -> tuple[tuple[type, ...], str]:
    """Return the types that a setting's value may have, and their name."""
    if isinstance(parameter.type, click.types.BoolParamType):
        return (bool,), "true or false"
    if isinstance(parameter.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(parameter.type, click.types.FloatParamType):
        return (int, float), "a number"
    return (str,), "text"
