"""The catalogue of faults: what each one is, which requirement is meant to catch it, and where it shipped.

Importable without any framework.  `Fault.subject` names the class in which a fault is planted:

    >>> from headcheck.reference.faults.catalogue import fault_named
    >>> fault_named("ScaleByModel").subject("torch")
    'headcheck.reference.faults.on_torch:ScaleByModel'
"""

from __future__ import annotations

from . import (
    batch,
    causal,
    coincidences,
    cost,
    divisibility,
    dropout,
    empty_rows,
    gradients,
    heads,
    initialisation,
    long_sequences,
    masks,
    numbers,
    order,
    padding,
    paths,
    projections,
    scale,
    shapes,
    softmax,
    state,
)
from .fault import Fault, planted

FAMILIES = (
    divisibility,
    shapes,
    projections,
    scale,
    softmax,
    masks,
    padding,
    empty_rows,
    causal,
    heads,
    order,
    batch,
    coincidences,
    long_sequences,
    state,
    paths,
    numbers,
    gradients,
    dropout,
    initialisation,
    cost,
)
FAULTS: tuple[Fault, ...] = tuple(fault for family in FAMILIES for fault in planted(family))


def fault_named(name: str) -> Fault:
    """Return the fault of this name; KeyError where there is none."""
    return {fault.name: fault for fault in FAULTS}[name]
