"""One call as a script of plain JAX: the imports, the arrays, a function ``attend``, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

from .literals import assign, with_imports
from .on_jax_masks import one_page_an_example
from .protocol import Call, Variant
from .scripting import shape_seen

X64 = 'jax.config.update("jax_enable_x64", True)'


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


def script(call: Call, variant: Variant, source: Source, of: str = "output") -> list[str]:
    """Return a script that ends with what is asked for, as `Adapter.script` says."""
    names = ["query", "key", "value", "mask", *(["padding"] if call.padding is not None else [])]
    attend = [f"def attend({', '.join(names)}):", *indented(source.attend)]
    lines = [*header(call, source.imports), *arrays(call)]
    if of == "operations":
        counted = f'operations = jax.jit(attend).lower({", ".join(names)}).cost_analysis()["flops"]'
        return with_imports([*lines, *source.setup, *attend, counted])
    if of.startswith("gradient of "):
        setup = [*source.setup, *attend]
        return with_imports([*lines, *differentiated(call, variant, setup, names, of)])
    shape = shape_seen(of.removeprefix("stage ")) if of.startswith("stage ") else []
    results = ["output", *(["weights"] if variant.weights else [])]
    converted = (f"{name} = np.asarray({name}, dtype=np.float64)" for name in results)
    called = [*performed(call, variant, names), *converted]
    return with_imports([*lines, *source.setup, *attend, *called, *shape])


def header(call: Call, imports: Sequence[str]) -> list[str]:
    """Return the imports of a script; JAX knows no float64 unless told."""
    own = ["import jax", "import jax.numpy as jnp", "import numpy as np", *imports]
    return [*own, X64] if call.build.dtype == "float64" else own


def differentiated(
    call: Call, variant: Variant, setup: Sequence[str], names: Sequence[str], of: str
) -> list[str]:
    """Return the lines that differentiate the call; what it depends on is made anew from the one argument."""
    assert call.cotangent is not None
    name = of.removeprefix("gradient of ")
    return [
        *assign("cotangent", call.cotangent, "jnp", f"jnp.{call.build.dtype}"),
        f"def attended({name}):",
        *indented([*setup, *performed(call, variant, names), "return output"]),
        f"output, pullback = jax.vjp(attended, {name})",
        "gradient = np.asarray(pullback(cotangent.astype(output.dtype))[0], dtype=np.float64)",
    ]


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines as the body of a statement."""
    return indent("\n".join(lines), "    ").splitlines()


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
        mask = call.mask.added(call.build.dtype) if call.mask.additive else call.mask.allowed
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
    plain = variant.name == "eager" or call.training  # compiled once, a seed would stay what it was
    how, pick = "attend" if plain else "jax.jit(attend)", ""
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
        *(f"{name} = {name}{pick}" for name in results if pick),
    ]
