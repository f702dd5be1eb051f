"""Configurations of a constructor: an object of the class that it names, or a stand-in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_type_hints

from .names import CONSTRUCTOR, normal, table
from .scripting import Symbol, written

NEEDED = {"d_model", "num_heads"}
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
CONSTRUCTOR_ROLES = table(CONSTRUCTOR)


class NotConfiguredError(AttributeError):
    """A setting was asked for of which names do not say what it is."""


class Configuration:
    """Stands for a configuration object: answers the names that a constructor could have as parameters."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)
        self._asked: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        role = CONSTRUCTOR_ROLES.get(normal(name))
        if name.startswith("_") or role is None or role not in self._values:
            raise NotConfiguredError(f"headcheck's stand-in for a configuration has no {name!r}")
        self._asked[name] = self._values[role]
        return self._values[role]

    @property
    def asked(self) -> Mapping[str, Any]:
        """The settings that were asked for, by their names."""
        return self._asked

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting as a mapping would."""
        return getattr(self, name, default)

    __getitem__ = __getattr__


def source(configuration: Any) -> Symbol:
    """Return source that makes a configuration with the settings that matter."""
    if isinstance(configuration, Configuration):
        return Symbol(written("SimpleNamespace", [], configuration.asked))
    held = {
        name: getattr(configuration, name)
        for name in inspect.signature(type(configuration)).parameters
        if CONSTRUCTOR_ROLES.get(normal(name)) and hasattr(configuration, name)
    }
    return Symbol(written(type(configuration).__qualname__, [], held))


def asked(configuration: Any) -> set[str]:
    """Return the roles that a constructor could have taken from its configuration."""
    if isinstance(configuration, Configuration):
        return {CONSTRUCTOR_ROLES[normal(name)] for name in configuration.asked}
    return {role for role in _roles_of(type(configuration)) if role}


def configured(values: Mapping[str, Any], kind: type) -> Any:
    """Return an object of a configuration class, its fields by their roles; else a stand-in.

    Raises:
        Exception: whatever the class raises.
    """
    parameters = inspect.signature(kind).parameters.values()
    roles = {p.name: CONSTRUCTOR_ROLES.get(normal(p.name), "") for p in parameters}
    known = {name: values[role] for name, role in roles.items() if role in values}
    required = {p.name for p in parameters if p.default is p.empty and p.kind not in VARIADIC}
    return kind(**known) if required <= set(known) else Configuration(values)


def class_of(implementation: Callable[..., Any], names: Mapping[str, Iterable[str]]) -> type | None:
    """Return the class with which a constructor annotates its configuration, where its fields are known.

    `names` are the constructor's parameters by role: the sizes that are among them need be no fields.
    """
    made = getattr(implementation, "__init__", None) if isinstance(implementation, type) else implementation
    try:
        hints = get_type_hints(made) if made else {}
    except Exception:  # an annotation that cannot be resolved is none
        return None
    for name in names.get("config", ()):
        for kind in get_args(hints.get(name)) or (hints.get(name),):
            if isinstance(kind, type) and _roles_of(kind) >= NEEDED - {*names}:
                return kind
    return None


def _roles_of(kind: type) -> set[str | None]:
    try:
        return {CONSTRUCTOR_ROLES.get(normal(name)) for name in inspect.signature(kind).parameters}
    except (TypeError, ValueError):
        return set()
