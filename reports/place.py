"""Where a subject is written, as tools that show a repository want it: a path from its root, and a line."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from .plain import one_line


@dataclass(frozen=True)
class Place:
    """A line of a file.  `inside` says whether the file belongs to the repository."""

    path: str
    line: int
    inside: bool


def place(source: str, name: str = "unknown") -> Place:
    """Return where a recorded "path:line" is, seen from the root of the repository.

    A run records a relative path for what lies in the repository.  What lies outside gets a path no
    repository has, because consumers insist on one: that within site-packages for an installed library,
    otherwise the name of the file, or `name` where nothing is known.
    """
    fallback = re.sub(r"[^\w.:-]+", "-", one_line(name, 200)).strip("-.") or "unknown"
    path, _, line = source.rpartition(":") if re.search(r":\d+$", source) else (source, "", "1")
    path, number = path.replace("\\", "/"), max(1, int(line[:9]))
    relative = posixpath.normpath(path)
    absolute = relative.startswith("/") or re.match(r"[A-Za-z]:", relative)
    installed = re.search(r"(?:site|dist)-packages/.*", relative)
    if path.strip() and not absolute and not installed and not re.match(r"\.\.?(/|$)", relative):
        return Place(one_line(relative, 1000), number, inside=True)
    outside = one_line(installed[0] if installed else posixpath.basename(path), 1000)
    return Place(outside, number, inside=False) if outside else Place(fallback, 1, inside=False)
