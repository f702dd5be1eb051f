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

IMPORTS = ("import ", "from ", "sys.path.", "jax.config.")
INPUTS = {"query", "key", "value"}
ARGUMENTS = {"query", "key", "value", "mask", "padding", "larger"}
RETURNED = {"output", "returned"}
PARAMETER = re.compile(r"([Wb]_[qkvo]) = ")
CONVERSION = re.compile(r"(output|weights) = (np\.asarray\(\1,|\1\.detach\(\))")
PLACE = re.compile(r"(?:output =|return) returned(\.\w+|\[[^]]+\])")  # where what came back holds the output
TURN = re.compile(r"\s*output = (output(?:\.swapaxes\(0, 1\)|\.transpose\(0, 1\)|\[:, 0\]))")
KEY = re.compile(r"\bjax\.random\.key\(\d+\)")
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
        calls = [i for i, (_, text) in enumerate(here) if _call(text.splitlines())]
        until = max(calls, default=len(here))
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
            names = {name for target in targets for name in _names(target)}
            yield names, "\n".join(lines[start:end]).strip("\n")


def pasteable(lines: Sequence[str]) -> list[str]:
    """Return a script that Python's prompt takes: a blank line ends each block, and none is within one."""
    blocks = [node for node in ast.parse("\n".join(lines)).body if hasattr(node, "body")]
    within = {number for node in blocks for number in range(node.lineno, node.end_lineno or 0)}
    ends = {node.end_lineno for node in blocks}
    kept: list[str] = []
    for number, line in enumerate(lines, 1):
        if line or (number not in within and kept[-1:] != [""]):
            kept += [line, ""] if number in ends else [line]
    return kept


def refused(
    lines: Sequence[str],
    message: str,
    *,
    call: bool = False,
    never: str = "",
    then: Sequence[str] = SAYS,
) -> list[str]:
    """Return a script that fails with the message, where there is one, unless what it does is refused.

    That is the last call alone where ``call`` says so, else whatever making the module or the call raises;
    an exception of the type ``never`` refuses nothing.  ``then`` are lines on the one that came, ``error``.
    """
    tried = [line for line in as_returned(lines) if line]
    made = (i for i, line in enumerate(tried) if line.startswith("module = "))
    imported = sum(line.startswith(IMPORTS) for line in tried)
    start = _start(tried) if call else next(made, imported)
    return [
        *tried[:start],
        "try:",
        *(f"    {line}" for line in tried[start:]),
        *([f"except {never}:", "    raise"] if never else []),
        "except BaseException as error:",
        *(f"    {line}" for line in then),
        *(["else:", f"    raise AssertionError({message!r})"] if message else []),
    ]


def as_returned(lines: Sequence[str]) -> list[str]:
    """Return the script up to its last call, with ``output`` for all that comes back, whatever it is."""
    call = _call(lines)
    if call is None:
        return [*lines]
    whole = [re.sub(r"^( +return returned)\b.*", r"\1", line) for line in lines[: call.lineno - 1]]
    first, *rest = lines[call.lineno - 1 : call.end_lineno]
    return [*whole, re.sub(r"^( *).*? = ", r"\1output = ", first, count=1), *rest]


def output_alone(lines: Sequence[str], shape: tuple[int, ...]) -> list[str]:
    """Return the script up to the output, whether it comes alone, first of several, or in a dict.

    What comes back may be none of these: the script is of a result that is wrong, and is to pass once that is
    mended, in whichever lawful way.
    """
    found = PLACE.search("\n".join(lines))
    place = found.group(1) if found else "[0]"
    apart = ["output = output[0] if isinstance(output, tuple) else output"]
    if place.startswith("."):
        apart = [f'output = getattr(output, "{place[1:]}", output)', *apart]
    elif place[1:-1].isdigit():
        apart = [f"output = output{place} if isinstance(output, tuple) else output"]
    else:
        fits = f'(x for x in output.values() if getattr(x, "shape", ()) == {shape})'
        apart = [f"output = next({fits}, None) if isinstance(output, dict) else output", *apart]
    turns = [turn.group(1) for turn in map(TURN.match, lines) if turn]
    return [
        *as_returned(lines),
        *apart,
        *(f'output = {turn} if hasattr(output, "shape") else output' for turn in turns),
    ]


def read_for(lines: Sequence[str], found: str) -> list[str]:
    """Return the script that ends by reading the weights, without those that an expression does not name."""
    end = len(lines)
    while end and PARAMETER.match(lines[end - 1]):
        end -= 1
    return [*lines[:end], *(line for line in lines[end:] if re.search(rf"\b{line[:3]}\b", found))]


def before_call(lines: Sequence[str], line: str) -> list[str]:
    """Return the script with a line before its last call."""
    at = _start(lines)
    return [*lines[:at], line, *lines[at:]]


def before_results(lines: Sequence[str], more: Sequence[str], *, last: bool = False) -> list[str]:
    """Return the script with lines before the results become NumPy arrays; ``last``: and nothing after."""
    at = next((i for i in range(_start(lines), len(lines)) if CONVERSION.match(lines[i])), len(lines))
    return [*lines[:at], *more, *([] if last else lines[at:])]


def repeated(lines: Sequence[str], times: int) -> list[str]:
    """Return the script with its call made many times, the outputs in an array ``drawn``.

    Where the call names a seed, each has its own.
    """
    at = _start(lines)
    seeded = [KEY.sub("jax.random.key(seed)", line) if line.startswith(" ") else line for line in lines]
    return [
        *seeded[:at],
        "drawn = []",
        f"for seed in range({times}):",
        *indent("\n".join(seeded[at:]), "    ").splitlines(),
        "    drawn.append(output)",
        "drawn = np.array(drawn)",
    ]


def _call(lines: Sequence[str]) -> ast.Assign | None:
    """Return the last call: what assigns to the output, and is made of no output."""
    made = [
        node
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Assign)
        and RETURNED & {name for target in node.targets for name in _names(target)}
        and not RETURNED & {*_names(node.value)}
    ]
    return max(made, key=lambda node: node.lineno, default=None)


def _start(lines: Sequence[str]) -> int:
    """Return the line where the last call begins, a context around it or a function for it included."""
    at = call.lineno - 1 if (call := _call(lines)) else len(lines)
    while at < len(lines) and lines[at].startswith(" "):
        at -= 1
    return at


def _names(node: ast.AST) -> Iterator[str]:
    yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


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
