"""Dropout: off when it should be, and unbiased when it is on.

The requirements on chance draw the same call again and again, each time with another seed.  That draws of
different seeds are independent is all they assume: how many heads, examples or positions share one draw is
the implementation's choice, so a call counts once, however many weights it drops.  For n independent draws
X in [0, 1] of mean q, the mean M of which is observed,

    P(KL(M || q) >= t and M > q) <= exp(-n t),  KL(x || q) = x ln(x / q) + (1 - x) ln((1 - x) / (1 - q))

(Hoeffding 1963, theorem 1), and the same below q.  Each requirement accuses a right implementation in at
most one run in 10^6.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import ceil, log, sqrt

import numpy as np
from headcheck.adapters.protocol import Call, Mask
from headcheck.reference.oracle import split_heads

from ..attend import Attend
from ..cases import Case, least_precise
from ..draws import (
    BATCH,
    HEADS,
    HIGH,
    LENGTH,
    RATE,
    TOLERANCE,
    factors,
    lawful_factors,
    probe,
    training_paths,
)
from ..observation import Failure, Shown
from ..specification import MUST, SHOULD, requirement

FALSE_ALARM = 1e-6
DRAWS = 256  # enough to tell a share kept of 3/4 from one of 15/16 or (3/4)^2
FEW_DRAWS = 49  # in which something is dropped at `RATE`, even where all weights share a draw
PAIRS_DRAWS = 48  # 34 identical draws are beyond chance


def improbability(mean: float | np.ndarray, q: float, draws: int = DRAWS) -> np.ndarray:
    """Return n KL(mean || q): the chance to be as far from q on that side is at most exp(-that)."""
    mean = np.asarray(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(mean > 0.0, mean * np.log(mean / q), 0.0)
        below = np.where(mean < 1.0, (1.0 - mean) * np.log((1.0 - mean) / (1.0 - q)), 0.0)
    return np.asarray(draws * (above + below))


@requirement(
    "DROPOUT-EVAL",
    MUST,
    needs={"dropout", "parameters"},
    shapes=2,
    share=0.0,
    formula=r"\mathrm{MultiHead}_{eval,\,p} = \mathrm{MultiHead}_{p = 0}",
    why="scaled_dot_product_attention drops whenever it is given a rate: dropout_p=self.dropout without "
    "`if self.training` made inference random in three libraries (torchtune among them).",
)
def off_in_eval(attend: Attend, case: Case) -> Failure | None:
    """Dropout is off in eval: the result is that of a rate of zero, after a call in training as well."""
    plain, training = attend(case.call, replace(case.call, training=True))
    failure = training.output.departs_from(plain.output, "with a dropout of 0, training changes the output")
    if failure:
        return failure
    dropping = replace(case.call, build=replace(case.call.build, dropout=0.5))
    paths = [v.name for v in attend.variants(case.call) if not (v.eager or v.training)]
    calls = [dropping, replace(dropping, seed=1), *(replace(dropping, variant=name) for name in paths)]
    _, after = attend.in_sequence(replace(dropping, training=True), dropping)
    for seen in (*attend(*calls), after):
        [without] = attend(replace(case.call, variant=seen.call.variant))
        failure = seen.output.departs_from(without.output, "a dropout of 0.5 changes the output in eval")
        if failure and seen is after:
            message = f"{failure.message}, once it was called in training"
            return replace(failure, message=message, earlier=(replace(dropping, training=True),))
        if failure:
            return failure
    return None


@requirement(
    "DROPOUT-UNBIASED",
    MUST,
    needs={"dropout", "parameters"},
    depends_on=("SHAPE-OUTPUT", "DROPOUT-EVAL"),
    once=True,
    formula=r"P(A_{ij} \text{ dropped}) = p, \quad \mathrm{E}[\mathrm{dropout}(A)] = A",
    why="Without the division by 1 - p, training and inference see attention of different size; a rate "
    "taken for the share that is kept drops nine weights of ten where one was meant.",
)
def unbiased(attend: Attend, case: Case) -> Failure | None:
    """In training weights are dropped at the rate given, and their mean over draws is that of eval.

    What is kept must be 1/(1 - p) times what it was, which is no matter of chance; a dropout in two or
    three places in a row gives powers of that.  The share that is kept must be its inverse: of all weights
    together, for half of the error rate, and of each weight alone, for the other half.
    """
    for path in training_paths(attend):
        seen = blocked_in_training(attend, path) or never_dropped(attend, path)
        if seen:
            return seen
        drawn = factors(attend, DRAWS, case.seed, path)
        wrong = wrong_factor(drawn, RATE) or wrong_share(drawn != 0.0, float(drawn.max()))
        where = f" on the path {path!r}" if path else ""
        attend.measured |= {
            "rate": RATE,
            "draws": DRAWS,
            f"share dropped{where}": float((drawn == 0.0).mean()),
        }
        if not wrong:
            attend.measured[f"kept weights multiplied by{where}"] = float(drawn.max())
            continue
        mean = drawn.mean(axis=0)
        lawful = drawn.max() * sqrt(log(4 * mean.size / FALSE_ALARM) / (2 * DRAWS))
        return Failure(
            f"with dropout={RATE} in training{where}, {wrong}",
            f"mean over {DRAWS} draws of each weight, over what it is in eval",
            mean,
            np.ones_like(mean),
            np.full_like(mean, lawful),
            replace(probe(attend), training=True, variant=path),
            shown=of_chance(drawn) if wrong_factor(drawn, RATE) == "" else of_factor(RATE),
        )
    return at_another_rate(attend, case.seed)


def at_another_rate(attend: Attend, seed: int) -> Failure | None:
    """Return the failure of weights that are multiplied as another rate than the one given would have it."""
    drawn = factors(attend, FEW_DRAWS, seed, rate=HIGH)
    kept = drawn != 0.0
    wrong = wrong_factor(drawn, HIGH) if kept.any() and not kept.all() else ""
    if not wrong:
        return None
    call = dropping(attend, HIGH)
    return Failure(f"with dropout={HIGH} in training, {wrong}", call=call, shown=of_factor(HIGH))


def never_dropped(attend: Attend, path: str) -> Failure | None:
    """Return the failure of calls with a mask, or in the coarsest dtype, in which nothing is dropped."""
    call = probe(attend)
    calls = {
        f"where {attend.called(name)!r} is given": replace(call, **argument)  # type: ignore[arg-type]
        for name, argument in blocking(attend).items()
    }
    coarse = least_precise(attend.declaration)
    if coarse != call.build.dtype:
        calls[f"in {coarse}"] = replace(call, build=replace(call.build, dtype=coarse))
    for words, one in calls.items():
        if path and path not in {variant.name for variant in attend.variants(one)}:
            continue
        [plain] = attend(one)
        draws = (replace(one, training=True, seed=seed, variant=path) for seed in range(FEW_DRAWS))
        outputs = [seen.output.values for seen in attend.in_sequence(*draws)]
        if np.abs(np.array(outputs) - plain.output.values).max() <= TOLERANCE / LENGTH:
            zeros = float((plain.output.values == 0.0).mean())
            return Failure(
                f"with dropout={RATE} in training, nothing is dropped {words}",
                call=replace(one, training=True, variant=path),
                shown=Shown(f"found > {zeros}", "(drawn == 0).mean()", draws=FEW_DRAWS),
            )
    return None


def blocked_in_training(attend: Attend, path: str) -> Failure | None:
    """Return the failure of a call with dropout, in which a key that a mask blocks has a weight."""
    for name, argument in blocking(attend).items():
        call = replace(probe(attend), **argument)  # type: ignore[arg-type]
        if path and path not in {variant.name for variant in attend.variants(call)}:
            continue
        plain, seen = attend(call, replace(call, training=True, variant=path))
        # Whichever the mask, the first query may not see the last key.
        leaks = [np.abs(split_heads(one.output.values, HEADS)[..., 0, -1]).max() for one in (plain, seen)]
        if leaks[0] <= TOLERANCE / LENGTH < leaks[1]:
            last = f"np.abs(output[:, 0, {LENGTH - 1}::{LENGTH}]).max()"
            return Failure(
                f"with dropout={RATE} in training, a key that {attend.called(name)!r} blocks has a weight",
                "output",
                seen.output.values,
                call=seen.call,
                shown=Shown(f"found <= {TOLERANCE / LENGTH}", last),
            )
    return None


def blocking(attend: Attend) -> dict[str, dict[str, object]]:
    """Return each mask argument of `probe`'s call, under which the first query may not see the last key."""
    allowed = np.ones((BATCH, HEADS, LENGTH, LENGTH), dtype=bool)
    allowed[..., -1] = False
    ways: dict[str, dict[str, object]] = {
        "mask": {"mask": Mask(allowed)},
        "padding": {"padding": allowed[:, 0, 0]},
        "causal": {"causal": True},
    }
    return {name: way for name, way in ways.items() if attend.offers(name)}


