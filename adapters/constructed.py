"""A module made by what the names of its constructor's parameters say, and of what size one can be made."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

from . import configurations, discovery, trial
from .advice import unbuilt
from .importing import is_the_users, statements
from .protocol import Adapter, Build, SubjectError


class Constructed(Adapter):
    """What an adapter of classes needs to know of a constructor."""

    def __init__(self, implementation: Callable[..., Any], subject: str):
        self.implementation = implementation
        self.subject_name = subject
        self.constructor = discovery.constructor(implementation, subject)
        self._configured = configurations.class_of(implementation, self.constructor.names)
        self.configuration: Any = None  # of the module built last
        self._asked: set[str] = set()  # roles that a constructor took from a configuration

    @abstractmethod
    def make(self, build: Build) -> Any:
        """Return a module; SubjectError where that is none of this framework."""

    def constructed(self, build: Build) -> Any:
        """Call the constructor with the arguments that it has."""
        values = discovery.constructor_values(build, self._configured)
        positional, keywords = self.constructor.arguments(values)
        made = self.implementation(*positional, **keywords)
        self.configuration = values["config"]
        self._asked |= configurations.asked(self.configuration)
        return made

    def constructor_call(self, build: Build) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of the constructor for a script, after a module of this build was made."""
        source = configurations.source(self.configuration)
        values = discovery.constructor_values(build) | {"config": source}
        return self.constructor.arguments(values)

    def constructor_imports(self) -> list[str]:
        """Return the lines of Python that a script's call of the constructor needs."""
        lines = statements(self.subject_name, self.implementation)
        kind = type(self.configuration)
        if "config" not in self.constructor:
            return lines
        if isinstance(self.configuration, configurations.Configuration):
            return [*lines, "from types import SimpleNamespace"]
        place = self.subject_name.rpartition(":")[0]
        own = kind.__module__ == self.implementation.__module__ and place
        return [*lines, *statements(f"{place if own else kind.__module__}:{kind.__qualname__}", kind)]

    def takes(self, role: str) -> bool:
        """Return whether the constructor has a parameter of this role, or asks its configuration for one."""
        _ = self.trial_module
        return role in self.constructor or role in self._asked

    @cached_property
    def trial_build(self) -> Build:
        """The first size with which a module can be built."""
        return self._trial[1]

    @property
    def trial_module(self) -> Any:
        """A module of that size."""
        return self._trial[0]

    @cached_property
    def _trial(self) -> tuple[Any, Build]:
        errors: list[BaseException] = []
        for d_model, num_heads in trial.SIZES:
            build = Build(d_model, num_heads)
            try:
                return self.build(build).module, build
            except SubjectError:
                raise
            except BaseException as error:  # an exit of the constructor's own included
                if is_the_users(error):
                    raise
                errors.append(error)
        raise unbuilt(self.subject_name, self.constructor.signature, trial.SIZES, errors[0])
