"""From a subject, as a person names or passes it, to the adapter that drives it.

A subject is a built-in name, `package.module:Name` or `path/to/file.py:Name`; what it names is a class, a
function that makes a module, or an `Adapter` of the user's own.  Frameworks are not imported to find out
which one a class belongs to: its own module has done that already.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dis import get_instructions
from functools import partial
from importlib.util import find_spec
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .built_in import BUILT_IN, installed
from .discovery import advice, constructor, constructor_values
from .importing import FORMS, is_glob, matching, named, nearest
from .protocol import Adapter, Build, SubjectError

__all__ = ["BUILT_IN", "adapt", "expand", "installed", "load"]

FRAMEWORKS = ("torch", "equinox", "flax", "haiku", "keras", "tensorflow", "mlx", "paddle", "jax", "numpy")
DRIVEN = {
    "torch": "torch",
    "jax": "jax",
    "flax": "jax",
    "equinox": "jax",
    "numpy": "numpy",
}  # by which adapter
DERIVED = {"torch.nn.modules.activation:MultiheadAttention": BUILT_IN["torch.nn:MultiheadAttention"].target}


def expand(reference: str) -> list[str]:
    """Return the subjects that a reference stands for; only a glob after the colon imports anything."""
    return matching(reference) if reference not in BUILT_IN and is_glob(reference) else [reference]


def load(reference: str) -> Adapter:
    """Return the adapter of a subject; SubjectError says what was given, what was expected, what to do."""
    entry = BUILT_IN.get(reference)
    if entry:
        if not find_spec(entry.module):
            raise SubjectError(
                f"{reference}: {entry.module} is not installed. Install it: headcheck[{entry.module}]."
            )
        return adapt(named(entry.target), reference)
    if ":" not in reference:
        raise SubjectError(f"{reference!r} is not a subject; expected {FORMS}.{nearest(reference, BUILT_IN)}")
    return adapt(named(reference), reference)


def adapt(subject: Any, reference: str = "") -> Adapter:
    """Return the adapter of an object: itself, if it is one."""
    if isinstance(subject, Adapter):
        return subject
    reference = (
        reference or f"{getattr(subject, '__module__', '?')}:{getattr(subject, '__qualname__', subject)}"
    )
    if isinstance(subject, type) and issubclass(subject, Adapter):
        return _made(subject, reference)
    if not isinstance(subject, type | FunctionType | partial):
        kind = type(subject).__name__
        raise SubjectError(
            f"{reference}: is of type {kind}; expected a class, a function that makes one, or an Adapter."
            + (f" Give the class {kind} itself." if hasattr(subject, "forward") else "")
        )
    for base in getattr(subject, "__mro__", ()):
        target = DERIVED.get(f"{base.__module__}:{base.__qualname__}")
        if target and _called_alike(subject, base):
            return _made(named(target), reference, subject, reference)
    framework = framework_of(subject)
    if framework == "numpy" and not isinstance(subject, type):
        framework = framework_of(_product(subject, reference))
    if framework == "haiku" and framework not in _homes(subject):  # a class that holds transformed functions
        framework = "jax"
    if framework not in DRIVEN:
        raise SubjectError(
            f"{reference}: is made with {framework}; expected PyTorch, JAX or NumPy.\n{advice(reference)}"
        )
    return _made(
        named(f"headcheck.adapters.on_{DRIVEN[framework]}:ClassAdapter"), reference, subject, reference
    )


def _called_alike(subject: Any, base: Any) -> bool:
    """Return whether what a class calls forward takes all that its base's does."""
    listed = inspect.signature(subject.forward).parameters
    everything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in listed.values())
    return everything or {*inspect.signature(base.forward).parameters} <= {*listed}


def framework_of(implementation: Callable[..., Any]) -> str:
    """Return the framework of a class by its bases, of a plain class or a function by what its code uses."""
    used = set(_tops(implementation, set()))
    return next((framework for framework in FRAMEWORKS if framework in used), "numpy")


def _product(factory: Callable[..., Any], reference: str) -> Any:
    """Return the class of what a function makes; the function where that fails, as its adapter will say."""
    try:
        positional, keywords = constructor(factory, reference).arguments(constructor_values(Build(8, 2)))
        return type(factory(*positional, **keywords))
    except Exception:
        return factory


def _tops(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield the top-level modules that an object and the global objects named in its code come from."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, ModuleType):
        yield value.__name__.partition(".")[0]
        return
    bases = value.__mro__[:-1] if isinstance(value, type) else (value,)
    tops = _homes(value)
    yield from tops
    if isinstance(value, partial):
        yield from _tops(value.func, seen)
    elif isinstance(value, type) and not {*tops} & {*FRAMEWORKS}:
        for function in (member for base in bases for member in vars(base).values()):
            if isinstance(function, FunctionType):
                yield from _tops(function, seen)
    elif isinstance(value, FunctionType) and not {*tops} & {*FRAMEWORKS}:
        for used in _globals_in(value):
            yield from _tops(used, seen)


def _homes(value: Any) -> list[str]:
    """Return the top-level modules in which an object, or a class and its bases, are defined."""
    bases = value.__mro__[:-1] if isinstance(value, type) else (value,)
    return [str(getattr(base, "__module__", None)).partition(".")[0] for base in bases]


def _globals_in(function: FunctionType) -> Iterator[Any]:
    names, codes = set[str](), [function.__code__]
    while codes:
        code = codes.pop()
        names |= {step.argval for step in get_instructions(code) if step.opname == "LOAD_GLOBAL"}
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    yield from (function.__globals__[name] for name in names if name in function.__globals__)
    yield from inspect.getclosurevars(function).nonlocals.values()


def _made(adapter: Callable[..., Adapter], reference: str, *arguments: Any) -> Adapter:
    try:
        made = adapter(*arguments)
    except SubjectError:
        raise
    except Exception as error:
        raise SubjectError(
            f"{reference}: making the adapter raised {type(error).__name__}: {error}. "
            "Expected an Adapter that is made without arguments."
        ) from None
    return made
