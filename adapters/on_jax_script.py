"""One call as a script of plain JAX: the imports, the arrays, a function ``attend``, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

import jax
import numpy as np

from .literals import assign
from .on_jax_masks import handed_over, one_page_an_example
from .protocol import Call, Variant

X64 = "jax.enable_x64(True)" if hasattr(jax, "enable_x64") else "jax.experimental.enable_x64()"


@dataclass(frozen=True)
class Source:
    """What an implementation adds to the script.

    ``attend`` is the body of a function of query, key, value, mask (and padding, where the call has one)
    that returns output and weights, or output alone where the variant returns no weights.  It finds the
    weights of the call by their names in `Parameters`, and what ``setup`` has defined.
    """

    imports: Sequence[str]
    setup: Sequence[str]
    attend: Sequence[str]


def script(call: Call, variant: Variant, source: Source) -> list[str]:
    """Return a script that ends with NumPy arrays ``output`` and, where they are returned, ``weights``."""
    names = ["query", "key", "value", "mask", *(["padding"] if call.padding is not None else [])]
    body = [
        *arrays(call),
        *source.setup,
        f"def attend({', '.join(names)}):",
        *(f"    {line}" for line in source.attend),
        *performed(call, variant, names),
    ]
    if call.build.dtype == "float64":
        body = [f"with {X64}:", *indent("\n".join(body), "    ").splitlines()]
    return ["import jax", "import jax.numpy as jnp", "import numpy as np", *source.imports, *body]


def arrays(call: Call) -> list[str]:
    """Return the arguments of the call and its weights."""
    dtype = f"jnp.{call.build.dtype}"
    lines = assign("query", call.query, "jnp", dtype)
    lines += ["key = query"] if call.key is call.query else assign("key", call.key, "jnp", dtype)
    lines += ["value = key"] if call.value is call.key else assign("value", call.value, "jnp", dtype)
    kinds = {"bool": "bool", "int": "jnp.int32"}
    if call.mask is None:
        lines += ["mask = None"]
    else:
        mask = handed_over(call.mask, np.dtype(np.float64))
        lines += assign("mask", mask, "jnp", kinds.get(call.mask.form, dtype))
    if call.padding is not None:
        lines += assign("padding", call.padding, "jnp", "bool")
    for name, array in [] if call.parameters is None else call.parameters.items():
        lines += assign(name, array, "jnp", dtype)
    return lines


def performed(call: Call, variant: Variant, names: Sequence[str]) -> list[str]:
    """Return the lines that call ``attend`` the way the variant does."""
    given = ["query", "query", "query", *names[3:]] if variant.self_attention else list(names)
    results = ["output", "weights"] if variant.weights else ["output"]
    how, pick = "attend" if variant.name == "eager" else "jax.jit(attend)", ""
    if variant.name == "vmap":
        mapped = [
            name != "mask" or one_page_an_example(call.mask and call.mask.allowed, len(call.query))
            for name in names
        ]
        given = [f"{name}[:, None]" if over else name for name, over in zip(given, mapped, strict=True)]
        how, pick = (
            f"jax.jit(jax.vmap(attend, in_axes=({', '.join('0' if over else 'None' for over in mapped)})))",
            "[:, 0]",
        )
    return [
        f"{', '.join(results)} = {how}({', '.join(given)})",
        *(f"{name} = np.asarray({name}{pick}, dtype=np.float64)" for name in results),
    ]
