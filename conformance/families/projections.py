"""Projections: four matrices, each in its place, each of them used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.reference.dtypes import quantise
from headcheck.reference.parameters import Parameters

from ..attend import Attend
from ..cases import Case
from ..observation import Failure, NotMet, Shown
from ..specification import MUST, requirement, situated, unmasked


@requirement(
    "PROJ-ORACLE",
    MUST,
    long="any",
    needs={"parameters"},
    share=1.0,
    formula=r"\mathrm{MultiHead}(Q, K, V) = \mathrm{Concat}(head_1, \dots, head_h) W_o + b_o",
    why="The definition itself. Each term of it has been dropped, doubled or exchanged in code that trained, "
    "because a network learns around almost anything.",
)
def oracle(attend: Attend, case: Case) -> Failure | None:
    """With the same weights, output and attention weights match the float64 oracle within the bound."""
    [seen] = attend(case.call)
    if not seen.expected.representable:
        raise NotMet("a stage comes near the largest number of the dtype")
    return seen.departs_from_oracle()


@requirement(
    "PROJ-SENSITIVE",
    MUST,
    needs={"parameters"},
    situation=lambda case: replace(unmasked(case), n_k=max(case.n_k, 3), n_q=max(case.n_q, 3), itself=False),
    share=0.2,
    formula=r"\partial\,\mathrm{MultiHead} / \partial\,\theta \ne 0 \quad "
    r"\theta \in \{W_q, W_k, W_v, W_o, b_q, b_v, b_o\}",
    why="A parameter that is registered, counted and saved, but never used, is found by nobody's loss curve.",
)
def sensitive(attend: Attend, case: Case) -> Failure | None:
    """Every parameter matters: changing one changes the output as the oracle says."""
    call = case.call
    names = [name for name, _ in case.parameters.items() if name != "b_k"]
    changed = [replace(call, parameters=nudged(case.parameters, name, case.dtype)) for name in names]
    before, *after = attend(call, *changed)
    for name, seen in zip(names, after, strict=True):
        failure = seen.output.departs(
            seen.expected.exact.output,
            f"after a change of {name} the output is not the oracle's",
            grounds="oracle",
        )
        if failure is None:
            continue
        unchanged = seen.output.departs_from(before.output, "it changes something") is None
        if unchanged and seen.output.must_differ(before.output):
            return replace(failure, message=f"{name} is never used: changing it changes nothing")
        if before.departs_from_oracle() is None:
            return failure  # otherwise the change follows a rule that is wrong already: PROJ-ORACLE's
    return None


def nudged(parameters: Parameters, name: str, dtype: str) -> Parameters:
    """Return the weights with one of them rolled by a column and shifted: a large change of the same size."""
    array = getattr(parameters, name)
    return replace(parameters, **{name: quantise(np.roll(array, 1, axis=-1) + 0.25, dtype)})


@requirement(
    "PROJ-KEY-BIAS",
    MUST,
    needs={"parameters", "bias"},
    situation=situated(bias=True),
    share=0.2,
    formula=r"\mathrm{softmax}(s + c \mathbf{1}) = \mathrm{softmax}(s), \quad c = q \cdot b_k / \sqrt{d_k}",
    why="b_k adds the same number to every score of a row. Where it changes the output, it is added in the "
    "wrong place, or the normalisation is not a softmax.",
)
def key_bias(attend: Attend, case: Case) -> Failure | None:
    """The key's bias never changes the output."""
    parameters = case.parameters
    assert parameters.b_k is not None
    other = replace(parameters, b_k=quantise(parameters.b_k[::-1] + 0.5, case.dtype))
    one, two = attend(case.call, replace(case.call, parameters=other))
    return two.output.departs_from(one.output, "another key bias changes the output")


@requirement(
    "PROJ-VALUE-BIAS",
    MUST,
    needs={"parameters", "bias"},
    situation=situated(bias=True),
    share=0.2,
    formula=r"b_v \to b_v + e \;\Rightarrow\; \mathrm{MultiHead} \to \mathrm{MultiHead} + e W_o",
    why="Weights that sum to one pass a constant through, so this needs neither oracle nor attention "
    "weights: rows of another sum, and a bias dropped or added twice, show on every path.",
)
def value_bias(attend: Attend, case: Case) -> Failure | None:
    """A vector added to the value's bias adds its image under W_o to every output."""
    p = case.parameters
    assert p.b_v is not None
    e = np.arange(case.d_model) % 3 - 1.0
    one, two = attend(case.call, replace(case.call, parameters=replace(p, b_v=p.b_v + e)))
    if one.expected.empty_rows.any():
        raise NotMet("a row has no key")
    moved = one.output.plus(e @ p.W_o)
    return two.output.departs_from(moved, "a vector added to b_v does not add its image under W_o")


