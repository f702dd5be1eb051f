"""Gradients: the vector-Jacobian product, for every input and every parameter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Call, Mask
from headcheck.reference.dtypes import FORMATS, quantise

from ..attend import Attend
from ..cases import Case
from ..draws import drawn, steepened, training_paths
from ..masking import arguments, by_query, in_forms, small, subsets, together
from ..observation import Failure, Measured, NotMet, Observation, Shown, worst_place
from ..pool import LARGE
from ..specification import MUST, masked, requirement, unmasked
from .softmax import levelled, number


def differentiated(call: Call, rows: np.ndarray | None = None) -> Call:
    """Return the call with a cotangent; where rows (B, n_q) of the output are given, zero in all others."""
    rng = np.random.default_rng(11)
    cotangent = quantise(rng.standard_normal(call.query.shape), call.build.dtype)
    return replace(call, cotangent=cotangent if rows is None else np.where(rows[..., None], cotangent, 0.0))


def settled(seen: Observation) -> bool:
    """Return whether the dtype holds every gradient, and settles the softmax of every row in the loss."""
    expected, cotangent = seen.expected, seen.call.cotangent
    assert cotangent is not None
    peak = max(float(np.abs(gradient).max(initial=0.0)) for gradient in expected.gradients.values())
    largest = FORMATS[seen.call.build.dtype].largest / 64
    rows = cotangent.any(axis=-1)
    return expected.representable and peak < largest and bool(expected.resolved[rows].all())


def departure(seen: Observation) -> Failure | None:
    """Compare every gradient with the oracle's."""
    for gradient in seen.gradients:
        failure = gradient.departs(
            gradient.exact(), f"the {gradient.quantity} is not the oracle's", grounds="oracle"
        )
        if failure:
            return replace(failure, message=f"{failure.message}{likeness(gradient)}")
    return None


def likeness(gradient: Measured) -> str:
    """Return what a wrong gradient looks like, in words; "" where it looks like nothing known."""
    values, exact = gradient.values, gradient.exact()
    if not values.any():
        return ": it is zero, as if it were detached"
    if not np.isfinite(values).all():
        return ""
    factor = float((values * exact).sum() / np.square(exact).sum()) if exact.any() else 0.0
    other = f"{factor:.4g}"
    told = exact.size > 1 or other in {"-1", "0.25", "0.5", "2", "4"}  # one number is some multiple of any
    if (
        told
        and other != "1"
        and np.all(np.abs(values - factor * exact) <= gradient.lawful() * (1.0 + abs(factor)))
    ):
        return f": it is {other} times that"
    return ""


def paths(attend: Attend, call: Call) -> list[Call]:
    """Return the call on the first path, and on one other that takes other turns: a gradient is dear."""
    others = [variant.name for variant in attend.turns(call) if not variant.eager]
    chosen = others[sum(call.query.shape) % len(others)] if others else None
    return [call, *([replace(call, variant=chosen)] if chosen else [])]


@requirement(
    "GRAD-ORACLE",
    MUST,
    control=lambda case: case,
    needs={"gradients", "parameters"},
    every_dtype=True,
    shapes=8,
    share=0.4,
    long="one way",
    situation=lambda case: replace(case, recipe="normal") if case.recipe == "ties" else case,
    formula=r"\bar{S} = A \odot (\bar{A} - \mathrm{rowsum}(\bar{A} \odot A)), \quad \bar{\theta} = "
    r"\bar{y}^T \partial y / \partial \theta",
    why="A hand-written backward that forgets the row sum, an output detached for logging, a causal mask "
    "aligned one way forward and the other way backward: the loss still falls.",
)
def oracle(attend: Attend, case: Case) -> Failure | None:
    """Gradients for query, key, value and every parameter match the oracle's vector-Jacobian product."""
    calls = [case.call]
    if attend.offers("causal") and case.n_q != case.n_k:
        calls.append(replace(unmasked(case).call, causal=True))
    calls += in_turn(attend, case)
    judged = [seen for seen in (with_loss(attend, call) for call in calls) if seen is not None]
    if not judged:
        raise NotMet("no row has a key and a softmax that the dtype settles")
    _, *others = paths(attend, judged[0].call)
    # What is expected is the same on every path; one on which no gradient at all came can give none.
    same = [replace(one, expectation=judged[0].expected) for one in attend(*others) if one.result.gradients]
    for seen in (*judged, *same):
        failure = departure(seen)
        if failure:
            flags = {"causal": seen.call.causal, "padding": seen.call.padding is not None}
            given = ", ".join(name for name, there in flags.items() if there)
            return replace(failure, message=f"{failure.message}{f' ({given})' if given else ''}")
    return None


def in_turn(attend: Attend, case: Case) -> list[Call]:
    """Return calls with each of the masks, with several, and with a scale; of many dear ones, one in turn."""
    if min(case.n_q, case.n_k) < 3 or case.n_k >= LARGE:
        return []
    plain, offered = replace(case.call, mask=None, causal=False), arguments(case, attend)
    calls = [together(plain, chosen, offered) for chosen in subsets(offered, 1)]
    calls += [one for call in calls[:1] for one in in_forms(attend, call)]
    if attend.declaration.compiles or not small(attend, case):
        turn = case.batch + case.n_q + 2 * case.n_k + case.num_heads
        calls = calls[turn % max(len(calls), 1) :][:1]
    scaled = replace(plain, build=replace(plain.build, scale=0.3))
    return [*calls, *([scaled] if attend.offers("scale") else [])]


