"""The faults on NumPy: ``on_numpy:ScaleByModel`` is the right implementation with that one step wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import on_numpy
from .catalogue import FAULTS
from .fault import classes
from .steps import Role


class Binding:
    """What faults call by one name, in NumPy's words."""

    xp = np

    def weight(self, role: Role) -> Any:
        """Return a projection's weights, (in, out)."""
        return getattr(self, f"W_{role}")

    def bias(self, role: Role) -> Any:
        """Return a projection's bias, or None."""
        return getattr(self, f"b_{role}")

    def assign(self, role: Role, weight: Any, bias: Any = None) -> None:
        """Put weights in, and a bias where one is given."""
        setattr(self, f"W_{role}", weight)
        if bias is not None:
            setattr(self, f"b_{role}", bias)

    def share(self, role: Role, other: Role) -> None:
        """Make one array serve two projections."""
        setattr(self, f"W_{role}", getattr(self, f"W_{other}"))

    def cast(self, x: Any, dtype: Any) -> Any:
        """Return x in another type, by its object or its name."""
        return x.astype(dtype)

    def overwrite(self, x: Any, values: Any) -> None:
        """Write into an array."""
        x[...] = values

    def as_stored(self, x: Any) -> Any:
        """Return what an array would be if it were contiguous."""
        if x.flags.c_contiguous:
            return x
        owner = x
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        return np.resize(owner.ravel(order="K"), x.shape)


globals().update(classes(FAULTS, "numpy", Binding, on_numpy.MultiHeadAttention))