def of_factor(rate: float) -> Shown:
    """Return what a script shows of a wrong factor: one draw's weights, over what they are in eval.

    They are zero where dropped, the factor where kept.
    """
    lawful = ", ".join(f"{factor:.4f}" for factor in lawful_factors(rate))
    return Shown(
        f"found[0] == 0 and len(found) > 1 and any(np.abs(found[1:] / factor - 1).max() <= {TOLERANCE} "
        f"for factor in ({lawful}))",
        f"np.unique(output * {LENGTH})",
    )


def of_chance(drawn: np.ndarray) -> Shown:
    """Return what a script shows of a wrong mean: of all weights together, or of some weight alone.

    Hoeffding's bound for draws between zero and the factor leaves each claim the error rate.
    """
    factor = float(drawn.max())
    lawful = factor * sqrt(log(4 / FALSE_ALARM) / (2 * DRAWS))
    if abs(float(drawn.mean()) - 1.0) > lawful:
        return Shown(f"abs(found - 1) <= {lawful:.2g}", f"drawn.mean() * {LENGTH}", draws=DRAWS)
    lawful = factor * sqrt(log(4 * drawn[0].size / FALSE_ALARM) / (2 * DRAWS))
    furthest = f"np.abs(drawn.mean(axis=0) * {LENGTH} - 1).max()"
    return Shown(f"found <= {lawful:.2g}", furthest, draws=DRAWS)


