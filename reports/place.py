"""Where a subject is written, as tools that show a repository want it: a path from its root, and a line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .plain import one_line


@dataclass(frozen=True)
class Place:
    """A line of a file.  `inside` says whether the file belongs to the repository."""

    path: str
    line: int
    inside: bool


def repository(start: Path | None = None) -> str:
    """Return the root of the repository around a folder (the working directory): where its .git is."""
    here = (start or Path.cwd()).absolute()
    return str(next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here))


def place(source: str, root: str, name: str = "unknown") -> Place:
    """Return where "path:line" is, seen from the root of the repository.

    What lies outside gets a path no repository has, because consumers insist on one: that within
    site-packages for an installed library, otherwise the name of the file, or `name` where nothing is known.
    """
    fallback = re.sub(r"[^\w.:-]+", "-", one_line(name, 200)).strip("-.") or "unknown"
    path, _, line = source.rpartition(":") if re.search(r":\d+$", source) else (source, "", "1")
    path, number = path.replace(os.sep, "/"), max(1, int(line[:9]))
    seen = os.path.relpath(path, root) if os.path.isabs(path) else os.path.normpath(path)
    relative = seen.replace(os.sep, "/")
    if path.strip() and not re.match(r"\.\.?(/|$)", relative) and "site-packages/" not in relative:
        return Place(one_line(relative, 1000), number, inside=True)
    installed = re.search(r"(?:site|dist)-packages/.*", path)
    outside = one_line(installed[0] if installed else PurePosixPath(path).name, 1000)
    return Place(outside, number, inside=False) if outside else Place(fallback, 1, inside=False)
