"""headcheck from Python: `check` one subject, or make a pytest test of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from headcheck.adapters.protocol import Adapter

from .campaign import Plan, carry_out
from .pool import PROFILES
from .session import InProcess, Isolated, Session
from .specification import Requirement, select
from .verdicts import Run


class NotConformantError(AssertionError):
    """A subject that does not conform; `run` holds all that was judged, the message what failed."""

    def __init__(self, message: str, run: Run):
        super().__init__(message)
        self.run = run


def check(
    subject: str | type | Adapter | Callable[..., Any],
    *,
    profile: str = "standard",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    seed: int = 0,
    strict: bool = False,
    isolate: bool = False,
    raises: bool = True,
) -> Run:
    """Judge one implementation and return the run.

    `subject` is a class, a factory, an adapter, or a reference like "package.module:Name".  With `isolate`
    (references only) the implementation runs in a process of its own, so that a crash is a verdict.
    Raises NotConformantError where it does not conform, unless `raises` is False; SubjectError where it
    cannot be driven at all; ValueError for an unknown profile or requirement.
    """
    name = name_of(subject)
    plan = Plan((name,), chosen(only, skip, deep=profile == "deep"), known_profile(profile), seed, strict)
    run = carry_out(plan, lambda _: session(subject, isolate=isolate))
    conclude(run, name, raises=raises)
    return run


def conclude(run: Run, name: str, *, raises: bool) -> None:
    """Raise what a run has to say of its one subject."""
    from headcheck.adapters.protocol import SubjectError

    [record] = run.subjects
    if record.error:
        raise SubjectError(f"{name}: {record.error}")
    if raises and run.conclusion(name) == "not conformant":
        raise NotConformantError(in_words(run), run)


def in_words(run: Run) -> str:
    """Return a run as the terminal would show it, without colour."""
    from io import StringIO

    from headcheck.reports.terminal import print_run
    from rich.console import Console

    text = StringIO()
    print_run(run, Console(file=text, width=100, no_color=True, highlight=False))
    return text.getvalue()


def session(subject: str | type | Adapter | Callable[..., Any], *, isolate: bool = False) -> Session:
    """Return a session with a subject given in any of its forms."""
    from headcheck.adapters.subjects import adapt, load

    if isinstance(subject, str):
        return Isolated(subject) if isolate else InProcess(load(subject))
    if isolate:
        raise ValueError('only a reference like "package.module:Name" can be judged in its own process')
    if isinstance(subject, Adapter):
        return InProcess(subject)
    return InProcess(adapt(subject, "" if isinstance(subject, partial) else name_of(subject)))


def name_of(subject: str | type | Adapter | Callable[..., Any]) -> str:
    """Return what a report calls a subject; one of a script that runs is named by the script's path."""
    if isinstance(subject, str):
        return subject
    named: Any = subject
    if isinstance(subject, Adapter) or not hasattr(subject, "__qualname__"):
        named = type(subject)
    script = getattr(sys.modules["__main__"], "__file__", None) if named.__module__ == "__main__" else None
    return f"{script or named.__module__}:{named.__qualname__}"


def known_profile(name: str) -> Any:
    """Return the profile of this name; ValueError names the known ones."""
    if name not in PROFILES:
        raise ValueError(f"no profile {name!r}; expected one of {', '.join(PROFILES)}")
    return PROFILES[name]


def chosen(only: Sequence[str], skip: Sequence[str], *, deep: bool) -> tuple[Requirement, ...]:
    """Return the requirements selected; ValueError where a glob matches none."""
    for glob in (*only, *skip):
        if not select([glob]):
            raise ValueError(f"no requirement matches {glob!r}; `headcheck spec` lists them")
    return tuple(one for one in select(only, skip) if deep or only or not one.deep)


def conformance(
    subject: str | type | Adapter | Callable[..., Any],
    *,
    profile: str = "standard",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    seed: int = 0,
    strict: bool = False,
    baseline: str | None = None,
) -> Callable[..., None]:
    """Return a pytest test with one item a requirement.

    In a test module, one line is enough:

        test_attention = headcheck.conformance(MyAttention)

    The items are called test_attention[MASK-CAUSAL] and the like, so `-k`, `--lf`, xdist and JUnit work on
    each; each carries the marker of its family, `headcheck_masks`.  Known failures of a `baseline` file are
    strict xfails with their reason.
    """
    from .pytest_items import items

    requirements = chosen(only, skip, deep=profile == "deep")
    return items(subject, requirements, profile=profile, seed=seed, strict=strict, known=baseline)
