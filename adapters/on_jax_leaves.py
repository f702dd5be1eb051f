"""The arrays that an object holds, by the names that lead to them, and a copy that holds others.

A class that JAX knows as a pytree (equinox, flax.nnx, a registered dataclass) is taken apart and rebuilt
by JAX itself.  Any other object is copied, frozen or not; its arrays may stand in attributes, and in the
attributes or entries of what those hold, as a layer holds its kernel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey, GetAttrKey, all_leaves, tree_flatten_with_path, tree_unflatten

Names = tuple[str, ...]
DEPTH = 4  # of the longest way to an array: heads, 0, query, kernel


def is_array(value: Any) -> bool:
    """Return whether a value is an array of JAX or NumPy, a tracer included."""
    return isinstance(value, jax.Array | np.ndarray)


def leaves(module: Any) -> dict[Names, Any]:
    """Return every array of a module."""
    if _is_named_tree(module):
        flat, _ = tree_flatten_with_path(module)
        return {_names(path): leaf for path, leaf in flat if is_array(leaf)}
    return dict(_walk(module))


def with_leaves(module: Any, arrays: Mapping[Names, Any]) -> Any:
    """Return a copy of a module that holds these arrays where they are named, and otherwise its own."""
    if _is_named_tree(module):
        flat, structure = tree_flatten_with_path(module)
        return tree_unflatten(structure, [arrays.get(_names(path), leaf) for path, leaf in flat])
    fresh = copy.deepcopy(module, {id(array): array for array in leaves(module).values()})
    for names, array in arrays.items():
        fresh = _put(fresh, names, array)
    return fresh


def sketched(construct: Callable[[], Any]) -> tuple[Any, dict[Names, Any]]:
    """Return what `construct` returns, traced so that nothing is computed, and zeros for its arrays.

    Whatever the constructor raises is let through; among it JAX's own errors, where it cannot be traced.
    """
    made: list[Any] = []

    def trace() -> dict[Names, Any]:
        made.append(construct())
        return {names: leaf for names, leaf in leaves(made[0]).items() if isinstance(leaf, jax.Array)}

    shapes = jax.eval_shape(trace)
    return made[0], {names: jnp.zeros(leaf.shape, leaf.dtype) for names, leaf in shapes.items()}


def is_named_tuple(value: Any) -> bool:
    """Return whether a value is a tuple whose items have names."""
    return isinstance(value, tuple) and hasattr(value, "_replace")


def _is_named_tree(module: Any) -> bool:
    """Return whether JAX takes this object apart, and by names that a person gave."""
    if all_leaves([module]):
        return False
    flat, _ = tree_flatten_with_path(module)
    return all(isinstance(path[0], GetAttrKey | DictKey) for path, _ in flat)


def _names(path: tuple[Any, ...]) -> Names:
    return tuple(str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", "")))) for key in path)


def _walk(holder: Any, depth: int = DEPTH) -> Iterator[tuple[Names, Any]]:
    for name, value in _members(holder).items():
        if is_array(value):
            yield (str(name),), value
        elif depth > 1:
            for names, array in _walk(value, depth - 1):
                yield (str(name), *names), array


def _put(holder: Any, way: Names, array: Any) -> Any:
    """Put an array where a way leads, and return the holder: another one where that is a tuple."""
    name, *rest = way
    held = _members(holder)[name]
    value = _put(held, tuple(rest), array) if rest else array
    if value is held:
        return holder
    if is_named_tuple(holder):
        return holder._replace(**{name: value})
    if isinstance(holder, tuple):
        return type(holder)(value if str(i) == name else item for i, item in enumerate(holder))
    if isinstance(holder, dict):
        holder[name] = value
    elif isinstance(holder, list):
        holder[int(name)] = value
    else:
        object.__setattr__(holder, name, value)
    return holder


def _members(holder: Any) -> Mapping[str, Any]:
    if isinstance(holder, dict):
        return holder
    if is_named_tuple(holder):
        return dict(holder._asdict())
    if isinstance(holder, list | tuple):
        return {str(i): value for i, value in enumerate(holder)}
    return {} if isinstance(holder, type | ModuleType) else getattr(holder, "__dict__", {})
