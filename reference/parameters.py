"""The weights of one multi-head attention, in the one form everything in headcheck speaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64

    Matrix = Float64[np.ndarray, "d d"]
    Vector = Float64[np.ndarray, "d"]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Four projections, float64, stored (in, out): a projected row is ``x @ W + b``.

    Head ``i`` owns the columns ``i * d_k`` to ``(i + 1) * d_k`` of ``W_q``, ``W_k`` and ``W_v`` and the
    same rows of ``W_o``.  A bias that the implementation does not have is ``None``.
    """

    W_q: Matrix
    W_k: Matrix
    W_v: Matrix
    W_o: Matrix
    b_q: Vector | None = None
    b_k: Vector | None = None
    b_v: Vector | None = None
    b_o: Vector | None = None

    @property
    def d_model(self) -> int:
        """Width of the model, the length of one token's vector."""
        return int(self.W_q.shape[0])

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and the array of every parameter that exists."""
        for field in fields(self):
            array = getattr(self, field.name)
            if array is not None:
                yield field.name, array
