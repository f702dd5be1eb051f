"""Progress on stderr, and only where a person is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any


@contextmanager
def progress(subjects: int, requirements: Sequence[str], *, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Yield a function that takes the events of a campaign and moves a bar, which names what is judged next.

    Every subject is judged by the requirements in their order.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda event: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..verdicts import SubjectRecord, Verdict

    following = dict(pairwise(requirements))

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading", total=subjects * len(requirements))

        begun: set[str] = set()

        def on_event(event: Any) -> None:
            if isinstance(event, Verdict):
                coming = following.get(event.requirement, "done")
                bar.update(task, advance=1, description=f"{event.subject[-40:]} {coming}")
            elif isinstance(event, SubjectRecord) and not event.error and event.name not in begun:
                begun.add(event.name)
                bar.update(task, description=f"{event.name[-40:]} {requirements[0]}")

        yield on_event