def wrong_factor(drawn: np.ndarray, rate: float) -> str:
    """Return what is wrong with the factor on weights that are kept, in words; "" where nothing is."""
    kept = drawn[drawn != 0.0]
    if not np.isfinite(kept).all():
        return "a weight is NaN or infinite"
    if not kept.size:
        return "every weight is dropped"
    if kept.size == drawn.size and np.all(np.abs(kept - 1.0) <= TOLERANCE):
        return "nothing is dropped"
    low, high = float(kept.min()), float(kept.max())
    one = high - low <= TOLERANCE * high
    lawful = lawful_factors(rate)
    if one and any(abs(high - factor) <= TOLERANCE * factor for factor in lawful):
        return ""
    times = f"{high:.4g}" if one else f"{low:.4g} to {high:.4g}"
    return f"weights that are kept are multiplied by {times}; expected 1/(1 - p) = {lawful[0]:.4g}"


def wrong_share(kept: np.ndarray, factor: float) -> str:
    """Return what is wrong with the share that is kept, in words; "" where it may well be 1/factor."""
    expected, share, each = 1.0 / factor, kept.mean(), kept.mean(axis=0)
    if improbability(share, expected) > log(4 / FALSE_ALARM):
        if improbability(share, 1.0 - RATE) <= log(4 / FALSE_ALARM):
            return f"weights that are kept are multiplied by {factor:.4g}; expected {1.0 / (1.0 - RATE):.4g}"
        return f"{1.0 - share:.1%} of the weights are dropped; expected {1.0 - expected:.1%}"
    surprise = improbability(each, expected)
    if surprise.max() > log(4 * each.size / FALSE_ALARM):
        at = np.unravel_index(int(surprise.argmax()), each.shape)
        place = "example {}, head {}, query {} and key {}".format(*at)
        return f"the weight of {place} is dropped in {1.0 - each[at]:.1%} of the draws; expected {RATE:.1%}"
    return ""


