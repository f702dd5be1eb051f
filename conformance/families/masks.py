"""Masks: what is blocked has no influence, what is allowed is untouched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from headcheck.adapters.protocol import Mask
from headcheck.reference.dtypes import FORMATS

from ..attend import Attend
from ..cases import Case, written
from ..causality import before, changed_from, late, meant
from ..empty_rows import emptied_together, empty_rows_lawful, keyless, not_finite
from ..histories import needed, overwritten, wrote
from ..masking import (
    also_padded,
    arguments,
    but_first,
    each_alone,
    everywhere_blocked,
    in_every_way,
    kinds,
    misfits,
    on_paths,
    padded_in_turn,
    roomy,
    shaped,
    small,
    sparse,
    spoiled,
    subsets,
    sunk,
    together,
)
from ..observation import Failure, NotMet, Shown
from ..pool import LARGE, TILE
from ..specification import INFO, MUST, masked, requirement, situated, unmasked
from .softmax import HIGH, levelled, number

LARGEST_SCORE = 1e6  # up to here a mask must hold: a finite fill of -1e9 is lawful, -1e4 is not


@requirement(
    "MASK-ZERO",
    MUST,
    long="any",
    needs={"mask", "weights"},
    depends_on=("SHAPE-WEIGHTS",),
    situation=kinds("pairs", "keys", "batch", "heads"),
    formula=r"M_{ij} = 0 \Rightarrow A_{ij} = 0",
    why="A mask multiplied into the logits leaves exp(0) where nothing should be; one applied after the "
    "softmax leaves rows that no longer sum to one.",
)
def zero(attend: Attend, case: Case) -> Failure | None:
    """Blocked positions get weight zero, in rows that have an allowed key."""
    smallest = FORMATS[case.dtype].smallest
    for seen in attend(*also_padded(attend, case.call)):
        weights, allowed = seen.weights.values, seen.expected.allowed
        if allowed is None:
            raise NotMet("no mask")
        blocked = ~allowed & ~seen.expected.empty_rows
        leaks = blocked & ~(np.abs(weights) <= smallest)
        if leaks.any():
            worst = np.unravel_index(int(np.where(leaks, np.abs(weights), -1.0).argmax()), leaks.shape)
            return Failure(
                f"a blocked key has the weight {number(weights[worst])}",
                "attention weights",
                weights,
                np.where(blocked, 0.0, weights),
                np.full_like(weights, smallest),
                seen.call,
                shown=Shown(f"abs(found) <= {smallest:.3g}", f"weights[{', '.join(map(str, worst))}]"),
            )
    return None


@requirement(
    "MASK-NONINTERFERENCE",
    MUST,
    control=unmasked,
    needs={"mask", "parameters", "two sequences"},
    every_dtype=True,
    situation=lambda case: masked("keys", itself=False, recipe="normal")(case),
    formula=r"M_{\cdot j} = 0 \Rightarrow \partial\,\mathrm{MultiHead} / \partial\,(k_j, v_j) = 0",
    why="A fill of -1e4 looks like minus infinity until a trained model has scores below it; garbage in "
    "padding then reaches the result.",
)
def noninterference(attend: Attend, case: Case) -> Failure | None:
    """Nothing at a blocked key or value changes a row that has an allowed key, for scores up to 1e6."""
    call = case.call
    limit = min(LARGEST_SCORE, FORMATS[case.dtype].largest / 64)
    blocked = everywhere_blocked(case)
    ways = {
        f"with scores of {sign * limit:.0e} at blocked keys": spoiled(call, blocked, sign * limit)
        for sign in (1, -1)
    }
    ways[f"with all scores near {-limit / 2:.0e}"] = sunk(case, -limit / 2)
    for words, way in list(ways.items()):
        ways |= {f"as padding, {words}": padded for padded in also_padded(attend, way)[1:]}
    for words, seen in zip(ways, attend(*ways.values()), strict=True):
        if not seen.expected.representable:
            continue
        failure = seen.departs_from_oracle()
        if failure:
            return replace(failure, message=f"{words}, {failure.message}", grounds="property and oracle")
    return None


@requirement(
    "MASK-REMOVAL",
    MUST,
    needs={"mask", "parameters", "two sequences"},
    situation=lambda case: masked("keys", itself=False)(case),
    formula=r"\mathrm{MultiHead}(Q, K, V; M) = \mathrm{MultiHead}(Q, K_{M}, V_{M})",
    why="Needs no oracle: a batch padded to its longest member must give each member what it gets alone.",
)
def removal(attend: Attend, case: Case) -> Failure | None:
    """Blocking keys equals removing them."""
    call = case.call
    keys = np.arange(case.n_k)  # of long sequences the first two thirds go, as padding on the left does
    keep = np.flatnonzero(keys % 3 != 1 if case.n_k < TILE else keys >= 2 * case.n_k // 3)
    allowed = np.zeros((case.batch, case.num_heads, case.n_q, case.n_k), dtype=bool)
    allowed[..., keep] = True
    removed, *blocked = attend(
        replace(call, mask=None, key=call.key[:, keep], value=call.value[:, keep], causal=False),
        *also_padded(attend, replace(call, mask=Mask(allowed), causal=False)),
    )
    for seen in blocked:
        what = "blocking keys" if seen.call.padding is None else "padding of keys"
        failure = seen.output.departs_from(removed.output, f"{what} does not equal removing them")
        if failure:
            return failure
    return None


@requirement(
    "MASK-EFFECT",
    MUST,
    shapes=4,
    needs={"mask", "parameters"},
    share=0.2,
    formula=r"\mathrm{MultiHead}(\dots; M) \ne \mathrm{MultiHead}(\dots)",
    why="is_causal ignored when weights were asked for (pytorch issue 99282), a mask overwritten with None "
    "(transformers pull 47946), a causal mask dropped with dropout (keras issue 23038).",
)
def effect(attend: Attend, case: Case) -> Failure | None:
    """Every mask argument has an effect, alone and together with every other one, on every path."""
    call, offered = roomy(case).call, arguments(case, attend)
    for chosen in subsets(offered, 1):
        with_all = together(call, chosen, offered)
        paths = ["", *(variant.name for variant in attend.variants(with_all))]
        for name in chosen:
            others = tuple(other for other in chosen if other != name)
            without = together(call, others, offered)
            pairs = [(replace(with_all, variant=path), replace(without, variant=path)) for path in paths]
            seen = attend.outcomes(*(one for pair in pairs for one in pair))
            for one, two in zip(seen[::2], seen[1::2], strict=True):
                if one.raised or two.raised:
                    continue  # PATH-AGREE judges what raises
                same = np.array_equal(one.output.values, two.output.values)
                if same and one.output.must_differ(two.output):
                    beside = f" beside {' and '.join(map(attend.called, others))}" if others else ""
                    return Failure(
                        f"the argument {attend.called(name)!r}{beside} has no effect",
                        "output",
                        one.output.values,
                        one.output.exact(),
                        one.output.lawful(),
                        one.call,
                        others=(two.call,),
                        grounds="property and oracle",
                    )
    return None


@requirement(
    "MASK-ALLOW-ALL",
    MUST,
    long="any",
    needs={"mask", "parameters"},
    situation=situated(mask="all"),
    share=0.3,
    formula=r"M = 1 \Rightarrow \mathrm{MultiHead}(\dots; M) = \mathrm{MultiHead}(\dots)",
    why="Needs no oracle. A mask read with the opposite meaning, one added instead of selected and one "
    "shifted by a position all move a result that should stay.",
)
def allow_all(attend: Attend, case: Case) -> Failure | None:
    """A mask that allows everything equals no mask."""
    open_, none = attend(case.call, replace(case.call, mask=None))
    return open_.output.departs_from(none.output, "a mask that allows everything changes the output")


@requirement(
    "MASK-BROADCAST",
    MUST,
    control=unmasked,
    needs={"mask", "parameters"},
    situation=lambda case: replace(masked("heads")(case), causal=False),
    formula=r"M_{b,i,q,k} \text{ for every } b, i, q, k",
    why="tile where repeat was meant pairs masks with the wrong (batch, head) (two repositories), and a "
    "mask unsqueezed on the wrong axis is right whenever B equals h or n_q equals n_k.",
)
def broadcast(attend: Attend, case: Case) -> Failure | None:
    """Every mask shape accepted equals its expansion to (B, h, n_q, n_k); no other is accepted."""
    shapes = attend.conventions.mask_shapes
    masks = [(shape, shaped(case, shape)) for shape in shapes]
    masks += [(shape, but_first(mask)) for shape, mask in masks if shape.startswith("B") and case.batch > 1]
    if not attend.declaration.always_causal:  # whose queries may not see the one key that is left
        masks.append((shapes[0], sparse(case, shapes[0])))
    for shape, mask in masks:
        call = replace(case.call, mask=mask)
        for seen in attend.outcomes(*(on_paths(attend, call) if small(attend, case) else [call])):
            failure = seen.departs_from_oracle()
            if failure:
                where = f" on the path {seen.call.variant!r}" if seen.call.variant else ""
                words = f"a mask of shape {written(shape)} is not read as its expansion{where}"
                return replace(failure, message=words)
    axes = shapes[-1].split()
    if len(axes) < 2:
        return None
    for beyond in misfits(case, axes):
        [seen] = attend.outcomes(replace(case.call, mask=beyond))
        if seen.raised is None:
            sizes = f"B={case.batch}, h={case.num_heads}, n_q={case.n_q}, n_k={case.n_k}"
            return Failure(
                f"a mask of shape {beyond.allowed.shape} was accepted for {sizes}",
                call=seen.call,
                kind="accepted",
            )
    return None


@requirement(
    "MASK-COMBINE",
    MUST,
    control=unmasked,
    needs={"masks", "parameters"},
    share=0.3,
    formula=r"M = M_{mask} \land M_{padding} \land M_{causal}",
    why="`if mask is not None: mask &= tril` forgets the causal mask when there is no other, and "
    "`mask = tril` forgets the other (xformers issue 103).",
)
def combine(attend: Attend, case: Case) -> Failure | None:
    """Masks given together intersect."""
    call, offered = roomy(case, queries=1).call, arguments(case, attend)
    shapes, forms = attend.conventions.mask_shapes, attend.conventions.mask_forms
    others = [shaped(case, shape) for shape in shapes]
    others += [replace(others[0], form=form) for form in forms[1:]]
    for turn, chosen in enumerate(subsets(offered, 2), case.n_q + 2 * case.n_k + case.batch):
        calls = [together(call, chosen, offered)]
        if "mask" in chosen:
            one = attend.declaration.compiles or not small(attend, case)
            masks = [others[turn % len(others)]] if one else others
            calls += [replace(calls[0], mask=mask) for mask in masks]
        for seen in attend(*calls):
            failure = seen.departs_from_oracle()
            if failure and not any(one.departs_from_oracle() for one in attend(*each_alone(seen.call))):
                return replace(failure, message=f"{' and '.join(chosen)} given together do not intersect")
    return None


@requirement(
    "MASK-CAUSAL",
    MUST,
    control=unmasked,
    long="any",
    needs={"causal", "parameters"},
    situation=lambda case: replace(case, mask="none", causal=True),
    formula=r"M_{ij} = [\, j \le i + \delta \,], \quad \delta \in \{0,\; n_k - n_q\}",
    why="Top-left and bottom-right agree for n_q = n_k and nowhere else (pytorch issue 103082, onnxruntime "
    "issue 29020); a tril off by one shows every token its successor.",
)
def causal(attend: Attend, case: Case) -> Failure | None:
    """Causal means the declared alignment, not one key more and not one fewer."""
    # Beside scores that are all far below zero, a finite fill may be the largest.
    low = [levelled(case, -30.0 if case.dtype == "float16" else -HIGH)] if case.n_k < LARGE else []
    seen, *sunken = attend(case.call, *low)
    failure = seen.departs_from_oracle()
    if failure:
        words = f"causal with n_q={case.n_q}, n_k={case.n_k}"
        return replace(failure, message=f"{words}: {meant(seen, case)}")
    for one in sunken:
        failure = one.departs_from_oracle() if one.expected.representable else None
        if failure:
            message = f"causal, with all scores far below zero, {failure.message}"
            return replace(failure, message=message)
    return None


@requirement(
    "MASK-FUTURE",
    MUST,
    needs={"causal", "parameters"},
    long="any",
    situation=lambda case: replace(case, mask="none", causal=True),
    share=0.3,
    formula=r"\partial\,\mathrm{MultiHead}_i / \partial\,(k_j, v_j) = 0, \quad j > i + \delta",
    why="Needs neither oracle nor attention weights. A statistic taken over the whole sequence lets the "
    "future into the past, past every mask: what a language model scores in training it cannot do alone.",
)
def future(attend: Attend, case: Case) -> Failure | None:
    """Under the causal flag nothing at a later key or value changes what comes before it."""
    first = late(case)
    early = before(attend.conventions, case, first)
    if not early.size or first >= case.n_k:
        raise NotMet("no query comes before a key")
    later = np.broadcast_to(np.arange(case.n_k) >= first, case.call.key.shape[:2])
    limit = min(LARGEST_SCORE, FORMATS[case.dtype].largest / 64)
    ways = [changed_from(case, first)]
    if case.n_k < LARGE:
        loud = (spoiled(case.call, later, sign * limit) for sign in (1, -1))
        ways += [replace(one, query=one.key, value=one.key) if case.itself else one for one in loud]
    plain, *changed = attend(case.call, *ways)
    words = f"a change of the keys from {first} on changes the output of a query that may not see them"
    for seen in changed:
        if not seen.expected.representable:
            continue
        failure = seen.output.on_axis(1, early).departs_from(plain.output.on_axis(1, early), words)
        if failure:
            return failure
    return None


@requirement(
    "MASK-DTYPE",
    MUST,
    shapes=2,
    needs={"mask", "parameters"},
    situation=kinds("pairs", "keys"),
    share=0.3,
    formula=r"M \in \{0, 1\}: \text{bool} = \text{int} = \text{float} = \text{additive } \{-\infty, 0\}",
    why="R torch read float masks as boolean and boolean ones as float (pull 1208); `~mask` on integers is "
    "never zero.",
)
def dtype(attend: Attend, case: Case) -> Failure | None:
    """The mask forms accepted agree, in every shape; what is refused raises an error."""
    first, *others = attend.conventions.mask_forms
    for shape in attend.conventions.mask_shapes:
        mask = shaped(case, shape)
        calls = [replace(case.call, mask=replace(mask, form=form)) for form in (first, *others)]
        if small(attend, case) and shape == attend.conventions.mask_shapes[0]:
            calls += [one for call in calls[1:] for one in on_paths(attend, call)[1:]]
        base, *twins = attend.outcomes(*calls)
        _ = base.result
        for seen in twins:
            if seen.raised or seen.call.mask is None:
                continue
            where = f" on the path {seen.call.variant!r}" if seen.call.variant else ""
            words = (
                f"the {seen.call.mask.form} mask of shape {written(shape)} does not equal its "
                f"{NAMED.get(first, first)} twin{where}"
            )
            failure = seen.output.departs_from(base.output, words)
            if failure:
                return failure
    return None


NAMED = {"bool": "boolean", "finite": "finite additive"}


@requirement(
    "MASK-EMPTY-ROW",
    MUST,
    control=unmasked,
    every_dtype=True,
    shapes=8,
    needs={"mask", "parameters"},
    situation=lambda case: masked("empty row")(replace(case, causal=False)),
    formula=r"M_{i \cdot} = 0 \Rightarrow A_{i \cdot} \in \{ 0, \tfrac{1}{n_k} \}",
    why="softmax over nothing is 0/0. torch.nn.MultiheadAttention gives NaN when weights are returned and "
    "zeros when not (pytorch issues 41508, 160064); the NaN reaches every gradient.",
)
def empty_row(attend: Attend, case: Case) -> Failure | None:
    """A row with no key allowed is uniform or zero, finite, alike on every path, and disturbs no other."""
    for call in keyless(attend, case):
        failure = empty_rows_lawful(attend, call)
        if failure:
            return failure
    for seen in attend(*emptied_together(attend, case)):
        failure = not_finite(seen, ", emptied by two masks together")
        if failure:
            return failure
    return None


@requirement(
    "MASK-PURE",
    MUST,
    needs={"mask", "parameters"},
    situation=masked("pairs"),
    shapes=2,
    share=0.2,
    formula=r"f(Q, K, V; M);\; f(Q, K, V) = f(Q, K, V)",
    why="A mask cached under `if self.mask is None` is the mask of the first batch for the rest of training; "
    "`mask &= tril` writes into the caller's.",
)
def pure(attend: Attend, case: Case) -> Failure | None:
    """The caller's mask is not written to and does not stick to later calls."""
    first, shapes = attend.conventions.mask_forms[0], attend.conventions.mask_shapes
    for form in attend.conventions.mask_forms:
        calls = [
            replace(case.call, mask=mask and replace(mask, form=form), causal=causal)
            for shape in (shapes if form == first else shapes[:1])
            for mask in (shaped(case, shape), shaped(case, shape, seed=24), None)
            for causal in ((False, True) if mask and form == first and attend.offers("causal") else (False,))
        ]
        if form == first:
            often = small(attend, case) and not attend.declaration.compiles
            for call in in_every_way(attend, case) if often else []:
                failure = overwritten(attend, call, ("mask", "padding"))
                if failure:
                    return failure
            calls += padded_in_turn(attend, case)
        fresh = [seen for seen in attend.outcomes(*calls) if seen.raised is None]
        calls = [seen.call for seen in fresh]
        for place, (used, new) in enumerate(zip(attend.in_sequence(*calls), fresh, strict=True)):
            written = wrote(attend, used, ("mask", "padding"))
            if written:
                return replace(written, call=used.call)
            which = "another mask" if used.call.mask or used.call.padding is not None else "no mask"
            words = f"after a masked call, one with {which} is still masked as before"
            failure = used.departs_from(new, words)
            if failure:
                earlier = needed(attend, calls[:place], used.call, new)
                return replace(failure, earlier=earlier, call=used.call)
    return None


@requirement(
    "MASK-POISON",
    INFO,
    shapes=3,
    needs={"mask", "parameters", "cross"},
    situation=lambda case: masked("keys", itself=False)(case),
    share=0.1,
    formula=r"0 \cdot \mathrm{NaN} = \mathrm{NaN}",
    why="Every exact implementation multiplies a zero weight with what is stored there; uninitialised "
    "padding must be zeroed by its owner. Measured, never failed.",
)
def poison(attend: Attend, case: Case) -> Failure | None:
    """NaN stored at a blocked value position stays there."""
    blocked = everywhere_blocked(case)
    value = np.where(blocked[..., None], np.nan, case.call.value)
    [seen] = attend.outcomes(replace(case.call, value=value))
    clean = seen.raised is None and seen.result.output is not None and np.isfinite(seen.result.output).all()
    attend.measured["NaN at a blocked value"] = "stays there" if clean else "reaches the output"
    return None
