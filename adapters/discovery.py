"""Discovery: which parameter, attribute and method of an implementation plays which part, by its name.

No framework is imported and nothing is called.  Whatever is matched is reported, and what cannot be
matched is a `SubjectError` that says what was looked for, what was found, and how to go on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .advice import advice as advice
from .configurations import CONSTRUCTOR_ROLES, VARIADIC, Configuration, configured
from .names import CONSTRUCTOR, FORWARD, LISTS, STAGES, normal, projection, table, usual
from .protocol import INPUTS, Build, SubjectError

MASKS = {"mask", "additive", "padding", "lengths"}
LONGEST = 1024  # for constructors that want the longest sequence
SCALARS = (bool, int, float, str)
POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY


@dataclass(frozen=True)
class Matched:
    """The parameters of one callable by their roles.

    ``names`` has every parameter of a role in the callable's order; a role that it lacks is absent.
    """

    signature: str  # "MyAttention(d_model, num_heads, dropout=0.1)", for messages
    names: Mapping[str, tuple[str, ...]]
    required: frozenset[str]  # names without a default
    positional: tuple[str, ...] = ()  # names that cannot be passed by keyword
    defaults: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()  # names of no known role, which keep their defaults

    def __contains__(self, role: str) -> bool:
        return role in self.names

    def requires(self, role: str) -> bool:
        """Return whether there is a parameter of this role that has no default."""
        return bool({*self.names.get(role, ())} & self.required)

    @property
    def x_alone(self) -> bool:
        """Whether a method takes one sequence, and no keys, mask or causal flag beside it."""
        return not {"key", "mask", "additive", "padding", "causal"} & self.names.keys()

    @property
    def one_memory(self) -> bool:
        """Whether a method takes a second sequence, and no mask of its own for it."""
        return "memory" in self.names and not {"key", "memory mask"} & self.names.keys()

    def arguments(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments that give each role its value.

        What is so by default is left out; what is required and has no value gets None.
        """
        named: dict[str, Any] = {}
        for role, names in self.names.items():
            for name in names:
                if role in values:
                    if not _same(values[role], self.defaults.get(name, inspect.Parameter.empty)):
                        named[name] = values[role]
                elif name in self.required:
                    named[name] = None
        return [named.pop(name) for name in self.positional if name in named], named

    def found(self, where: str) -> dict[str, str]:
        """Return what was matched, for `Declaration.found`."""
        found = {f"{where} {role}": ", ".join(names) for role, names in self.names.items()}
        return found | ({f"{where} left alone": ", ".join(self.left)} if self.left else {})


def never_given(forward: Matched, *, memory: bool) -> str:
    """Return the note on arguments that no call is given; "" where there are none.

    They are lengths, a second mask that is added, and, without ``memory``, a sequence beside x.
    """
    roles = ["lengths", *([] if memory else ["memory"]), *(["additive"] if "mask" in forward else [])]
    names = [name for role in roles for name in forward.names.get(role, ()) if name not in forward.required]
    return f"never given, and so not judged: {', '.join(names)}" if names else ""


_FORWARD_ROLES = table(FORWARD)


def constructor(implementation: Callable[..., Any], subject: str) -> Matched:
    """Match the parameters of a class or factory.

    SubjectError where a required one is unknown, or where there is none for d_model or num_heads.
    """
    parameters = _parameters(implementation, subject, _initialisers(implementation), CONSTRUCTOR_ROLES)
    title = _written(implementation, parameters)
    names = _by_role(parameters, CONSTRUCTOR_ROLES)
    required = frozenset(p.name for p in parameters if p.default is p.empty)
    for role in ("d_model", "d_k"):  # kdim=None beside embed_dim is left alone
        listed = [name for name in names.get(role, ()) if name in required]
        if role in names:
            names[role] = tuple(listed or names[role][:1])
    for name in names.get("scale", ()):  # scale=True is a switch, not a scale
        if isinstance(_defaults(parameters).get(name), bool):
            del names["scale"]
    unknown = _unknown(parameters, names)
    complete = "config" in names or ("num_heads" in names and ("d_model" in names or "d_k" in names))
    if unknown or not complete:
        raise SubjectError(
            f"{subject}: cannot tell the parameters of {title}"
            + (f": {', '.join(unknown)} unknown" if unknown else "")
            + f". Expected one for d_model ({usual(CONSTRUCTOR, 'd_model')}, ...) and one for num_heads "
            f"({usual(CONSTRUCTOR, 'num_heads')}, ...), the others with defaults.\n{advice(subject)}"
        )
    return _matched(title, parameters, names)


