"""Compiling for little use: every shape of a run is new once and called a handful of times.

By default XLA spends most of its time on making machine code fast.  Told not to, it compiles a layer for a
new shape in a quarter of the time, from the same optimised graph; how fast the code runs makes no
difference to a call of a few hundred numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax

QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}


def jitted(function: Callable[..., Any], *, quick: bool) -> Any:
    """Return the function jitted, its first argument static; ``quick``: compiled with little optimisation."""
    if quick and _knows_quick():
        return jax.jit(function, static_argnums=0, compiler_options=QUICK)
    return jax.jit(function, static_argnums=0)


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
