"""The script of a call of somebody's own JAX class: how it is imported, made, filled and called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .discovery import LONGEST
from .importing import name_of, statements
from .literals import assign, number
from .on_jax_leaves import Names, is_named_tuple, leaves
from .on_jax_linen import Bound, is_nnx
from .on_jax_masks import of_examples
from .on_jax_method import BARE, Method
from .on_jax_objects import Objects
from .on_jax_script import Source, header
from .on_jax_slots import unwrapped
from .protocol import Build, Call, SubjectError, Variant
from .scripting_storage import canonical
from .storage import Slot


def object_source(objects: Objects, method: Method, call: Call, variant: Variant) -> Source:
    """Return what the script of a call of this class needs besides its arrays.

    Raises:
        SubjectError: the constructor takes a configuration object, which only its owner can write.
    """
    module, arguments = constructed(objects, call.build), called(method, call, variant)
    linen = isinstance(objects.trial, Bound)
    if linen:
        keyed = [f'rngs={{"dropout": jax.random.key({call.seed})}}'] if call.training else []
        arguments = ", ".join(['{"params": params}', arguments, *keyed])
    name = ".apply" if linen else "" if method.name == "__call__" else f".{method.name}"
    made, where = f"module{name}({arguments})", method.answer
    if variant.weights:
        weights = f"module.{where.kept}" if where.kept else f"returned{where.weights}"
        results = f"returned{where.output}, {weights}"
    elif variant.name == BARE and where.output:  # the output alone, or among others
        results = f"returned if hasattr(returned, 'shape') else returned{where.output}"
    else:
        results = f"returned{where.output}"
    nnx = ["from flax import nnx"] if "nnx." in module + arguments else []
    mode = [f"module.{'train' if call.training else 'eval'}()"] if is_nnx(objects.trial) else []
    return Source(
        imports=[*statements(objects.subject, objects.implementation), *nnx],
        setup=[
            f"module = {module}",
            *mode,
            *(assigned(objects, call) if call.parameters else cast(objects, call)),
        ],
        attend=[f"returned = {mapped(call, made) if method.single else made}", f"return {results}"],
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
    held = leaves(objects.template(replace(call.build, seed=0)))
    stored = [
        (f"np.asarray({_reached(objects, call, names)[0]}, dtype=np.float64)", slot, tuple(held[names].shape))
        for slot, names in own(objects, call)
    ]
    return [*lines, *(f"{name} = {source}" for name, source in canonical(stored, call.build).items())]


def own(objects: Objects, call: Call) -> list[tuple[Slot, Names]]:
    """Return the slots of an object, and where it keeps each.

    Raises:
        SubjectError: they are beside it, as a linen module's are.
    """
    if isinstance(objects.trial, Bound):
        raise SubjectError(f"{objects.subject}: no script, for a linen module holds no weights")
    places = objects.places(call.build)
    return [(slot, places.of(slot)) for slot in places.slots]


def cast(objects: Objects, call: Call) -> list[str]:
    """Return the lines that give the object's own weights the dtype of the call."""
    slots = own(objects, call)
    if call.build.dtype == "float32":
        return []
    made = "jnp.asarray({}, dtype=jnp." + call.build.dtype + ")"
    return [
        _assignment(objects, call, names, made.format(_reached(objects, call, names)[0]))
        for _, names in slots
    ]


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
        "length": f"{LONGEST}",
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
        if left_out and not matched.requires(role):
            del source[role]
    name = name_of(objects.subject, objects.implementation)
    return f"{name}({_listed(*matched.arguments(source))})"