def constructor_values(build: Build, configuration: type | None = None) -> dict[str, Any]:
    """Return the value of every role that a framework does not have to make: all but dtype, key and rngs.

    Raises:
        Exception: whatever the class of the configuration raises.
    """
    values: dict[str, Any] = {
        "d_model": build.d_model,
        "num_heads": build.num_heads,
        "num_kv_heads": build.num_heads,
        "d_k": build.d_k if build.num_heads else 0,
        "bias": build.bias,
        "dropout": build.dropout,
        "other dropout": 0.0,
        "causal": False,
        "length": LONGEST,
        "batch first": True,
        "need weights": True,
        "seed": build.seed,
        "index": 0,
    }
    if build.scale is not None:
        values["scale"] = build.scale
    return values | {"config": configured(values, configuration) if configuration else Configuration(values)}


def forward(function: Callable[..., Any], subject: str, implementation: type = object) -> Matched:
    """Match the parameters of the method that attends, its ``self`` left out.

    ``implementation`` is its class: a method that takes ``*args`` passes them to the one it overrides.
    SubjectError where queries cannot be told from keys and values, or where a required one is unknown.
    """
    parameters = _parameters(function, subject, _overridden(implementation, function), _FORWARD_ROLES)
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    title = _written(function, parameters)
    names = _by_role(parameters, _FORWARD_ROLES)
    required = frozenset(p.name for p in parameters if p.default is p.empty)
    if len(names.get("key", ())) > 1:  # forward(query, key_, value, *, key=None): the last is for dropout
        names["dropout key"] = names["key"][1:]
        names["key"] = names["key"][:1]
    if "value" not in names and "key" in names and not required & {*names["key"]}:  # forward(x, key=None)
        names["dropout key"] = names.pop("key")
    if "self" in names and "query" not in names:
        names["query"] = names.pop("self")
    if "padding" in names and not {"mask", "additive"} & names.keys():
        names["mask"] = names.pop("padding")  # the only mask there is
    for role in MASKS & {*names}:  # forward(x, mask=None, attn_mask=None): one mask is given once
        first, *others = names[role]
        names[role] = (first, *(name for name in others if name in required))
    unknown = _unknown(parameters, names)
    if unknown or "query" not in names or ("key" in names) != ("value" in names):
        raise SubjectError(
            f"{subject}: cannot tell the parameters of {title}"
            + (f": {', '.join(unknown)} unknown" if unknown else "")
            + ". Expected query, key, value (or Q, K, V; or x alone for self-attention) and perhaps mask.\n"
            + advice(subject)
        )
    return _matched(title, parameters, names)


def attending(kind: type) -> str:
    """Return "forward" or "__call__", whichever the nearest class defines (forward, of both); "" for none."""
    both = ("forward", "__call__")
    defined = (name for base in kind.__mro__ for name in both if name in vars(base))
    return next((name for name in defined if callable(getattr(kind, name))), "")


def masks_padding(matched: Matched) -> bool:
    """Return whether the mask that a method takes is, by its name, one of padding."""
    return any(
        normal(name) in map(normal, FORWARD["padding"].split()) for name in matched.names.get("mask", ())
    )


def projections(attributes: Iterable[str], subject: str) -> dict[str, str]:
    """Match attributes that can hold weights: "W_q" .. "W_o", "b_q" .. "b_o", or packed "W_qkv", "W_kv".

    A list of all projections is "W_list".  SubjectError where they are incomplete, or one is there twice.
    """
    attributes = list(attributes)
    found: dict[str, str] = {}
    for attribute in attributes:
        role = projection(attribute)
        if role is None and normal(attribute) in {normal(name) for name in LISTS.split()}:
            role = "W_list"
        if role is None:
            continue
        if role in found:
            raise SubjectError(
                f"{subject}: both {found[role]!r} and {attribute!r} could be {role}.\n{advice(subject)}"
            )
        found[role] = attribute
    missing = [role for role in ("W_q", "W_k", "W_v", "W_o") if not _held(role, found)]
    if missing:
        raise unrecognised(subject, missing, attributes)
    return found


def unrecognised(subject: str, missing: Iterable[str], attributes: Iterable[str]) -> SubjectError:
    """Return the error for projections that were not found among the attributes."""
    held = ", ".join(attributes)
    if not held:
        return SubjectError(
            f"{subject}: holds no arrays after construction, so none for {', '.join(missing)}; if they are "
            f"made in its first call, make them in the constructor.\n{advice(subject)}"
        )
    return SubjectError(
        f"{subject}: no attribute for {', '.join(missing)} among: {held}. Looked for W_q, W_k, W_v, W_o; "
        "q_proj .. out_proj; query .. out; to_q .. to_out; or packed in_proj, qkv, c_attn.\n"
        + advice(subject)
    )


