"""Compiling for little use: every shape of a run is new once, and called a handful of times.

By default XLA spends most of its time on making machine code fast.  Told not to, it compiles a layer for a
new shape in a quarter of the time, from the same optimised graph; how fast the code runs makes no
difference to a call of a few hundred numbers.  And what is compiled stays: two megabytes for each shape.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import jax

QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}
KEPT = 96  # shapes


class Compiled:
    """A function whose first argument is static, jitted; what was not called for long is forgotten."""

    def __init__(self, function: Callable[..., Any], *, quick: bool = True, kept: int = KEPT):
        self._function = function
        self._options = QUICK if quick and _knows_quick() else None
        self._limit = kept
        self._jitted: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()  # the latest used last
        self._shapes: Counter[Hashable] = Counter()

    def __call__(self, path: Hashable, *arguments: Any) -> Any:
        """Return what the function gives."""
        if path not in self._jitted:
            self._jitted[path] = self._jit(path)
        self._jitted.move_to_end(path)
        try:
            return self._jitted[path](*arguments)
        finally:
            while self._shapes.total() > self._limit:
                oldest, _ = self._jitted.popitem(last=False)
                del self._shapes[oldest]

    def _jit(self, path: Hashable) -> Callable[..., Any]:
        def traced(*arguments: Any) -> Any:
            self._shapes[path] += 1  # runs once for each new shape
            return self._function(path, *arguments)

        return jax.jit(traced, compiler_options=self._options) if self._options else jax.jit(traced)


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
