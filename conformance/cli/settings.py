"""Settings from `[tool.headcheck]` of pyproject.toml, or from headcheck.toml.

The command line stands over the environment (HEADCHECK_PROFILE, ...), which stands over the file.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .usage import Misuse


def settings(directory: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the settings of the nearest file at or above a directory; Misuse where they are wrong.

    `known` are the names of options; a setting is written like its option, with - or _.
    """
    for folder in (directory, *directory.parents):
        for name in ("headcheck.toml", "pyproject.toml"):
            path = folder / name
            if path.is_file():
                found = _read(path)
                table = found if name == "headcheck.toml" else found.get("tool", {}).get("headcheck")
                if table is not None:
                    return _checked(table, known, path)
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misuse(f"{path} cannot be read as TOML: {error}") from None


def _checked(table: Any, known: Collection[str], path: Path) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise Misuse(f"{path}: [tool.headcheck] is {type(table).__name__}; expected a table of settings")
    settings = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Misuse(f"{path}: no setting {key!r}{hint} Known: {', '.join(sorted(known))}.")
        settings[name] = value
    return settings
