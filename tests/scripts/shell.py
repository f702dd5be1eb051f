"""A process of its own that runs one script after the other: argv[1] is imported once, before the first.

It reads a script and a way to run it as a line of JSON, and writes back what the script raised, "" where
nothing.
"""

from __future__ import annotations

import json
import sys
from code import InteractiveConsole
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any


class Prompt(InteractiveConsole):
    """Python's prompt, into which lines are pasted; it goes on after an exception, and keeps each."""

    def __init__(self) -> None:
        super().__init__({"__name__": "__main__"})
        self.raised: list[str] = []

    def showtraceback(self) -> None:
        """Keep the exception that a statement raised."""
        error = sys.exc_info()[1]
        self.raised.append(f"{type(error).__name__}: {error}")

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        """Keep the exception of a statement that is none."""
        self.showtraceback()


def pasted(script: str) -> str:
    """Paste a script into Python's prompt, Enter after it, and return all that is raised, line by line."""
    prompt = Prompt()
    waits = [prompt.push(line) for line in script.split("\n")][-1]
    return "\n".join([*prompt.raised, *(["waits for more"] if waits else [])])


def run(script: str) -> str:
    """Run a script as `python FILE` would, and return what it raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(script, "script", "exec"), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    import_module(sys.argv[1])
    for line in sys.stdin:
        script, how = json.loads(line)
        with redirect_stdout(StringIO()):
            outcome = pasted(script) if how == "pasted" else run(script)
        print(json.dumps(outcome), flush=True)
        if "jax" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", False)
