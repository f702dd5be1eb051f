"""What a class may say of itself, where its names do not say it: the class attribute ``headcheck``.

    class MyAttention(nn.Module):
        headcheck = {"mask_true": "block", "empty_row": "zeros"}

Every key is optional:

    mask_true           "attend" or "block": what True and 1 mean in a mask
    padding_true        the same for the padding mask, where there is one
    mask_forms          of "bool", "int", "float", "additive" (0 and minus infinity) and "finite" (0 and the
                        dtype's least number): what a mask may hold
    mask_shapes         the shapes a mask may have, like "n_q n_k" or "B 1 1 n_k"
    empty_row           "uniform" or "zeros": the answer of a query that may see no key
    causal_alignment    "top-left" or "bottom-right"
    dtypes              of "float64", "float32", "bfloat16", "float16": those that the class is meant for
    softmax_dtype       "float32" where the softmax is computed in it whatever the inputs are
    stored              "in out" or "out in": how bare weight arrays are stored
    split               "B h n d_k", "B n h d_k" or "h B n d_k": what its split_heads returns
    layout              "batch first" or "sequence first": the first axis of the arguments and the output
    memory              whether a second sequence, as in forward(x, context), holds the keys and values
    always_causal       True where every call is causal and nothing switches that off
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_args

from .importing import nearest
from .protocol import Conventions, DType, MaskForm, Split, SubjectError

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "mask_true": ("attend", "block"),
    "padding_true": ("attend", "block"),
    "mask_forms": get_args(MaskForm),
    "mask_shapes": (),
    "empty_row": ("uniform", "zeros", "unknown"),
    "causal_alignment": ("top-left", "bottom-right"),
    "dtypes": get_args(DType),
    "softmax_dtype": ("", "float32"),
    "stored": ("in out", "out in"),
    "split": get_args(Split),
    "layout": ("batch first", "sequence first"),
    "memory": (True, False),
    "always_causal": (True, False),
}
PLURAL = {"mask_forms", "mask_shapes", "dtypes"}


def to_declare(key: str, value: str) -> str:
    """Return the end of a sentence about what would be right if the class said so of itself."""
    return f'; if that is meant, declare it in the class: headcheck = {{"{key}": "{value}"}}'


def declared(implementation: Any, subject: str) -> dict[str, Any]:
    """Return what a class says of itself; SubjectError where a key or a value is unknown."""
    said = getattr(implementation, "headcheck", {})
    if not isinstance(said, Mapping):
        raise SubjectError(f"{subject}: its attribute headcheck is a {type(said).__name__}; expected a dict.")
    for key, value in said.items():
        if key not in CHOICES:
            raise SubjectError(
                f"{subject}: headcheck = {{{key!r}: ...}} is not known; expected {', '.join(CHOICES)}."
                + nearest(str(key), CHOICES)
            )
        values = value if isinstance(value, list | tuple) else (value,)
        wrong = [one for one in values if CHOICES[key] and one not in CHOICES[key]]
        if wrong:
            expected = ", ".join(map(repr, CHOICES[key]))
            raise SubjectError(f"{subject}: headcheck = {{{key!r}: {value!r}}}; expected {expected}.")
    return {key: _plural(value) if key in PLURAL else value for key, value in said.items()}


def overridden(conventions: Conventions, said: Mapping[str, Any]) -> Conventions:
    """Return the conventions as the class declares them, where it does."""
    names = {field.name for field in fields(Conventions)}
    return replace(conventions, **{key: value for key, value in said.items() if key in names})


def _plural(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
