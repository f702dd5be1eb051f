"""A process of its own that runs one script after the other: argv[1] is imported once, before the first.

It reads a script as a line of JSON, and writes back what the script raised, "" where nothing.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any


def outcome(script: str) -> str:
    """Run a script as `python FILE` would, and return what it raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        with redirect_stdout(StringIO()):
            exec(compile(script, "script", "exec"), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if "jax" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", False)
    return ""


if __name__ == "__main__":
    import_module(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(outcome(json.loads(line))), flush=True)
