"""What counting an implementation's operations gives: numbers, and what could not be counted.

A product of (a, b) with (b, c) is 2 a b c operations, multiply and add counted apart.  Elementwise work is
one operation an element and a reduction one for each element it takes in; moving, comparing and selecting
cost nothing.  A counter never guesses: what it cannot price it names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PRODUCTS = frozenset({"matmul", "fused attention", "convolution"})  # the rest is elementwise
_UNKNOWN = "unknown: "
_AT_MOST = "at most: "
_BACKWARD = "backward "


@dataclass(frozen=True)
class Count:
    """Operations by kind, forward; what is not in them; and why they are an upper bound, where they are."""

    by_kind: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    at_most: tuple[str, ...] = ()
    backward: Mapping[str, int] = field(default_factory=dict)

    @property
    def products(self) -> int:
        """Operations of sums of products: matrix products, however they are done."""
        return sum(number for kind, number in self.by_kind.items() if kind in PRODUCTS)

    @property
    def elementwise(self) -> int:
        """All other operations."""
        return self.total - self.products

    @property
    def total(self) -> int:
        """All operations."""
        return sum(self.by_kind.values())

    @property
    def multiplications(self) -> int:
        """Multiplications, where they are told apart: half of a product, and those of single elements."""
        return self.products // 2 + self.by_kind.get("multiplication", 0)

    def to_mapping(self) -> dict[str, int]:
        """Return the count as names and integers, the form in which it leaves an adapter."""
        return {
            **self.by_kind,
            **{_BACKWARD + kind: number for kind, number in self.backward.items()},
            **{_UNKNOWN + reason: 1 for reason in self.unknown},
            **{_AT_MOST + reason: 1 for reason in self.at_most},
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, int]) -> Count:
        """Return the count that `to_mapping` wrote."""

        def named(prefix: str) -> dict[str, int]:
            return {key[len(prefix) :]: n for key, n in mapping.items() if key.startswith(prefix)}

        plain = {k: n for k, n in mapping.items() if not k.startswith((_UNKNOWN, _AT_MOST, _BACKWARD))}
        return cls(plain, tuple(named(_UNKNOWN)), tuple(named(_AT_MOST)), named(_BACKWARD))


class Tally:
    """A count in the making."""

    def __init__(self) -> None:
        self._by_kind: Counter[str] = Counter()
        self._unknown: dict[str, None] = {}  # in the order met, each once
        self._at_most: dict[str, None] = {}

    def add(self, kind: str, operations: int) -> None:
        """Count operations of one kind."""
        if operations:
            self._by_kind[kind] += operations

    def give_up(self, what: str) -> None:
        """Name what cannot be counted."""
        self._unknown[what] = None

    def take(self, count: Count, times: int = 1) -> None:
        """Count what another count holds, this many times over."""
        for kind, operations in count.by_kind.items():
            self.add(kind, times * operations)
        self._unknown.update(dict.fromkeys(count.unknown))
        self._at_most.update(dict.fromkeys(count.at_most))

    def take_dearest(self, alternatives: Iterable[Count], what: str) -> None:
        """Count the dearest of several ways, of which only one is gone; say so where they differ."""
        counts = sorted(alternatives, key=lambda count: (count.products, count.elementwise))
        self.take(counts[-1])
        for count in counts:
            self._unknown.update(dict.fromkeys(count.unknown))
        if counts[0].products != counts[-1].products:
            self._at_most[f"{what} between {counts[0].products} and {counts[-1].products} operations"] = None

    def count(self, backward: Count | None = None) -> Count:
        """Return what was counted so far."""
        gradients = backward if backward is not None else Count()
        unknown = (*self._unknown, *(f"{what} (backward)" for what in gradients.unknown))
        return Count(dict(self._by_kind), unknown, tuple(self._at_most), gradients.by_kind)
