"""Arguments that are the objects of the call before, as they are where a program calls a module in a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from .protocol import INPUTS, Call

Made = TypeVar("Made")


def as_before(
    given: dict[str, tuple[np.ndarray, Made]],
    call: Call,
    made: Mapping[str, Made],
    same: Callable[[Made, Made], bool],
    *,
    itself: bool,
    shared: bool = False,
) -> dict[str, Made]:
    """Return query, key and value; what the module was given in the call before is the same object again.

    So whoever keeps what was made of a key by its identity is found out.  ``given`` is that call's, by name:
    the array that was asked for and the object made of it; it is brought up to date.  An object that was
    written to is not the ``same`` as what is made now.  Which of the three are one object, and how they lie
    in memory, is a matter of paths and not of state: such a call is given objects of its own.

    With ``shared`` one object is key and value in every call.
    """
    before = dict(given)
    given.clear()
    inputs = {name: made[name] for name in INPUTS}
    if itself or (call.shared and not shared) or call.memory != "contiguous":
        return inputs
    for name, now in inputs.items():
        source, earlier = before.get(name, (None, now))
        if source is getattr(call, name) and same(earlier, now):
            inputs[name] = earlier
        given[name] = getattr(call, name), inputs[name]
    return inputs | ({"value": inputs["key"]} if shared else {})