@requirement(
    "DROPOUT-INDEPENDENT",
    SHOULD,
    needs={"dropout", "parameters"},
    depends_on=("DROPOUT-UNBIASED",),
    once=True,
    formula=r"\mathrm{dropout}(A)_{b,i} \perp \mathrm{dropout}(A)_{b',i'}",
    why="broadcast_dropout=True, flax.linen's default, drops the same places in every head of every example: "
    "the noise that was to be averaged out over the batch is one and the same.",
)
def independent(attend: Attend, case: Case) -> Failure | None:
    """Heads, examples, queries and keys draw their own dropout.

    Two independent draws agree at a place with the probability s^2 + (1 - s)^2, s the share that is kept.
    Agreement is averaged over each call, and the mean over the calls held against that by Hoeffding's
    bound, the error rate shared among the pairs.
    """
    drawn = factors(attend, PAIRS_DRAWS, case.seed)
    kept, share = drawn != 0.0, 1.0 / float(drawn.max())
    pairs = {f"examples {a} and {b}": (kept[:, a], kept[:, b]) for a, b in combinations(range(BATCH), 2)}
    pairs |= {f"heads {a} and {b}": (kept[:, :, a], kept[:, :, b]) for a, b in combinations(range(HEADS), 2)}
    queries = combinations(range(kept.shape[3]), 2)
    pairs |= {f"queries {a} and {b}": (kept[..., a, :], kept[..., b, :]) for a, b in queries}
    keys = combinations(range(LENGTH), 2)
    pairs |= {f"keys {a} and {b}": (kept[..., a], kept[..., b]) for a, b in keys}
    expected = share**2 + (1.0 - share) ** 2
    agreements = {words: float((one == other).mean()) for words, (one, other) in pairs.items()}
    attend.measured["places in agreement"] = agreements
    for words, agreement in agreements.items():
        by_chance = improbability(agreement, expected, PAIRS_DRAWS) <= log(len(pairs) / FALSE_ALARM)
        if agreement > expected and not by_chance:
            same = "the same draw" if agreement == 1.0 else f"{agreement:.1%} of their draws"
            return Failure(
                f"{words} share {same}; drawn independently they would agree in {expected:.1%} of all places",
                call=replace(probe(attend), training=True),
                shown=agreeing(words, agreement, expected),
            )
    return None


def agreeing(words: str, agreement: float, expected: float) -> Shown:
    """Return what a script shows of two that share their draws, of as many draws as that takes."""
    kind, one, _, other = words.split()
    width = LENGTH
    heads = f"drawn[..., {width} * {{}}:{width} * {{}} + {width}]"
    of = {"examples": "drawn[:, {}]", "queries": "drawn[:, :, {}]", "keys": f"drawn[..., {{}}::{width}]"}
    part = of.get(kind, heads)
    halves = " == ".join(f"({part.format(which, which)} == 0)" for which in (one, other))
    lawful = (agreement - expected) / 2
    draws = ceil(log(4 / FALSE_ALARM) / (2 * lawful**2))
    return Shown(f"found <= {expected + lawful:.3g}", f"({halves}).mean()", draws=draws)


def dropping(attend: Attend, rate: float) -> Call:
    """Return a call in training at this rate."""
    call = replace(probe(attend), training=True)
    return replace(call, build=replace(call.build, dropout=rate))


def refused(attend: Attend, rate: float) -> str:
    """Return "" where a rate is refused, by the constructor or the first call in training; else what came."""
    call = dropping(attend, rate)
    if attend.construct(call.build) is not None:
        return ""
    [seen] = attend.outcomes(call)
    if seen.raised is not None:
        return ""
    output = seen.result.output
    return "was accepted" if output is None or np.isfinite(output).all() else "gave NaN or infinity"


@requirement(
    "DROPOUT-RATE",
    MUST,
    needs={"dropout", "parameters"},
    depends_on=(),
    once=True,
    formula=r"0 \le p < 1",
    why="A rate of 10, meant as percent, or of NaN, from a sweep gone wrong, trains for a night without a "
    "word: `if p < 0 or p > 1` lets NaN through.",
)
def rate(attend: Attend, case: Case) -> Failure | None:
    """A dropout below 0, above 1, or NaN is refused; one of 1 is refused or gives no NaN."""
    for wrong in (-0.1, 1.5, 30.0, float("nan")):
        came = refused(attend, wrong)
        if came:
            message = f"dropout={wrong} {came}; expected an argument error"
            return Failure(message, call=dropping(attend, wrong), kind="accepted")
    if "NaN" in refused(attend, 1.0):
        message = "dropout=1.0 gave NaN or infinity; expected an argument error"
        return Failure(message, call=dropping(attend, 1.0), kind="accepted")
    return None


@requirement(
    "DROPOUT-ONE",
    SHOULD,
    needs={"dropout", "parameters"},
    depends_on=("DROPOUT-RATE",),
    once=True,
    formula=r"p < 1",
    why="No factor makes up for weights that are all dropped: 1/(1 - 1). torch.nn.Dropout takes it and gives "
    "zeros, on purpose, which is why this is no MUST.",
)
def rate_of_one(attend: Attend, case: Case) -> Failure | None:
    """A dropout of 1, under which no mean is that of eval, is refused."""
    came = refused(attend, 1.0)
    if not came:
        return None
    message = f"dropout=1.0 {came}; expected an argument error"
    return Failure(message, call=dropping(attend, 1.0), kind="accepted")
