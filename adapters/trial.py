"""What trial calls of an implementation show: what runs, and where its results are; never what is right.

No two axes of a trial are equal, so none is mistaken for another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from .declared import overridden
from .protocol import Build, Call, Conventions, DType, Mask, MaskForm, Result

SIZES = ((8, 2), (12, 3), (64, 4), (512, 8))  # d_model and num_heads, until a module can be built
BATCH, N_Q, N_K = 3, 5, 7
SHAPES = (
    *("n_q n_k", "B n_k", "B 1 n_k", "B n_q n_k"),
    *("1 1 n_q n_k", "B 1 1 n_k", "B 1 n_q n_k", "B h n_q n_k"),
)
KEPT = ("attn", "attn_weights", "attention_weights", "attn_probs", "attention_probs")

Run = Callable[[Call], Result]
RAISED = (Exception, SystemExit)  # what a call on trial may raise; Ctrl-C is for the user


@dataclass(frozen=True)
class Answer:
    """Where an implementation leaves its results; a place is written as Python reaches it, see `parts`."""

    output: str = "[0]"  # place in what comes back
    weights: str | None = "[1]"  # the same for the attention weights; None where they do not come back
    kept: str = ""  # the attribute that holds the attention weights instead
    single: bool = False  # no tuple comes back
    note: str = ""
    raised: bool = False

    @property
    def has_weights(self) -> bool:
        """Whether the attention weights of every head can be had."""
        return self.weights is not None or bool(self.kept)


def trial_call(build: Build, *, itself: bool, shared: bool = False) -> Call:
    """Return a call with small numbers and no mask; ``shared``: one array is key and value."""
    rng = np.random.default_rng(0)
    query, key, value = (rng.integers(-2, 3, (BATCH, n, build.d_model)) / 2.0 for n in (N_Q, N_K, N_K))
    return Call(build, query, query, query) if itself else Call(build, query, key, key if shared else value)


def parts(value: Any) -> dict[str, Any]:
    """Return what a result holds, by the source that reaches it: "[0]", "['output']", ".output".

    Empty for an array, and for anything else that is no collection of results.
    """
    if isinstance(value, Mapping):
        return {f"[{key!r}]": item for key, item in value.items()}
    if isinstance(value, tuple | list):
        return {f"[{i}]": item for i, item in enumerate(value)}
    if is_dataclass(value) and not hasattr(value, "shape"):
        return {f".{field.name}": getattr(value, field.name) for field in fields(value)}
    return {}


def answer(value: Any, call: Call, wanted: tuple[int, ...], attributes: Mapping[str, Any]) -> Answer:
    """Find output, of the shape wanted, and weights in what came back, or the weights in an attribute."""
    batch, n_q, n_k = *call.query.shape[:2], call.key.shape[1]
    maps = (batch, call.build.num_heads, n_q, n_k)
    found = parts(value)
    # Where all that came back is the output, attention weights may be kept on the object.
    kept = next((name for name in KEPT if _shape(attributes.get(name)) == maps), "")
    if not found:
        return Answer("", None, kept, single=True)
    shapes = {place: shape for place, item in found.items() if (shape := _shape(item)) is not None}
    output = _place(shapes, wanted) or next(iter(found))
    averaged = _place(shapes, (batch, n_q, n_k))
    if weights := _place(shapes, maps):
        return Answer(output, weights)
    if averaged:
        return Answer(output, averaged, note="the attention weights come back averaged over the heads")
    others = [place for place, shape in shapes.items() if place != output and _pairs(shape, n_q, n_k)]
    return Answer(output, None if kept else next(iter(others), None), kept)


def _pairs(shape: tuple[int, ...], n_q: int, n_k: int) -> bool:
    """Return whether an array has an axis for queries and one for keys, as no log sum exp has."""
    return not Counter((n_q, n_k)) - Counter(shape)


def _place(shapes: Mapping[str, tuple[int, ...]], wanted: tuple[int, ...]) -> str | None:
    return next((place for place, shape in shapes.items() if shape == wanted), None)


def dtypes(run: Run, call: Call, candidates: Iterable[DType]) -> tuple[DType, ...]:
    """Return the dtypes in which a plain call runs; all of them where it does in none."""
    candidates = tuple(candidates)
    fine = tuple(d for d in candidates if runs(run, replace(call, build=replace(call.build, dtype=d))))
    return fine or candidates


def conventions(run: Run, call: Call, said: Mapping[str, Any], *, additive: bool) -> Conventions:
    """Return which masks an implementation takes, by whether calls with them run, and what it says itself."""
    forms: tuple[MaskForm, ...] = ("additive",) if additive else ("bool", "int", "float")
    declared = overridden(Conventions(mask_forms=forms), said)
    form = declared.mask_forms[0]
    if "mask_shapes" not in said:
        accepted = [s for s in SHAPES if runs(run, replace(call, mask=last_blocked(call, s, form)))]
        declared = replace(declared, mask_shapes=_lawful(accepted) or Conventions().mask_shapes)
    if "mask_forms" not in said and not additive:
        first = declared.mask_shapes[0]
        taken = [f for f in forms if runs(run, replace(call, mask=last_blocked(call, first, f)))]
        declared = replace(declared, mask_forms=tuple(taken) or forms)
    return declared


def adds_floats(run: Run, call: Call, taken: Conventions) -> bool:
    """Return whether a float mask is added to the scores, as torch's own functions have it.

    Then 0 and 1 are no mask: only an additive one equals its boolean twin.
    """
    if not {"bool", "float"} <= {*taken.mask_forms}:
        return False
    blocking = last_blocked(call, taken.mask_shapes[0], "bool").allowed
    forms: tuple[MaskForm, ...] = ("bool", "float", "additive")
    try:
        outputs = [run(replace(call, mask=Mask(blocking, form))).output for form in forms]
    except RAISED:  # judged where it is met again
        return False
    plain, number, added = (np.zeros(0) if output is None else output for output in outputs)
    return alike(added, plain) and not alike(number, plain)


def only_added(run: Run, call: Call, taken: Conventions) -> bool:
    """Return whether a mask blocks where it is additive, and nothing where it is boolean."""
    blocking = last_blocked(call, taken.mask_shapes[0], "bool").allowed
    key, value = call.key.copy(), call.value.copy()
    key[:, -1], value[:, -1] = key[:, -1] + 1.0, value[:, -1] - 1.0
    itself = call.query is call.key
    value = key if call.key is call.value and not itself else value
    changed = (
        replace(call, query=value, key=value, value=value) if itself else replace(call, key=key, value=value)
    )

    def blocks(form: MaskForm) -> bool:
        mask = Mask(blocking, form)
        one, other = (run(replace(each, mask=mask)).output for each in (call, changed))
        kept = slice(None, -1) if itself else slice(None)
        return one is not None and other is not None and alike(one[:, kept], other[:, kept])

    try:
        return blocks("additive") and not blocks("bool")
    except RAISED:  # judged where it is met again
        return False


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two outputs are one but for rounding."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5)


def runs(run: Run, call: Call) -> bool:
    """Return whether a call gives an output of the right shape."""
    try:
        result = run(call)
    except RAISED:  # refused: a wrong implementation's other exceptions are met again, and judged, later
        return False
    return result.output is not None and result.output.shape == call.query.shape


def last_blocked(call: Call, shape: str, form: MaskForm) -> Mask:
    """Return a mask of this shape that blocks the last key: one that blocks nothing may be dropped unread."""
    sizes = {
        "B": len(call.query),
        "h": call.build.num_heads,
        "n_q": call.query.shape[1],
        "n_k": call.key.shape[1],
    }
    allowed = np.ones([sizes.get(axis, 1) for axis in shape.split()], dtype=bool)
    allowed[..., -1] = False
    return Mask(allowed, form)


def _lawful(accepted: list[str]) -> tuple[str, ...]:
    """Leave out what runs by accident.

    A class that adds the axis of the heads itself, ``mask.unsqueeze(1)``, makes five axes of a mask with
    four; with B=1 that runs and gives the right shape.  So unless (B, 1, n_q, n_k) runs, none with four does.
    """
    four = "B 1 n_q n_k" in accepted
    return tuple(shape for shape in accepted if four or len(shape.split()) < 4)


def _shape(value: Any) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(shape)
