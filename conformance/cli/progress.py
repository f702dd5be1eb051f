"""Progress on stderr, and only where a person is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Yield a function that takes the events of a campaign and moves a bar."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda event: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..verdicts import Verdict

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading", total=total)

        def on_event(event: Any) -> None:
            if isinstance(event, Verdict):
                bar.update(task, advance=1, description=f"{event.subject[-40:]} {event.requirement}")

        yield on_event