def with_loss(attend: Attend, call: Call) -> Observation | None:
    """Make the call with a loss on all rows that have a key and a settled softmax; None where none has."""
    [seen] = attend(differentiated(call))
    rows = seen.expected.resolved & ~seen.expected.empty_rows.any(axis=(1, 3))
    if not rows.all():
        [seen] = attend(differentiated(call, rows))
    return seen if rows.any() and settled(seen) else None


@requirement(
    "GRAD-BLOCKED",
    MUST,
    needs={"gradients", "parameters", "mask", "two sequences"},
    every_dtype=True,
    shapes=7,
    share=0.2,
    situation=lambda case: masked(
        case.mask if case.mask in {"keys", "pairs", "heads"} else "pairs", itself=False
    )(case),
    formula=r"M_{ij} = 0 \Rightarrow \partial y_i / \partial k_j = \partial y_i / \partial v_j = 0",
    why="Needs no oracle. A backward kernel that recomputes the scores and forgets the mask trains the "
    "padding and lets the future teach the past.",
)
def blocked(attend: Attend, case: Case) -> Failure | None:
    """Blocked keys and values get zero gradient from the queries that may not see them."""
    calls = [case.call if by_query(attend) else masked("keys")(case).call]
    if attend.offers("causal"):
        calls.append(replace(case.call, mask=None, causal=True))
    for call in calls:
        chosen = np.zeros((case.batch, case.n_q), dtype=bool)
        chosen[:, (case.seed + case.n_q) // 2 % case.n_q] = True
        [seen] = attend(differentiated(call, chosen))
        allowed = seen.expected.allowed
        assert allowed is not None
        unseen = ~(allowed.any(axis=1) & chosen[..., None]).any(axis=1)
        rows = unseen & ~np.asarray(seen.expected.empty_rows.any(axis=(1, 2, 3)))[:, None]
        for name in ("key", "value"):
            if case.shared and name == "value":
                continue  # has its gradient in that of the key
            gradient = seen.gradient(name)
            leak = np.where(rows[..., None], gradient.values, 0.0)
            if np.any(np.abs(leak) > FORMATS[case.dtype].smallest) or np.isnan(leak).any():
                return Failure(
                    f"a {name} that no query with a gradient may see has the gradient "
                    f"{number(leak.flat[int(np.abs(np.nan_to_num(leak, nan=np.inf)).argmax())])}",
                    gradient.quantity,
                    leak,
                    np.zeros_like(leak),
                    np.full_like(leak, FORMATS[case.dtype].smallest),
                    seen.call,
                )
    return None


@requirement(
    "GRAD-FINITE",
    MUST,
    needs={"gradients", "parameters"},
    every_dtype=True,
    shapes=4,
    share=0.0,
    situation=lambda case: replace(unmasked(case), recipe="normal", itself=False),
    formula=r"\mathrm{MultiHead}_i \text{ finite} \Rightarrow \partial\,\mathrm{MultiHead}_i \text{ finite}",
    why="One row with no key is 0/0 in the softmax; its gradient is 0 * NaN, and reaches every weight even "
    "where the loss leaves that row out (pytorch issue 41508).",
)
def finite(attend: Attend, case: Case) -> Failure | None:
    """Gradients are finite wherever the output is: one empty row, and logits of any size, included."""
    calls = keyless(attend, case)
    for words, call in calls.items():
        failure = undisturbed(attend, call, words)
        if failure:
            return failure
    for words, call in {**calls, **steep(case)}.items():
        [seen] = attend(call)
        rows = np.isfinite(seen.output.values).all(axis=-1)
        for one in attend(*paths(attend, differentiated(call, rows))):
            failure = not_finite(one) if rows.any() else None
            if failure:
                return replace(failure, message=f"with {words}, {failure.message}")
    return None


def keyless(attend: Attend, case: Case) -> dict[str, Call]:
    """Return calls in which some query may see no key, by what they are, as far as masks can say that."""
    query = np.ones((case.batch, case.num_heads, case.n_q, case.n_k), dtype=bool)
    example, padding = query.copy(), np.ones((case.batch, case.n_k), dtype=bool)
    query[:, :, 0], example[0], padding[0] = False, False, False
    shapes = attend.conventions.mask_shapes if attend.offers("mask") else ()
    calls = {}
    if any("n_q" in shape for shape in shapes):
        calls["a query that sees no key"] = replace(case.call, mask=Mask(query))
    if any(shape.startswith("B") for shape in shapes):
        calls["an example that sees no key"] = replace(case.call, mask=Mask(example))
    if attend.offers("padding"):
        calls["an example of padding alone"] = replace(case.call, padding=padding)
    return calls


def undisturbed(attend: Attend, call: Call, words: str) -> Failure | None:
    """Return the failure of rows without a key that, left out of the loss, change the others' gradients.

    All other rows see every key, so without the mask the gradients are the same.
    """
    [seen] = attend(call)
    others = ~seen.expected.empty_rows.any(axis=(1, 3)) & np.isfinite(seen.output.values).all(axis=-1)
    if not others.any():
        return None
    masked_ = differentiated(call, others)
    unmasked_ = replace(masked_, mask=None, padding=None)
    for one, other in zip(attend(*paths(attend, masked_)), attend(*paths(attend, unmasked_)), strict=False):
        failure = not_finite(one)
        if failure:
            return replace(failure, message=f"with {words}, left out of the loss, {failure.message}")
        without = {gradient.quantity: gradient for gradient in other.gradients}
        for gradient in one.gradients:
            message = f"{words}, left out of the loss, changes the {gradient.quantity}"
            failure = gradient.departs_from(without.get(gradient.quantity, gradient), message)
            if failure and settled(one):
                return failure
    return None


def steep(case: Case) -> dict[str, Call]:
    """Return calls with large logits; none for self-attention, where query and key cannot be set apart."""
    if case.itself:
        return {}
    return {
        "all logits near 100": levelled(case, 18.0),
        "all logits near -100": levelled(case, -18.0),
        "a saturated softmax": replace(case.call, query=quantise(8.0 * case.call.query, case.dtype)),
    }


def not_finite(seen: Observation) -> Failure | None:
    """Return the failure of a gradient that is NaN or infinite though the dtype could hold it."""
    for gradient in seen.gradients if seen.result.gradients or not seen.call.variant else ():
        exact = gradient.exact()
        holds = np.abs(exact).max(initial=0.0) < FORMATS[seen.call.build.dtype].largest / 64
        if holds and not np.isfinite(gradient.values).all():
            message = f"the {gradient.quantity} holds NaN or infinity"
            lawful = gradient.lawful()
            return Failure(message, gradient.quantity, gradient.values, exact, lawful, seen.call)
    return None


@requirement(
    "GRAD-DROPOUT",
    MUST,
    needs={"gradients", "dropout", "parameters"},
    depends_on=("GRAD-ORACLE", "DROPOUT-UNBIASED"),
    once=True,
    formula=r"\bar{S} = A \odot (D \odot \bar{A} - \mathrm{rowsum}(D \odot \bar{A} \odot A)), \quad "
    r"\langle \bar{W}_v, W_v \rangle = \langle \bar{W}_o, W_o \rangle = \langle \bar{y}, y \rangle",
    why="Checkpointing that does not restore the random state, and a fused backward with a seed of its own, "
    "drop other weights in the backward pass than in the forward pass: the loss still falls.",
)
def through_dropout(attend: Attend, case: Case) -> Failure | None:
    """In training with dropout, gradients are those of the draw that made the output.

    The output shows the draw.  Under it the gradients of W_q and W_k are held against the oracle's.  Without
    biases the output is linear in W_v and in W_o, so that by Euler's theorem each of them times its gradient
    sums to the output times its cotangent; both are the identity, whose product is the trace.
    """
    call = steepened(attend)
    for one in attend(*(replace(call, variant=path) for path in training_paths(attend))):
        if not one.result.gradients:
            continue
        where = f" on the path {one.call.variant!r}" if one.call.variant else ""
        seen = replace(one, expectation=replace(one.expected, kept=drawn(one)))
        for gradient in (seen.gradient("W_q"), seen.gradient("W_k")):
            failure = gradient.departs(gradient.exact(), "", grounds="oracle")
            if failure:
                message = f"the {gradient.quantity} is not that of the draw that made the output{where}"
                judged = (gradient.values, gradient.exact(), gradient.lawful())
                return replace(
                    failure, message=message, shown=worst_place("gradient", *judged, gradient.quantity)
                )
        for name in ("W_v", "W_o"):
            failure = untrue_to(seen, name)
            if failure:
                return replace(failure, message=failure.message + where)
    return None


def untrue_to(seen: Observation, name: str) -> Failure | None:
    """Return the failure of a gradient of W_v or W_o, both the identity, that is not that of the output.

    The bound is the worst case, every rounding of every term on one side.
    """
    assert seen.call.cotangent is not None
    terms = np.abs(seen.output.values * seen.call.cotangent)
    length = seen.output.values.size + seen.call.build.d_model
    lawful = 4.0 * length * FORMATS[seen.call.build.dtype].unit * float(terms.sum())
    expected = float((seen.output.values * seen.call.cotangent).sum())
    found = float(np.trace(seen.gradient(name).values))
    if abs(found - expected) <= lawful:
        return None
    apart = "float((output * cotangent).sum()) - float(np.trace(gradient))"
    return Failure(
        f"{name} times its gradient sums to {number(found)}, the output times its cotangent to "
        f"{expected:.6g}: the gradient is not that of the draw that made the output",
        call=seen.call,
        shown=Shown(f"abs(found) <= {lawful:.2g}", apart, f"gradient of {name}"),
    )
