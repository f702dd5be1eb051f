"""Faults of a mask of padding: alone, or as a second mask beside that of the queries."""

from __future__ import annotations

from typing import Any

from .fault import MUTABLE, fault
from .steps import Array, Steps


class Padded(Steps):
    """Takes a second mask, of padding, True where a key is padding: override `kept`, or `joined`."""

    def kept(self, padding: Array) -> Array:
        """Return which keys of each example are no padding, over (B, n_k)."""
        return ~padding

    def joined(self, mask: Array | None, kept: Array) -> Array:
        """Return the one mask that is used for both."""
        kept = kept[:, None, None, :]
        return kept if mask is None else kept & (mask != 0)

    def forward(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        key_padding_mask: Array | None = None,
        *,
        is_causal: bool = False,
        **options: Any,
    ) -> tuple[Array, Array]:
        """Attend with both masks together."""
        if key_padding_mask is not None:
            mask = self.joined(mask, self.kept(key_padding_mask))
        return super().forward(Q, K, V, mask, is_causal=is_causal, **options)


@fault("MASK-NONINTERFERENCE", on=MUTABLE)
class PaddingOfFirstExample(Padded):
    """A second mask, of padding, is the first example's for all."""

    def kept(self, padding: Array) -> Array:
        return ~padding[:1]


@fault("MASK-REMOVAL", on=MUTABLE)
class PaddingMoved(Padded):
    """A second mask, of padding, is moved by one key."""

    def kept(self, padding: Array) -> Array:
        order = self.xp.arange(padding.shape[1]) - 1
        return ~padding[:, order]


@fault("MASK-COMBINE", on=MUTABLE)
class PairsForgottenBesidePadding(Padded):
    """A mask (n_q, n_k) is forgotten where there is padding as well."""

    def joined(self, mask: Array | None, kept: Array) -> Array:
        return super().joined(None if mask is not None and mask.ndim == 2 else mask, kept)


@fault("MASK-COMBINE", on=MUTABLE)
class PaddingForgottenBesideNumbers(Padded):
    """Padding is forgotten beside a mask of whole numbers."""

    def joined(self, mask: Array | None, kept: Array) -> Array:
        if mask is not None and "int" in str(mask.dtype):
            return mask
        return super().joined(mask, kept)


@fault("MASK-PURE", on=MUTABLE)
class FirstPaddingOfAShapeServesAll(Padded):
    """The first padding of a shape is kept, and used for every later one of that shape."""

    def kept(self, padding: Array) -> Array:
        known: dict[object, Array] = self.__dict__.setdefault("paddings", {})
        return ~known.setdefault(tuple(padding.shape), padding * 1 != 0)


@fault("MASK-PURE", on=MUTABLE)
class PaddingInvertedInPlace(Padded):
    """The caller's padding is inverted where it lies."""

    def kept(self, padding: Array) -> Array:
        self.overwrite(padding, ~padding)
        return padding * 1 != 0


class PaddingAlone(Steps):
    """Takes no mask but one of padding, True where a key is padding: override `kept`."""

    def kept(self, padding: Array) -> Array | None:
        """Return the mask that is used."""
        return ~padding[:, None, None, :]

    def forward(  # type: ignore[override]
        self, Q: Array, K: Array, V: Array, key_padding_mask: Array | None = None
    ) -> tuple[Array, Array]:
        """Attend to what is no padding."""
        return super().forward(Q, K, V, None if key_padding_mask is None else self.kept(key_padding_mask))


@fault("MASK-EFFECT", "B023")
class PaddingIgnored(PaddingAlone):
    """The only mask there is, one of padding, has no effect."""

    def kept(self, padding: Array) -> Array | None:
        return None


@fault("MASK-REMOVAL", "B014")
class PaddingInverted(PaddingAlone):
    """The only mask there is keeps the padding and blocks all else."""

    def kept(self, padding: Array) -> Array | None:
        return padding[:, None, None, :]
