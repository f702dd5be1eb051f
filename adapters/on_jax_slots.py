"""Where a JAX module keeps the four projections: which leaf, and which way round.

A bare matrix and a flax ``kernel`` are (in, out); the ``weight`` of a layer, as equinox has it, is
(out, in).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from headcheck.reference.parameters import Parameters

from .discovery import advice, projections, unrecognised
from .on_jax_leaves import Names, leaves
from .protocol import SubjectError

WRAPPERS = {"value", "raw_value"}  # what flax.nnx wraps an array in
KERNELS = {"kernel", "w"}
BIASES = {"bias", "b"}


@dataclass(frozen=True)
class Slot:
    """One leaf that holds a parameter."""

    names: Names
    transposed: bool = False  # stored (out, in)

    def turned(self, array: Any) -> Any:
        """Return a matrix turned from (in, out) to the way it is stored, or back."""
        return array.T if self.transposed else array


def slots(module: Any, subject: str, outward: bool = False) -> dict[str, Slot]:
    """Return the slot of every parameter by its name in `Parameters`; ``outward``: bare ones are (out, in).

    SubjectError where projections are missing, packed, or have another shape than (d_model, d_model).
    """
    arrays = {
        names: leaf for names, leaf in leaves(module).items() if jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    attributes = tuple(dict.fromkeys(names[0] for names in arrays))
    found = projections(attributes, subject)
    packed = [attribute for role, attribute in found.items() if role in {"W_qkv", "W_kv", "W_list", "b_qkv"}]
    if packed:
        raise SubjectError(
            f"{subject}: {', '.join(packed)} holds several projections, and their order cannot be seen from "
            f"outside. Expected W_q, W_k, W_v and W_o apart.\n{advice(subject)}"
        )
    slots = dict(_slots(arrays, {attribute: role for role, attribute in found.items()}, outward))
    missing = [name for name in ("W_q", "W_k", "W_v", "W_o") if name not in slots]
    if missing:
        raise unrecognised(subject, missing, (".".join(names) for names in arrays))
    for name, slot in slots.items():
        shape = arrays[slot.names].shape
        if len(shape) != (2 if name.startswith("W") else 1) or len(set(shape)) != 1:
            expected = "(d_model, d_model)" if name.startswith("W") else "(d_model,)"
            raise SubjectError(
                f"{subject}: {'.'.join(slot.names)} has shape {tuple(shape)}; expected {expected}.\n"
                + advice(subject)
            )
    return slots


def placed(
    parameters: Mapping[str, Any], slots: Mapping[str, Slot], held: Mapping[Names, Any]
) -> dict[Names, Any]:
    """Return the leaves that hold these parameters; zeros for a bias that is held and not among them."""
    return {
        slot.names: slot.turned(parameters[name])
        if name in parameters
        else np.zeros(held[slot.names].shape, parameters["W_q"].dtype)
        for name, slot in slots.items()
        if slot.names in held
    }


def taken(held: Mapping[Names, Any], slots: Mapping[str, Slot]) -> Parameters:
    """Return the parameters that these leaves hold."""
    return Parameters(
        **{
            name: np.asarray(slot.turned(held[slot.names]), dtype=np.float64)
            for name, slot in slots.items()
            if slot.names in held
        }
    )


def _slots(
    arrays: Mapping[Names, Any], roles: Mapping[str, str], outward: bool
) -> Iterator[tuple[str, Slot]]:
    for names in arrays:
        role = roles.get(names[0])
        inner = [name for name in names[1:] if name not in WRAPPERS]
        if role is None or len(inner) > 1:
            continue
        kind = inner[0].lower() if inner else ""
        if not kind or kind in KERNELS:
            yield role, Slot(names, transposed=outward and not kind and role.startswith("W"))
        elif kind == "weight":
            yield role, Slot(names, transposed=True)
        elif kind in BIASES:
            yield role.replace("W", "b"), Slot(names)