def assigned(objects: Objects, call: Call) -> list[str]:
    """Return the lines that put the weights into ``module``; zeros into a bias that the call lacks.

    A linen module is given them beside it, as ``params``.
    """
    linen = isinstance(objects.trial, Bound)
    targets: dict[str, str] = {}
    beside: dict[Names, str] = {}
    lines = []
    places, held = objects.places(call.build), leaves(objects.template(replace(call.build, seed=0)))
    for slot in places.slots:
        names, shape = places.of(slot), tuple(held[places.of(slot)].shape)
        value = slot.source(call.build, shape, "jnp")
        if getattr(call.parameters, slot.names[0]) is None:
            if "bias" in objects.constructor:
                continue
            value = f"jnp.zeros({shape}, dtype=jnp.{call.build.dtype})"
        if linen:
            beside[names[1:]] = value
        elif len(names) == 1 and not objects.frozen:
            targets[f"module.{names[0]}"] = value
        else:
            lines.append(_assignment(objects, call, names, value))
    if linen:
        return [f"params = {nested(beside)}"]
    together = [f"{', '.join(targets)} = {', '.join(targets.values())}"] if targets else []
    return [*together, *lines]


def mapped(call: Call, made: str) -> str:
    """Return source of a call that takes one example, made on all of them."""
    names, axes, given = ["query", "key", "value"], ["0"] * 3, ["query", "key", "value"]
    page = None if call.mask is None else of_examples("mask", call.mask.allowed, len(call.query))
    if page:
        first = page[1] is None
        names, axes = [*names, "mask"], [*axes, "None" if first else "0"]
        given = [*given, "mask[0]" if first else "mask"]
    return f"jax.vmap(lambda {', '.join(names)}: {made}, ({', '.join(axes)}))({', '.join(given)})"


def nested(sources: Mapping[Names, str]) -> str:
    """Return source of nested dicts."""
    if () in sources:
        return sources[()]
    tops = dict.fromkeys(names[0] for names in sources)
    below = {top: {names[1:]: source for names, source in sources.items() if names[0] == top} for top in tops}
    return "{" + ", ".join(f'"{top}": {nested(inner)}' for top, inner in below.items()) + "}"


def called(method: Method, call: Call, variant: Variant) -> str:
    """Return the arguments of the method."""
    key = f"jax.random.key({call.seed})"
    source = {"query": "query", "key": "key", "value": "value"}
    if method.matched.requires("memory") or (method.memory and not variant.self_attention):
        source["memory"] = "key"
    source["need weights"] = f"{variant.name != BARE}"
    if call.mask is not None:
        additive = call.mask.additive and "additive" in method.matched
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
    return _listed(*method.matched.arguments(source))


def _listed(arguments: list[Any], keywords: dict[str, Any]) -> str:
    return ", ".join([*map(str, arguments), *(f"{name}={text}" for name, text in keywords.items())])


def _assignment(objects: Objects, call: Call, path: Names, value: str) -> str:
    """Return the line that puts a value where a path leads, as the object allows it."""
    place, _ = _reached(objects, call, path)
    if len(unwrapped(path)) < len(path):
        return f"{place}.set_value({value})"
    above, holder = _reached(objects, call, path[:-1])
    if path and isinstance(holder, tuple):  # which is made anew, for it cannot be written to
        return _assignment(objects, call, path[:-1], _with_item(above, holder, path[-1], value))
    if objects.frozen and not place.endswith("]"):
        holder, _, name = place.rpartition(".")
        return f"object.__setattr__({holder}, {name!r}, {value})"
    return f"{place} = {value}"


def _with_item(place: str, holder: tuple[Any, ...], name: str, value: str) -> str:
    """Return source of a tuple with another item of this name or number."""
    if is_named_tuple(holder):
        return f"{place}._replace({name}={value})"
    items = [f"{place}[{i}]" for i in range(len(holder))]
    items[int(name)] = value
    return f"({', '.join(items)},)"


def _reached(objects: Objects, call: Call, path: Names) -> tuple[str, Any]:
    """Return source of what a path leads to, from ``module``, and what that is."""
    place, own = "module", objects.template(replace(call.build, seed=0))
    for name in unwrapped(path):
        if isinstance(own, dict):
            place, own = f"{place}[{name!r}]", own[name]
        elif isinstance(own, list | tuple) and not is_named_tuple(own):
            place, own = f"{place}[{name}]", own[int(name)]
        else:
            place, own = f"{place}.{name}", getattr(own, name)
    return place, own
