"""What a call should give: the oracle's stages and the lawful distance from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from headcheck.adapters.protocol import Call, Conventions
from headcheck.reference.bound import Bounds, Noise, bounds, floors, spread, unresolved_rows
from headcheck.reference.dtypes import FORMATS
from headcheck.reference.oracle import EXACT, Arithmetic, Stages, attend, vjp
from headcheck.reference.parameters import Parameters

QUERIES = 128  # whose noisy runs are held in memory at once


def causal_mask(n_q: int, n_k: int, alignment: Literal["top-left", "bottom-right"]) -> np.ndarray:
    """Return the (n_q, n_k) mask in which query i sees key j for j <= i, or j <= i + n_k - n_q."""
    offset = n_k - n_q if alignment == "bottom-right" else 0
    return np.tri(n_q, n_k, offset, dtype=bool)


def allowed_keys(call: Call, conventions: Conventions) -> np.ndarray | None:
    """Return the intersection of all masks of a call over (B, h, n_q, n_k), or None where there is none."""
    shape = (len(call.query), call.build.num_heads, call.query.shape[1], call.key.shape[1])
    masks = []
    if call.mask is not None:
        masks.append(aligned(call.mask.allowed, shape, conventions.mask_shapes))
    if call.padding is not None:
        masks.append(call.padding[:, None, None, :])
    if call.causal:
        masks.append(causal_mask(*shape[2:], conventions.causal_alignment))
    if not masks:
        return None
    return np.asarray(np.logical_and.reduce([np.broadcast_to(mask, shape) for mask in masks]))


def aligned(mask: np.ndarray, shape: tuple[int, ...], accepted: tuple[str, ...]) -> np.ndarray:
    """Return a mask with its axes where they belong in (B, h, n_q, n_k).

    Right-aligned broadcasting, unless the only accepted shape of this rank is one that leaves out the
    head axis, "B n_q n_k" or "B n_k".
    """
    names = next((s.split() for s in accepted if len(s.split()) == mask.ndim and fits(mask, s, shape)), None)
    if names is None or mask.ndim == 4:
        return mask
    index = tuple(
        slice(None) if name in names or (name in {"B", "h"} and "1" in names) else None
        for name in ("B", "h", "n_q", "n_k")
    )
    return mask[index] if sum(part is not None for part in index) == mask.ndim else mask


def fits(mask: np.ndarray, names: str, shape: tuple[int, ...]) -> bool:
    """Return whether a mask can be one of the shape named."""
    sizes = dict(zip(("B", "h", "n_q", "n_k"), shape, strict=True))
    return all(n == sizes.get(name, 1) for n, name in zip(mask.shape, names.split(), strict=True))


@dataclass(frozen=True, eq=False)
class Expectation:
    """The oracle's answer to one call, computed when it is first asked for."""

    call: Call
    conventions: Conventions
    parameters: Parameters
    kept: np.ndarray | None = None  # by what dropout multiplied each weight, where that is known

    @cached_property
    def allowed(self) -> np.ndarray | None:
        """Which keys each query may see, over (B, h, n_q, n_k)."""
        return allowed_keys(self.call, self.conventions)

    @cached_property
    def empty_rows(self) -> np.ndarray:
        """Rows (B, h, n_q, 1) in which no key is allowed."""
        if self.allowed is None:
            return np.zeros(
                (len(self.call.query), self.call.build.num_heads, self.call.query.shape[1], 1), bool
            )
        return np.asarray(~self.allowed.any(axis=-1, keepdims=True))

    @np.errstate(invalid="ignore")  # NaN and infinity are given on purpose
    def _attend(self, arithmetic: Arithmetic = EXACT, rows: slice = slice(None)) -> Stages:
        """Run the oracle on some of the queries."""
        call, allowed = self.call, self.allowed
        return attend(
            self.parameters,
            call.build.num_heads,
            call.query[:, rows],
            call.key,
            call.value,
            allowed=None if allowed is None else allowed[:, :, rows],
            scale=call.build.scale,
            empty_row="uniform" if self.conventions.empty_row == "uniform" else "zeros",
            kept=None if self.kept is None else self.kept[:, :, rows],
            arithmetic=arithmetic,
        )

    @cached_property
    def exact(self) -> Stages:
        """Every stage, in float64."""
        return self._attend()

    @cached_property
    def _softmax_unit(self) -> float:
        name = self.conventions.softmax_dtype
        return FORMATS[name].unit if name else 0.0

    def _noise(self, seed: int = 0) -> Noise:
        softmax = FORMATS[self.conventions.softmax_dtype] if self.conventions.softmax_dtype else None
        return Noise(FORMATS[self.call.build.dtype], softmax=softmax, seed=seed)

    @cached_property
    def _noisy(self) -> Stages:
        return self._attend(arithmetic=self._noise())

    @cached_property
    def bounds(self) -> Bounds:
        """The lawful distance from `exact`, for output and weights.

        Infinite where the answer is not settled: in rows without a key before the convention is known.
        """
        n_q = self.call.query.shape[1]
        parts = [self._lawful(slice(start, start + QUERIES)) for start in range(0, max(n_q, 1), QUERIES)]
        lawful = Bounds(
            np.concatenate([part.output for part in parts], axis=1),
            np.concatenate([part.weights for part in parts], axis=2),
        )
        if self.conventions.empty_row != "unknown" or not self.empty_rows.any():
            return lawful
        unsettled = self.empty_rows.any(axis=1)
        return Bounds(
            np.where(unsettled, np.inf, lawful.output), np.where(self.empty_rows, np.inf, lawful.weights)
        )

    @np.errstate(invalid="ignore")
    def _lawful(self, rows: slice) -> Bounds:
        allowed = None if self.allowed is None else self.allowed[:, :, rows]
        exact, noisy = self._attend(EXACT, rows), self._attend(self._noise(), rows)
        return bounds(exact, noisy, allowed, self.parameters.W_o, self.call.build.dtype, self._softmax_unit)

    @cached_property
    def floors(self) -> Bounds:
        """A part of `bounds` that costs little to know."""
        scale = self.call.build.scale
        factor = self.call.build.d_k**-0.5 if scale is None else scale
        return floors(self.exact, factor, self.parameters.W_o, self.call.build.dtype)

    @cached_property
    def gradients(self) -> Mapping[str, np.ndarray]:
        """The vector-Jacobian product with the call's cotangent."""
        return self._vjp(self.exact)

    @cached_property
    def gradient_bounds(self) -> Mapping[str, np.ndarray]:
        """The lawful distance from `gradients`."""
        noise = self._noise()
        noisy = self._vjp(self._attend(noise), noise)
        tiny = 4.0 * FORMATS[self.call.build.dtype].smallest
        return {name: spread(exact, noisy[name]) + tiny for name, exact in self.gradients.items()}

    @np.errstate(invalid="ignore")
    def _vjp(self, stages: Stages, arithmetic: Arithmetic = EXACT) -> Mapping[str, np.ndarray]:
        call = self.call
        assert call.cotangent is not None
        return vjp(
            self.parameters,
            call.build.num_heads,
            call.query,
            call.key,
            call.value,
            stages,
            call.cotangent,
            scale=call.build.scale,
            empty=self.empty_rows,
            kept=self.kept,
            arithmetic=arithmetic,
        )

    @property
    def resolved(self) -> np.ndarray:
        """Rows (B, n_q) whose softmax the dtype settles in every head; gradients have a bound there alone."""
        unit = max(FORMATS[self.call.build.dtype].unit, self._softmax_unit)
        unresolved = unresolved_rows(self.exact, self._noisy, self.allowed, unit)
        return np.asarray(~unresolved.any(axis=(1, 3)))

    @property
    def representable(self) -> bool:
        """Whether no stage comes near the largest number of the dtype; otherwise no bound applies."""
        exact = self.exact
        stages = (exact.projected_query, exact.projected_key, exact.projected_value, exact.output)
        scores = exact.scores * np.sqrt(self.call.build.d_k)  # an implementation may scale afterwards
        peak = max(float(np.abs(x).max(initial=0.0)) for x in (*stages, scores))
        return peak <= FORMATS[self.call.build.dtype].largest / 4
