"""Compiling for little use: every shape of a run is new once, and called a handful of times.

By default XLA spends most of its time on making machine code fast.  Told not to, it compiles a layer for a
new shape in a quarter of the time, from the same optimised graph; how fast the code runs makes no
difference to a call of a few hundred numbers.  And what is compiled stays: two thirds of a megabyte
for each shape.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cache, partial
from typing import Any

import jax

QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}
KEPT = 48  # shapes


class Compiled:
    """A function whose first argument is static, compiled for each shape; what was not called for long goes.

    Compiled ahead of its call, for what `jax.jit` remembers of a shape is thrice what XLA makes of it.
    """

    def __init__(self, function: Callable[..., Any], *, quick: bool = True, kept: int = KEPT):
        self._function = function
        self._options = QUICK if quick and _knows_quick() else None
        self._limit = kept
        self._compiled: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()  # the latest used last

    def __call__(self, path: Hashable, *arguments: Any) -> Any:
        """Return what the function gives."""
        leaves, tree = jax.tree.flatten(arguments)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):  # counted or mapped, not called
            return self._function(path, *arguments)
        key = path, tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._compiled:
            options: dict[str, Any] = {"compiler_options": self._options} if self._options else {}
            jitted = jax.jit(partial(self._function, path), **options)
            self._compiled[key] = jitted.lower(*arguments).compile()
            if len(self._compiled) > self._limit:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return self._compiled[key](*arguments)


@cache
def _knows_quick() -> bool:
    """Return whether this XLA takes these options: they are those of the CPU, and not of every version."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0, compiler_options=QUICK)()
    except (TypeError, ValueError, RuntimeError):
        return False
    return True
