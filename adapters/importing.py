"""From a reference, `package.module:Name` or `path/to/file.py:Name`, to the object that it names.

Whatever is wrong with a reference is a `SubjectError` of one or two lines.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from dis import opname
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from zlib import crc32

from .protocol import Adapter, SubjectError

FORMS = "package.module:Name, path/to/file.py:Name or a built-in name (headcheck list)"
T = TypeVar("T")
GLOB = frozenset("*?[")


def named(reference: str) -> Any:
    """Return the object that a reference names; dots after the colon lead into classes."""
    place, name = parted(reference)
    value: Any = imported(place)
    for i, part in enumerate(parts := name.split(".")):
        if not hasattr(value, part):
            known = [attribute for attribute in vars(value) if not attribute.startswith("_")]
            inside = ".".join([place, *parts[:i]]) if i else place
            raise SubjectError(f"{reference}: {inside} has no {part!r}.{nearest(part, known)}")
        value = getattr(value, part)
    return value


def matching(reference: str) -> list[str]:
    """Return a reference for every class defined in the module that matches and can be called like one.

    A class that only stands imported there is left out.
    """
    place, pattern = parted(reference)
    module = imported(place)
    classes = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and _attends(value)
    ]
    found = [name for name in classes if fnmatchcase(name, pattern)]
    if not found:
        raise SubjectError(
            f"{reference}: no class of {place} matches {pattern!r}; expected one with forward or __call__. "
            f"There is: {', '.join(classes) or 'none'}."
        )
    return [f"{place}:{name}" for name in found]


def parted(reference: str) -> tuple[str, str]:
    """Return the module or file of a reference, and the name in it."""
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise SubjectError(f"{reference!r} is not a subject; expected {FORMS}.")
    return place, name


def is_glob(reference: str) -> bool:
    """Return whether a reference may name several classes."""
    return bool(GLOB & {*reference.rpartition(":")[2]})


def imported(place: str) -> ModuleType:
    """Import a module by its name or a file by its path."""
    if place.endswith(".py") or "/" in place or os.sep in place:
        return _from_file(Path(place))
    with _on_path(os.getcwd()):
        try:
            known = find_spec(place) is not None
        except (ValueError, AttributeError):
            known = False
        except BaseException as error:  # importing the package around it ran into this
            lacks = error.name if isinstance(error, ModuleNotFoundError) else None
            if lacks is None or not f"{place}.".startswith(f"{lacks}."):
                raise _failed(place, error) from None
            known = False
        if not known:
            hint = f" For a file, write {place}.py:Name." if Path(f"{place}.py").exists() else ""
            raise SubjectError(
                f"{place}: no such module. Expected one that can be imported from {os.getcwd()} or is "
                f"installed.{hint or nearest(place, sys.modules, 0.8)}"
            )
        return _run(place, lambda: import_module(place))


def statements(reference: str, implementation: Any) -> list[str]:
    """Return lines of Python that import an implementation from where the reference says it is.

    Raises:
        SubjectError: it was made inside of a function, where no script can import it from.
    """
    name = name_of(reference, implementation)
    if "<" in name:
        raise SubjectError(f"{reference}: was made inside of a function; no script can import it.")
    place = reference.rpartition(":")[0] or implementation.__module__
    path = Path(place)
    if place == "__main__":
        path = Path(getattr(sys.modules["__main__"], "__file__", ""))
    top = name.partition(".")[0]
    if path.suffix != ".py":
        return _from(place, top)
    folder, dotted = _package(path)
    if folder == path.parent and (_taken(path) or not _spelt(dotted)):
        return [
            "import runpy",
            "import sys",
            f"sys.path.append({str(folder)!r})",  # last, lest the file be taken for the module of its name
            f"{top} = runpy.run_path({str(path)!r})[{top!r}]",
        ]
    return ["import sys", f"sys.path.insert(0, {str(folder)!r})", *_from(dotted, top)]


def _from(dotted: str, name: str) -> list[str]:
    """Return the lines that import a name from a module, whose own need not be an identifier."""
    if _spelt(dotted):
        return [f"from {dotted} import {name}"]
    return ["from importlib import import_module", f"{name} = import_module({dotted!r}).{name}"]


def _spelt(dotted: str) -> bool:
    """Return whether an import statement can spell the name of a module."""
    return all(part.isidentifier() and not iskeyword(part) for part in dotted.split("."))


def _taken(path: Path) -> bool:
    """Return whether the name of a file is that of a module elsewhere, which an import may find instead."""
    if path.stem in sys.stdlib_module_names:
        return True
    try:
        spec = find_spec(path.stem)
    except (ValueError, ImportError):  # a module that says nothing of where it is from; a dotted name
        return True
    return spec is not None and Path(spec.origin or "").resolve() != path.resolve()


def name_of(reference: str, implementation: Any) -> str:
    """Return the name of an implementation in the module that it is imported from."""
    written = reference.rpartition(":")[2] if ":" in reference else ""
    return written or str(getattr(implementation, "__qualname__", "<partial>"))


def source_of(implementation: Any) -> str:
    """Return "path:line" of a class or function; "" where it has no source."""
    try:
        return f"{inspect.getsourcefile(implementation)}:{inspect.getsourcelines(implementation)[1]}"
    except (OSError, TypeError):
        return ""


def _package(path: Path) -> tuple[Path, str]:
    """Return the folder to import a file from, and its name: dotted where the file belongs to a package."""
    folder, dotted = path.parent, path.stem
    while (folder / "__init__.py").exists():
        folder, dotted = folder.parent, f"{folder.name}.{dotted}"
    return folder, dotted


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        folder = path.parent
        names = [entry.name for entry in folder.glob("*.py")] if folder.is_dir() else []
        what = "is a folder" if path.is_dir() else "no such file"
        raise SubjectError(f"{path}: {what}; expected a Python file.{nearest(path.name, names)}")
    path = path.resolve()
    folder, dotted = _package(path)  # as part of its package, a file may import siblings
    with _on_path(str(folder)):
        if folder != path.parent:
            return _run(str(path), lambda: import_module(dotted))
        # A name of its own: the user's attention.py must not be taken for an installed module.
        name = f"{path.stem}_{crc32(str(path).encode()):08x}"
        if name in sys.modules:
            return sys.modules[name]
        spec = spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise SubjectError(f"{path}: cannot be imported; expected a Python file.")
        module, loader = module_from_spec(spec), spec.loader
        sys.modules[name] = module
        try:
            _run(str(path), lambda: loader.exec_module(module))
        except SubjectError:
            del sys.modules[name]
            raise
        return module


def _run(place: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except BaseException as error:  # a module may call sys.exit() or raise KeyboardInterrupt, too
        raise _failed(place, error) from None


def is_the_users(error: BaseException) -> bool:
    """Return whether an exception is Ctrl-C: a KeyboardInterrupt that no raise statement raised."""
    trace = error.__traceback__ if isinstance(error, KeyboardInterrupt) else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace is not None and opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] != "RAISE_VARARGS"


def _failed(place: str, error: BaseException) -> BaseException:
    if is_the_users(error):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name and not f"{place}.".startswith(f"{error.name}."):
        needed = error.name.partition(".")[0]
        return SubjectError(f"{place}: importing it needs {needed!r}, which is not installed. Install it.")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    where = next((f" ({f.filename}:{f.lineno})" for f in reversed(frames) if f.filename != __file__), "")
    if isinstance(error, SyntaxError) and error.lineno:
        where = f" ({error.filename}:{error.lineno})"
    message = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".strip(": ")
    return SubjectError(f"{place}: importing it raised {message}{where}. Expected a module that imports.")


@contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """Put a folder first on sys.path while something is imported from it."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _attends(value: type) -> bool:
    return issubclass(value, Adapter) or any(
        "forward" in vars(c) or "__call__" in vars(c) for c in value.__mro__[:-1]
    )


def nearest(name: str, known: Iterable[str], likeness: float = 0.5) -> str:
    """Return " Did you mean ...?" with the known name that looks most like this one; "" where none does."""
    near = get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f" Did you mean {near[0]}?" if near else ""