def stages(implementation: type) -> dict[str, str]:
    """Return which methods make an intermediate result: "split", "combined", "context" -> method.

    A method whose name starts with an underscore is nobody's business.
    """
    public = (name for name in dir(implementation) if not name.startswith("_"))
    methods = {normal(name): name for name in public if callable(getattr(implementation, name, None))}
    found: dict[str, str] = {}
    for stage, names in STAGES.items():
        method = next((methods[normal(name)] for name in names.split() if normal(name) in methods), None)
        if method:
            found[stage] = method
    return found


def _held(role: str, found: Mapping[str, str]) -> bool:
    packed = ("W_qkv", "W_kv", "W_list") if role in {"W_k", "W_v"} else ("W_qkv", "W_list")
    return role in found or ((role != "W_o" or "W_list" in found) and any(name in found for name in packed))


def _parameters(
    function: Callable[..., Any],
    subject: str,
    inherited: Iterable[Callable[..., Any]],
    roles: Mapping[str, str],
) -> list[inspect.Parameter]:
    """Return the named parameters; of a function that takes others too, those of what it passes them to."""
    try:
        listed = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        name = getattr(function, "__name__", str(function))
        raise SubjectError(
            f"{subject}: the parameters of {name} cannot be read.\n{advice(subject)}"
        ) from None
    for passed_to in inherited:
        if not any(p.kind in VARIADIC for p in listed):
            break
        theirs = list(inspect.signature(passed_to).parameters.values())[1:]
        given = _given(listed, roles)
        named = [p for p in listed if p.kind not in VARIADIC]
        known = {p.name for p in named}
        listed = [*named, *(p for p in theirs if p.name not in known and not _played(p, given, roles))]
    return [p for p in listed if p.kind not in VARIADIC]


def _given(listed: Iterable[inspect.Parameter], roles: Mapping[str, str]) -> set[str]:
    """Return the roles that a function fills itself: forward(self, x, **kwargs) has three for one x."""
    given = {roles.get(normal(p.name), "") for p in listed if p.kind not in VARIADIC}
    positional = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in listed)
    return given | {*INPUTS} if given & {"query", "self"} and not positional else given


def _played(parameter: inspect.Parameter, given: set[str], roles: Mapping[str, str]) -> bool:
    """Return whether a parameter that must be passed is by its role one that the function itself passes."""
    return parameter.default is parameter.empty and roles.get(normal(parameter.name)) in given


def _initialisers(implementation: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the constructors to which that of a class can pass its arguments on, nearest first."""
    if not isinstance(implementation, type):
        return []
    listed = inspect.signature(implementation).parameters.values()
    own = all(p.kind in VARIADIC for p in listed)  # a metaclass's __call__
    bases = implementation.__mro__[0 if own else 1 : -1]
    return [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]


def _overridden(implementation: type, method: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the methods that one of a class overrides, nearest first, and forward after __call__."""
    bases = implementation.__mro__
    name = next((name for base in bases for name, held in vars(base).items() if held is method), "")
    names = (name, "forward") if name == "__call__" else (name,)
    return [vars(base)[name] for name in names for base in bases if name in vars(base)][1:]


def _by_role(parameters: Iterable[inspect.Parameter], roles: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for parameter in parameters:
        role = roles.get(normal(parameter.name))
        if role:
            names[role] = (*names.get(role, ()), parameter.name)
    return names


def _matched(title: str, parameters: list[inspect.Parameter], names: dict[str, tuple[str, ...]]) -> Matched:
    known = {name for listed in names.values() for name in listed}
    places = {parameter.name: place for place, parameter in enumerate(parameters)}
    return Matched(
        title,
        {role: names[role] for role in sorted(names, key=lambda role: places[names[role][0]])},
        required=frozenset(p.name for p in parameters if p.default is p.empty),
        positional=tuple(p.name for p in parameters if p.kind is POSITIONAL_ONLY),
        defaults=_defaults(parameters),
        left=tuple(p.name for p in parameters if p.name not in known),
    )


def _unknown(parameters: Iterable[inspect.Parameter], names: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the required parameters that have no role."""
    known = {name for listed in names.values() for name in listed}
    return [p.name for p in parameters if p.default is p.empty and p.name not in known]


def _defaults(parameters: Iterable[inspect.Parameter]) -> dict[str, Any]:
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _same(value: Any, default: Any) -> bool:
    return value is default or (
        type(value) is type(default) and isinstance(value, SCALARS) and value == default
    )


def _written(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> str:
    name = getattr(function, "__qualname__", type(function).__name__)
    listed = ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
    return f"{name}({listed})"
