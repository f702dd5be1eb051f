"""Counting the operations of JAX code: a walk over its jaxpr, without running it.

XLA's own cost analysis counts the body of a loop once; the jaxpr knows how often a scan turns.  A `while`
with a bound that only the data knows is said to be unknown, and of a conditional the dearest branch is
counted and said to be an upper bound where the branches differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import jax

from .counting import Count, Tally

# Equations that stand for the jaxpr they carry.
_CARRYING = {
    *(
        "pjit",
        "jit",
        "closed_call",
        "core_call",
        "core_closed_call",
        "xla_call",
        "checkpoint",
        "remat",
        "remat2",
    ),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_vmap_call", "composite"),
}
_CARRIED_AS = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")

_ELEMENTWISE = {
    *("add", "add_any", "sub", "mul", "div", "rem", "pow", "integer_pow", "square", "sqrt", "rsqrt", "cbrt"),
    *(
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "logistic",
        "tanh",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "asin",
    ),
    *("acos", "atan", "atan2", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "lgamma", "digamma"),
}
_REDUCING = {"reduce_sum", "reduce_prod", "cumsum", "cumprod", "cumlogsumexp", "reduce_precision"}
_FREE = {
    *("abs", "neg", "sign", "floor", "ceil", "round", "max", "min", "clamp", "is_finite", "nextafter"),
    *("eq", "ne", "lt", "le", "gt", "ge", "eq_to", "lt_to", "le_to", "select_n", "and", "or", "not", "xor"),
    *("shift_left", "shift_right_logical", "shift_right_arithmetic", "population_count", "clz"),
    *("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "rev", "slice", "split", "pad"),
    *(
        "dynamic_slice",
        "dynamic_update_slice",
        "concatenate",
        "gather",
        "scatter",
        "iota",
        "tile",
        "empty",
        "empty2",
    ),
    *("convert_element_type", "bitcast_convert_type", "copy", "copy_p", "device_put", "stop_gradient"),
    *(
        "reduce_max",
        "reduce_min",
        "reduce_and",
        "reduce_or",
        "reduce_xor",
        "argmax",
        "argmin",
        "sort",
        "top_k",
    ),
    *("cummax", "cummin", "real", "imag", "name", "optimization_barrier", "sharding_constraint", "reshard"),
    *("random_bits", "random_seed", "random_wrap", "random_unwrap", "random_split", "random_fold_in"),
    *("platform_index", "axis_index", "debug_callback", "debug_print"),
    *("random_clone", "threefry2x32", "random_gamma", "pvary", "pcast", "mesh_cast", "layout_constraint"),
    *("stack", "unstack", "broadcast_to", "zeros_like", "complex", "conj", "tie", "approx_top_k"),
    *("scatter-max", "scatter-min", "reduce_window_max", "reduce_window_min", "select_and_gather_add"),
    *("rng_bit_generator", "rng_uniform", "philox2x32", "philox4x32", "threefry4x32", "iota_2x32_shape"),
    *("new_ref", "empty_ref", "free_ref", "freeze", "get", "swap"),
}
_ACCUMULATING = {
    *("scatter_add", "scatter-add", "scatter-sub", "scatter_mul", "scatter-mul"),
    *("select_and_scatter_add", "addupdate"),
}


def count(function: Callable[..., Any], *arguments: Any) -> Count:
    """Return the operations of ``function(*arguments)``.

    The function is traced for arguments of these shapes, not run; `jax.ShapeDtypeStruct` serves as well as
    an array.  Whatever it raises is let through.
    """
    return _walk(jax.make_jaxpr(function)(*arguments).jaxpr).count()


def apart(forward: Count, whole: Count) -> Count:
    """Return the forward count with the backward one beside it, which is what the whole has more."""
    gradients = {kind: n - forward.by_kind.get(kind, 0) for kind, n in whole.by_kind.items()}
    return replace(forward, unknown=whole.unknown, at_most=whole.at_most, backward=gradients)


def _walk(jaxpr: Any) -> Tally:
    """Count the equations of a jaxpr, open or closed."""
    tally = Tally()
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        _price(tally, equation)
    return tally


def _price(tally: Tally, equation: Any) -> None:
    name, parameters = equation.primitive.name, equation.params
    if name in _FREE:
        return
    if name in _ELEMENTWISE:
        tally.add("elementwise", _size(equation.outvars[0]))
    elif name in _REDUCING:
        tally.add("elementwise", _size(equation.invars[0]))
    elif name in _ACCUMULATING:
        tally.add("elementwise", _size(equation.invars[-1]))
    elif name == "dot_general":
        _dot(tally, equation)
    elif name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        features = kernel[parameters["dimension_numbers"].rhs_spec[0]]
        tally.add("convolution", 2 * _size(equation.outvars[0]) * prod(kernel) // features)
    elif name == "scan":
        tally.take(_walk(parameters["jaxpr"]).count(), times=parameters["length"])
    elif name == "cond":
        tally.take_dearest([_walk(branch).count() for branch in parameters["branches"]], "a conditional")
    elif name == "while":
        turn = _walk(parameters["body_jaxpr"]).count()
        if turn.by_kind or turn.unknown:
            tally.give_up("a while loop whose number of turns only the data knows")
    elif name in _CARRYING:
        tally.take(_walk(_carried(parameters)).count())
    else:
        tally.give_up(f"jax primitive {name}")


def _carried(parameters: Mapping[str, Any]) -> Any:
    return next(parameters[key] for key in _CARRIED_AS if key in parameters)


def _dot(tally: Tally, equation: Any) -> None:
    """Price a general product; with nothing to sum over it is elementwise, a multiplication an element."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    summed = [equation.invars[0].aval.shape[axis] for axis in contracted]
    size = _size(equation.outvars[0])
    tally.add(*(("matmul", 2 * size * prod(summed)) if summed else ("elementwise", size)))


def _size(variable: Any) -> int:
    return prod(variable.aval.shape)
