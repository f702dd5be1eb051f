"""How a script turns what an implementation stores into the arrays of `Parameters`, (in, out)."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from .protocol import Build
from .storage import Slot, axes_of

Stored = tuple[str, Slot, tuple[int, ...]]  # the source of a stored array, its slot, its shape


def canonical(stored: Iterable[Stored], build: Build) -> dict[str, str]:
    """Return the source of each parameter, (in, out), by that of the arrays in which it is stored."""
    parts: dict[str, list[str]] = {}
    for source, slot, shape in stored:
        for place, name in enumerate(slot.names):
            parts.setdefault(name, []).append(_turned(source, slot, shape, place, build))
    return {
        name: of_heads[0]
        if len(of_heads) == 1
        else f"np.concatenate([{', '.join(of_heads)}], {_along(name)})"
        for name, of_heads in parts.items()
    }


def _along(name: str) -> int:
    """Return the axis of a parameter along which the heads lie."""
    return 0 if name == "W_o" else -1


def _turned(source: str, slot: Slot, shape: tuple[int, ...], place: int, build: Build) -> str:
    """Return the source of a parameter, or of one head of it, as `Parameters` has it."""
    sizes = slot.sizes(build)
    axes = [axis for axis in axes_of(slot.names[0]) if axis != "r"]
    order = [axis for axis in slot.order if axis != "r" or len(slot.names) > 1]
    whole = tuple(sizes[axis] for axis in axes)
    flat = tuple(size for size, axis in zip(whole, axes, strict=True) if axis not in {"h", "k"})
    width = sizes.get("h", 1) * sizes.get("k", 1)
    if prod(shape) != prod(sizes.values()):
        return source  # as it is, for it does not hold the numbers expected of it
    flat = (width, *flat) if axes[0] == "h" else (*flat, width) if "h" in axes else flat
    if len(slot.names) > 1:
        source, shape = f"{source}.reshape({', '.join(str(sizes[axis]) for axis in order)})", ()
        if order[0] == "r":
            source, order = f"{source}[{place}]", order[1:]
    if order == axes:
        return source if shape == flat else f"{source}.reshape({', '.join(map(str, flat))})"
    if order in (["h", "k", "in"], ["out", "h", "k"]):
        return f"{source}.T" if shape == flat[::-1] else f"{source}.reshape({flat[1]}, {flat[0]}).T"
    if "r" not in order:
        apart = f"{source}.reshape({', '.join(str(sizes[axis]) for axis in order)})"
        moved = f"{apart}.transpose({', '.join(str(order.index(axis)) for axis in axes)})"
    else:
        moved = f"{source}.transpose({', '.join(str(order.index(axis)) for axis in ('r', *axes))})[{place}]"
    return f"{moved}.reshape({', '.join(map(str, flat))})"
