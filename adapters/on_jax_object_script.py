"""The script of a call of somebody's own JAX class: how it is imported, made, filled and called."""

from __future__ import annotations

from typing import Any

from .discovery import Matched
from .importing import name_of, statements
from .literals import assign, number
from .on_jax_leaves import leaves
from .on_jax_method import BARE, Method
from .on_jax_objects import Objects
from .on_jax_script import Source, header
from .on_jax_slots import WRAPPERS, Slot
from .protocol import Build, Call, SubjectError, Variant


def object_source(objects: Objects, method: Method, call: Call, variant: Variant) -> Source:
    """Return what the script of a call of this class needs besides its arrays.

    Raises:
        SubjectError: the constructor takes a configuration object, which only its owner can write.
    """
    if "config" in objects.constructor:
        raise SubjectError(f"{objects.subject}: no script, for its constructor takes a configuration object")
    made, arguments = constructed(objects, call.build), called(method.matched, call, variant)
    name = "" if method.name == "__call__" else f".{method.name}"
    where = method.answer
    if variant.weights:
        weights = f"module.{where.kept}" if where.kept else f"returned[{where.weights}]"
        results = f"returned{'' if where.kept else f'[{where.output}]'}, {weights}"
    else:
        results = f"returned[{where.output}] if isinstance(returned, tuple | list) else returned"
    nnx = ["from flax import nnx"] if "nnx." in made + arguments else []
    return Source(
        imports=[*statements(objects.subject, objects.implementation), *nnx],
        setup=[f"module = {made}", *(assigned(objects, call) if call.parameters else cast(objects, call))],
        attend=[f"returned = module{name}({arguments})", f"return {results}"],
    )


def object_alone(objects: Objects, call: Call, of: str) -> list[str]:
    """Return a script of an object that is not called: it is made, and, if that is asked for, read."""
    made = constructed(objects, call.build)
    nnx = ["from flax import nnx"] if "nnx." in made else []
    lines = [*header(call, [*statements(objects.subject, objects.implementation), *nnx]), f"module = {made}"]
    if of == "module":
        return lines
    if call.parameters is not None:
        dtype = f"jnp.{call.build.dtype}"
        for name, array in call.parameters.items():
            lines += assign(name, array, "jnp", dtype)
        lines += assigned(objects, call)
    held = leaves(objects.construct(call.build))
    return [*lines, *(read(name, slot) for name, slot in objects.slots.items() if slot.names in held)]


def cast(objects: Objects, call: Call) -> list[str]:
    """Return the lines that give the object's own weights the dtype of the call."""
    if call.build.dtype == "float32":
        return []
    dtype = f"jnp.{call.build.dtype}"
    held = leaves(objects.construct(call.build))
    slots = {name: slot for name, slot in objects.slots.items() if slot.names in held}
    return [
        *(read(name, slot, f"jnp.asarray({{}}, dtype={dtype})") for name, slot in slots.items()),
        *assigned(objects, call),
    ]


def read(name: str, slot: Slot, array: str = "np.asarray({}, dtype=np.float64)") -> str:
    """Return the line that reads a parameter from ``module``."""
    path = ".".join(one for one in slot.names if one not in WRAPPERS)
    return f"{name} = {array.format(f'module.{path}')}{'.T' if slot.transposed else ''}"


def constructed(objects: Objects, build: Build) -> str:
    """Return source that makes a module; what is as usual is left to the constructor's defaults.

    Raises:
        SubjectError: the constructor takes a configuration object, which only its owner can write.
    """
    if "config" in objects.constructor:
        raise SubjectError(f"{objects.subject}: no script, for its constructor takes a configuration object")
    matched = objects.constructor
    source = {
        "d_model": f"{build.d_model}",
        "num_heads": f"{build.num_heads}",
        "num_kv_heads": f"{build.num_heads}",
        "d_k": f"{build.d_k if build.num_heads else 0}",
        "bias": f"{build.bias}",
        "dropout": number(build.dropout),
        "scale": f"{build.scale}",
        "seed": f"{build.seed}",
        "length": "1024",
        "need weights": "True",
        "key": f"jax.random.key({build.seed})",
        "rngs": f"nnx.Rngs({build.seed})",
        "dtype": f"jnp.{build.dtype}",
        "param dtype": f"jnp.{build.dtype}",
    }
    usual = {
        "bias": build.bias,
        "dropout": build.dropout == 0,
        "scale": build.scale is None,
        "seed": True,
        "length": True,
        "key": True,
    }
    for role, left_out in usual.items():
        if left_out and not matched.required.intersection(matched.names.get(role, ())):
            del source[role]
    name = name_of(objects.subject, objects.implementation)
    return f"{name}({_listed(*matched.arguments(source))})"


def assigned(objects: Objects, call: Call) -> list[str]:
    """Return the lines that put the weights into ``module``; zeros into a bias that the call lacks."""
    targets: dict[str, str] = {}
    lines = []
    for name, slot in objects.slots.items():
        value = name + (".T" if slot.transposed else "")
        missing = not call.build.bias if call.parameters is None else getattr(call.parameters, name) is None
        if missing and name.startswith("b"):
            if "bias" in objects.constructor:
                continue
            value = f"jnp.zeros({call.build.d_model}, dtype=jnp.{call.build.dtype})"
        if len(slot.names) == 1 and not objects.frozen:
            targets[f"module.{slot.names[0]}"] = value
        else:
            lines.append(_assignment(objects, slot, value))
    together = [f"{', '.join(targets)} = {', '.join(targets.values())}"] if targets else []
    return [*together, *lines]


def called(method: Matched, call: Call, variant: Variant) -> str:
    """Return the arguments of the method."""
    key = f"jax.random.key({call.seed})"
    source = {"query": "query", "key": "key", "value": "value", "memory": "key"}
    source["need weights"] = f"{variant.name != BARE}"
    if call.mask is not None:
        additive = call.mask.form == "additive" and "additive" in method
        source["additive" if additive else "mask"] = "mask"
    if call.padding is not None:
        source["padding"] = "padding"
    if call.causal:
        source["causal"] = "True"
    if call.build.scale is not None:
        source["scale"] = f"{call.build.scale}"
    if call.build.dropout:
        source |= {"training": f"{call.training}", "deterministic": f"{not call.training}"}
    if call.training:
        source |= {"dropout key": key, "rngs": f"nnx.Rngs(dropout={key})"}
    return _listed(*method.arguments(source))


def _listed(arguments: list[Any], keywords: dict[str, Any]) -> str:
    return ", ".join([*map(str, arguments), *(f"{name}={text}" for name, text in keywords.items())])


def _assignment(objects: Objects, slot: Slot, value: str) -> str:
    """Return the line that puts a value into a slot, as the object allows it."""
    names = [name for name in slot.names if name not in WRAPPERS]
    holder, own = "module", objects.trial
    for name in names[:-1]:
        is_entry = isinstance(own, dict)
        holder += f"[{name!r}]" if is_entry else f".{name}"
        own = own[name] if is_entry else getattr(own, name)
    if isinstance(own, dict):
        return f"{holder}[{names[-1]!r}] = {value}"
    if len(names) < len(slot.names):
        return f"{holder}.{names[-1]}.set_value({value})"
    if objects.frozen:
        return f"object.__setattr__({holder}, {names[-1]!r}, {value})"
    return f"{holder}.{names[-1]} = {value}"
