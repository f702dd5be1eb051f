"""A class to start from where headcheck cannot tell an implementation's parts by their names.

The stub is an ordinary class of the implementation's own framework, in the shape that headcheck drives by
itself; it holds the implementation and says which part is which.  Whatever can be matched is filled in; each
line that is not is marked with TODO.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar

from . import discovery
from .built_in import BUILT_IN
from .by_names import ByNames
from .discovery import Matched
from .importing import FORMS, name_of, named, statements
from .protocol import SubjectError
from .scripting import Symbol, indexed, needed, written
from .subjects import adapt, framework_of

T = TypeVar("T")
TUTORIAL = {name: name for name in ("W_q", "W_k", "W_v", "W_o")}
STORED = {"W_qkv": "in_proj", "W_kv": "kv_proj", "b_qkv": "b_qkv", "b_kv": "b_kv"}  # names in the stub
SETTINGS = {name: Symbol(name) for name in ("d_model", "num_heads", "bias", "dropout")} | {
    "num_kv_heads": Symbol("num_heads"),
    "d_k": Symbol("d_model // num_heads"),
    "config": Symbol("SimpleNamespace(d_model=d_model, num_heads=num_heads)"),
    "batch first": True,
    "causal": False,
    "length": discovery.LONGEST,
}
OPTIONS = {"bias": "True", "dropout": "0.0"}
Arguments = tuple[list[Any], dict[str, Any]]
GIVEN = {name: Symbol(name) for name in ("query", "key", "value", "mask")} | {"need weights": True}


def stub(reference: str) -> str:
    """Return the source of an adapter for a subject.

    Raises:
        SubjectError: there is no such module, file or name, or what it names is no class or function.
    """
    if reference in BUILT_IN:
        raise SubjectError(f"{reference}: needs no adapter; expected a class of your own, {FORMS}.")
    implementation = named(reference)
    if not isinstance(implementation, type | FunctionType):
        kind = type(implementation).__name__
        raise SubjectError(f"{reference}: is of type {kind}; expected a class, or a function that makes one.")
    name, on_torch = name_of(reference, implementation), framework_of(implementation) == "torch"
    made_of = implementation if isinstance(implementation, type) else object
    attends = getattr(implementation, discovery.attending(made_of) or "__call__")
    constructor = _tried(lambda: discovery.constructor(implementation, reference))
    forward = _tried(lambda: discovery.forward(attends, reference, made_of))
    parts = _tried(lambda: _parts(implementation, reference))
    built = constructor and "config" not in constructor and _tried(lambda: _built(implementation, reference))
    made = written(name, *_arguments(constructor, SETTINGS, "d_model", "num_heads"))
    options = {option: value for option, value in OPTIONS.items() if constructor and option in constructor}
    given = [role for role in ("query", "key", "value", "mask") if forward is None or role in forward]
    method = "" if on_torch or attends.__name__ == "__call__" else ".forward"
    called = written(f"{'self.' if on_torch else ''}inner{method}", *_arguments(forward, GIVEN, *given))
    stored, paths = list(parts or TUTORIAL), list((parts or TUTORIAL).values())
    taken = f", which takes: {_signature(attends)}" if made_of is implementation else ""
    marked = ":" if built and forward and parts else ".  Complete the line below each TODO, then"
    lines = [
        f'"""{name} in the shape that headcheck drives{marked} headcheck run THIS_FILE.py:Adapted"""',
        "",
        *statements(reference, implementation),
        *needed(made),
        "from torch import nn" if on_torch else "from copy import copy",
        "",
        "",
        f"class Adapted{'(nn.Module)' if on_torch else ''}:",
        '    # headcheck = {"mask_true": "block"}  # its keys: python -m pydoc headcheck.adapters.declared',
        "",
        f"    def __init__({_listed(['self', 'd_model', 'num_heads'], options)}):",
        *(["        super().__init__()"] if on_torch else []),
        *_marked(built, f"the arguments of {name}, which takes: {_signature(implementation)}"),
        f"        self.inner = {made}",
        *_marked(
            parts,
            f"on the right, the {'layers or tensors' if on_torch else '(in, out) arrays'} of the projections",
        ),
        *_moved("self", stored, "self.inner", paths),
        "",
        f"    def forward({_listed(['self', *given], {'mask': 'None'})}):",
        *([] if on_torch else ["        inner = copy(self.inner)"]),
        *([] if on_torch else _marked(parts, "on the left, the same names")),
        *([] if on_torch else _moved("inner", paths, "self", stored)),
        *_marked(forward, f"the arguments of the call{taken}"),
        f"        returned = {called}",
        "        return returned  # (output, attention weights of every head), or output alone",
    ]
    return "\n".join(lines)


def _tried(find: Callable[[], T]) -> T | None:
    """Return what can be found; nothing where names do not tell, which is what a stub is for."""
    try:
        return find()
    except SubjectError:
        return None


def _built(implementation: Any, reference: str) -> bool:
    """Return True; SubjectError where no module can be built of what was matched."""
    adapter = adapt(implementation, reference)
    return not isinstance(adapter, ByNames) or adapter.trial_module is not None


def _parts(implementation: Any, reference: str) -> dict[str, str]:
    """Return where each projection is: its name in the stub -> its path in the implementation."""
    adapter = adapt(implementation, reference)
    if not isinstance(adapter, ByNames):
        return TUTORIAL
    parts: dict[str, str] = {}
    for role, path in adapter.storage.found.items():
        container, apart, _ = path.partition(".*.")
        parts[container if apart else STORED.get(role, role)] = container
    return parts


def _arguments(matched: Matched | None, values: Mapping[str, Any], *usual: str) -> Arguments:
    """Return the arguments by their names where they are known, else the usual ones in order."""
    return matched.arguments(values) if matched else ([Symbol(name) for name in usual], {})


def _listed(names: Iterable[str], defaults: Mapping[str, str]) -> str:
    """Return a list of parameters; those that are in the defaults alone come last."""
    named = dict.fromkeys([*names, *(name for name in defaults if name != "mask")])
    return ", ".join(f"{name}={defaults[name]}" if name in defaults else name for name in named)


def _moved(to: str, names: Sequence[str], source: str, paths: Sequence[str]) -> list[str]:
    """Return assignments of parts from one object to another, four to a line."""
    lines = []
    for i in range(0, len(names), 4):
        left = ", ".join(f"{to}.{indexed(name)}" for name in names[i : i + 4])
        right = ", ".join(f"{source}.{indexed(path)}" for path in paths[i : i + 4])
        lines.append(f"        {left} = {right}")
    return lines


def _marked(matched: Any, what: str) -> list[str]:
    """Return the comment above a line that is to be completed; nothing where its parts were matched."""
    return [] if matched else [f"        # TODO: {what}"]


def _signature(function: Any) -> str:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