@requirement(
    "PROJ-ROUTING",
    MUST,
    needs={"parameters", "cross"},
    situation=lambda case: replace(unmasked(case), itself=False),
    formula=r"Q W_q, \quad K W_k, \quad V W_v",
    why="`if key is value` and `if q.shape == k.shape` select a packed product; the shortcut taken for "
    "inputs that only look alike sends the query where the key belongs.",
)
def routing(attend: Attend, case: Case) -> Failure | None:
    """Query, key and value each reach their own projection, whatever shapes or objects coincide."""
    call = case.call
    ways = {"three different inputs": call, "the key given as value": replace(call, value=call.key)}
    if case.n_q == case.n_k:
        ways |= {
            "the query given as key": replace(call, key=call.query),
            "the query given as value": replace(call, value=call.query),
            "one array given three times": replace(call, key=call.query, value=call.query),
        }
    for words, seen in zip(ways, attend(*ways.values()), strict=True):
        failure = seen.output.departs(
            seen.expected.exact.output, f"with {words} the output is not the oracle's", grounds="oracle"
        )
        if failure:
            return failure
    return None


@requirement(
    "PROJ-LINEAR-V",
    MUST,
    needs={"parameters", "cross"},
    situation=situated(itself=False),
    share=0.3,
    formula=r"f(V_1 + V_2) + f(0) = f(V_1) + f(V_2), \quad f(c V) - f(0) = c\, (f(V) - f(0))",
    why="Needs no oracle: an activation on the value projection, a normalisation of the context, a value "
    "that leaks into the scores and an output cut off at some size all break it.",
)
def linear_value(attend: Attend, case: Case) -> Failure | None:
    """With the scores fixed, the output is affine in the value, of whatever size."""
    call = case.call
    first = quantise(np.round(call.value * 4) / 4, case.dtype)
    second = quantise(np.roll(first, 1, axis=-1) * -1.0, case.dtype)
    values = (first + second, np.zeros_like(first), first, second)
    both, none, one, two = attend(*(replace(call, value=quantise(value, case.dtype)) for value in values))
    failure = (both.output + none.output).departs_from(
        one.output + two.output, "the output is not affine in value"
    )
    return failure or proportional(attend, case)


def proportional(attend: Attend, case: Case) -> Failure | None:
    """Return the failure of values of another size: without biases the output is as many times as large."""
    p = case.parameters
    if p.b_v is not None and p.b_o is not None:
        p = replace(p, b_v=np.zeros_like(p.b_v), b_o=np.zeros_like(p.b_o))
    call, power = replace(case.call, parameters=p), 6 if case.dtype == "float16" else 24
    for factor in (2.0**power, 2.0**-power):  # which multiplies without rounding
        one, other = attend(call, replace(call, value=quantise(factor * call.value, case.dtype)))
        if not other.expected.representable:
            continue
        message = f"values {factor:.3g} times as large do not give an output {factor:.3g} times as large"
        failure = other.output.departs_from(factor * one.output, message)
        if failure:
            return failure
    return None


@requirement(
    "PROJ-COUNT",
    MUST,
    needs={"read"},
    depends_on=(),
    once=True,
    formula=r"|\theta| = 4 d^2 \; (+\, 4 d), \quad \text{whatever } h \text{ is}",
    why="Heads of full width look better in every comparison: they have h times the parameters.",
)
def count(attend: Attend, case: Case) -> Failure | None:
    """There are 4 d^2 weights, and 4 d biases where there are any, whatever num_heads is."""
    for num_heads in (1, 2, 4):
        build = replace(case.call.build, d_model=8, num_heads=num_heads)
        sizes = attend.sizes(build)
        weights = sum(size for name, size in sizes.items() if name.startswith("W"))
        biases = sum(size for name, size in sizes.items() if name.startswith("b"))
        attend.measured[f"parameters at d_model=8, num_heads={num_heads}"] = weights + biases
        if weights != 4 * 8 * 8 or biases not in {0, 8, 16, 24, 32}:
            first = "W" if weights != 4 * 8 * 8 else "b"
            names = [name for name in sizes if name.startswith(first)]
            claim = "found == 256" if first == "W" else "found in (0, 8, 16, 24, 32)"
            return Failure(
                f"d_model=8, num_heads={num_heads} has {weights} weights and {biases} biases; "
                "expected 256 weights and 32 biases or none",
                build=build,
                shown=Shown(claim, f"sum(array.size for array in ({', '.join(names)},))", "parameters"),
            )
    return None
