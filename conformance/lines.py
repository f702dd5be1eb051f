"""Lines of Python: what is done to the scripts that adapters write, as text.

A script of an adapter makes a module, gives it its weights, defines the arguments, makes one call, and ends
with the results as NumPy float64 arrays, ``output`` and perhaps ``weights``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from textwrap import indent

import numpy as np

IMPORTS = ("import ", "from ", "sys.path.")
INPUTS = {"query", "key", "value"}
ARGUMENTS = {"query", "key", "value", "mask", "padding", "larger"}
RESULT = re.compile(r"output = (output\.|np\.asarray\(output\b)")
CALL = re.compile(r"\s*(output|output, weights.*|returned) = ")
KEY = re.compile(r"\bjax\.random\.key\(\d+\)")
CONTEXT = "with torch."  # of a call
SAYS = ('print("refused:", error)',)
MARGIN = 64.0  # by so much less than the bound does a number written out differ from the number


def in_sequence(scripts: Sequence[Sequence[str]]) -> list[str]:
    """Return scripts of calls as one, on one module: what is the same in a later one is not done again.

    So a query, key or value of the call before is the same object again, as it was when judged.
    Masks, and views, are always defined anew, for a call may have written to them.
    """
    if len(scripts) == 1:
        return [*scripts[0]]
    together: list[str] = []
    before: dict[str, str] = {}  # the inputs of the script before, by name
    for script in scripts:
        here = list(statements(script))
        until = _call([text for _, text in here])
        done, inputs = {*together}, _inputs(here)
        same = _unchanged(inputs, before)
        together += [
            text
            for i, (names, text) in enumerate(here)
            if i >= until or (not names <= same if names & ARGUMENTS else text not in done)
        ]
        before = inputs
    return [line for statement in together for line in statement.splitlines()]


def _unchanged(inputs: dict[str, str], before: dict[str, str]) -> set[str]:
    """Return the inputs defined as before, and made of none that is not."""
    same: set[str] = set()
    for name, text in inputs.items():
        made_of = {other for other in INPUTS if re.search(rf"\b{other}\b", text.partition("=")[2])} - {name}
        if before.get(name) == text and all(other in same or before.get(other) == text for other in made_of):
            same.add(name)
    return same


def _inputs(script: Sequence[tuple[set[str], str]]) -> dict[str, str]:
    """Return where a script defines query, key and value, by name; none that it makes a view of."""
    found = [(name, text) for names, text in script for name in names & INPUTS]
    return {name: text for name, text in found if [one for one, _ in found].count(name) == 1}


def statements(lines: Sequence[str]) -> Iterator[tuple[set[str], str]]:
    """Yield the statements of a script, each with the names that it assigns to."""
    found = ast.parse("\n".join(lines)).body
    starts = [0, *(node.lineno - 1 for node in found[1:]), len(lines)]
    for node, start, end in zip(found, starts, starts[1:], strict=False):
        if start < end:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = {
                inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)
            }
            yield names, "\n".join(lines[start:end]).strip("\n")


def refused(lines: Sequence[str], message: str, *, never: str = "", then: Sequence[str] = SAYS) -> list[str]:
    """Return a script that fails with the message, where there is one, unless what it does is refused.

    An exception of the type ``never`` is no refusal; ``then`` are lines on the one that came, ``error``.
    """
    return [
        *[line for line in lines if line.startswith(IMPORTS)],
        "try:",
        *[f"    {line}" for line in lines if line and not line.startswith(IMPORTS)],
        *([f"except {never}:", "    raise"] if never else []),
        "except Exception as error:",
        *(f"    {line}" for line in then),
        *(["else:", f"    raise AssertionError({message!r})"] if message else []),
    ]


def before_call(lines: Sequence[str], line: str) -> list[str]:
    """Return the script with a line before its last call."""
    at = _call(lines)
    return [*lines[:at], line, *lines[at:]]


def before_results(lines: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return the script with lines before the output becomes a NumPy array."""
    at = max((i for i, text in enumerate(lines) if RESULT.match(text)), default=len(lines))
    return [*lines[:at], *more, *lines[at:]]


def repeated(lines: Sequence[str], times: int) -> list[str]:
    """Return the script with its call made many times, the outputs in an array ``drawn``.

    Where the call names a seed, each has its own.
    """
    at = _call(lines)
    seeded = [KEY.sub("jax.random.key(seed)", line) if line.startswith(" ") else line for line in lines]
    return [
        *seeded[:at],
        "drawn = []",
        f"for seed in range({times}):",
        *indent("\n".join(seeded[at:]), "    ").splitlines(),
        "    drawn.append(output)",
        "drawn = np.array(drawn)",
    ]


def _call(lines: Sequence[str]) -> int:
    """Return the line where the last call begins, a context around it or a function for it included."""
    at = max(
        i
        for i, text in enumerate(lines)
        if any(map(CALL.match, text.splitlines())) and not RESULT.match(text)
    )
    while at and lines[at].startswith(" ") and not lines[at].startswith(CONTEXT):
        at -= 1
    return at


def literal(array: np.ndarray, resolution: float = 0.0) -> str:
    """Return nested lists whose numbers differ from the array's by much less than the resolution."""
    if array.ndim:
        return f"[{', '.join(literal(part, resolution) for part in array)}]"
    number = float(array)
    if not np.isfinite(number):
        return "np.nan" if np.isnan(number) else "np.inf" if number > 0 else "-np.inf"
    if number.is_integer() and abs(number) < 1e6:
        return repr(int(number))
    for digits in range(1, 17):
        text = f"{number:.{digits}g}"
        if abs(float(text) - number) <= resolution / MARGIN:
            return text
    return repr(number)
