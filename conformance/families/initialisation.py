"""Initialisation: each projection starts from its own numbers, of the right size."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import log, sqrt

import numpy as np
from headcheck.adapters.protocol import Build
from headcheck.reference.dtypes import FORMATS
from headcheck.reference.parameters import Parameters

from ..attend import Attend
from ..cases import Case, most_precise
from ..observation import Failure, NotMet, Shown, nothing
from ..specification import MUST, SHOULD, requirement

D_MODEL, HEADS = 64, 4
MATRICES = ("W_q", "W_k", "W_v", "W_o")
FALSE_ALARM = 1e-6
ALIKE = 0.2  # correlation of two matrices: twelve deviations of chance, 1/64 for numbers drawn apart
XAVIER = sqrt(6.0 / (D_MODEL + D_MODEL))

# What has been taken for Xavier's bound of one d x d projection: the root mean square over Xavier's.
KNOWN = {
    "zero": 0.0,
    "1/sqrt(3) of it, torch.nn.Linear's default": 1 / sqrt(3),
    "1/sqrt(2) of it, the fan of a packed 3d x d matrix": 1 / sqrt(2),
    "sqrt(2) times it, He's": sqrt(2),
    "that of the fan of one head": sqrt(2 * HEADS / (HEADS + 1)),
}


def fresh(case: Case, attend: Attend) -> Build:
    """Return the constructor arguments of a module large enough to tell distributions apart."""
    dtype = most_precise(attend.declaration)
    bias = attend.offers("bias")
    return replace(case.call.build, d_model=D_MODEL, num_heads=HEADS, bias=bias, dtype=dtype, seed=case.seed)


@requirement(
    "INIT-XAVIER",
    SHOULD,
    needs={"read"},
    depends_on=(),
    once=True,
    formula=r"W \sim U(-a, a), \quad a = \sqrt{6 / (d_{in} + d_{out})} = \sqrt{3 / d}",
    why="A packed 3d x d matrix initialised as one starts sqrt(2) too small, and an output projection left "
    "to torch.nn.Linear sqrt(3): both in torch.nn.MultiheadAttention.",
)
def xavier(attend: Attend, case: Case) -> Failure | None:
    """Each projection starts from the Xavier-uniform distribution with its own fan.

    No weight may be beyond the bound a, which is no matter of chance.  The distribution is held against the
    uniform one by the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, exact for any
    number of weights: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).  Four matrices share the error rate.  Both are
    drawn in the dtype, on a grid whose ends and steps are a few roundings off.
    """
    build = fresh(case, attend)
    parameters = attend.read(build)
    grid = 4 * FORMATS[build.dtype].unit
    farthest = 1.0 + 1e-3 + grid
    lawful = sqrt(log(2 * len(MATRICES) / FALSE_ALARM) / (2 * D_MODEL**2)) + grid
    wrong, shown = [], None
    for name in MATRICES:
        W = getattr(parameters, name)
        size, largest = sqrt(3.0 * float(np.square(W).mean())) / XAVIER, float(np.abs(W).max()) / XAVIER
        distance = from_uniform(W / XAVIER)
        attend.measured[f"{name}, size over Xavier's"] = size
        attend.measured[f"{name}, distance from uniform (at most {lawful:.3g})"] = distance
        if largest > farthest or not distance <= lawful:
            wrong.append(f"{name} {resembling(size, largest)}")
            shown = shown or strayed(name, farthest, lawful, beyond=distance <= lawful)
    if not wrong:
        return None
    message = f"not Xavier-uniform (a = {XAVIER:.4g} at d_model={D_MODEL}): {'; '.join(wrong)}"
    return Failure(message, build=build, shown=shown)


def strayed(name: str, farthest: float, lawful: float, *, beyond: bool) -> Shown:
    """Return what a script shows of a matrix that is beyond the bound, or distributed in another way."""
    if beyond:
        return Shown(f"found <= {XAVIER * farthest:.5g}", f"np.abs({name}).max()", "parameters")
    ranks = f"np.linspace(0, 1, {name}.size)"
    distance = f"np.abs(np.sort({name}, axis=None) / {2 * XAVIER:.9g} + 0.5 - {ranks}).max()"
    return Shown(f"found <= {lawful:.3g}", distance, "parameters")


def from_uniform(x: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance of a sample from the uniform distribution on (-1, 1)."""
    theirs = (np.sort(x, axis=None) + 1.0) / 2.0
    steps = np.arange(x.size + 1) / x.size
    return float(max(np.abs(steps[1:] - theirs).max(), np.abs(theirs - steps[:-1]).max()))


def resembling(size: float, largest: float) -> str:
    """Return what a distribution of this size is like, in words; both numbers are relative to Xavier's."""
    for words, known in KNOWN.items():
        if abs(size - known) <= 0.04 * known:
            return f"is {words}"
    if abs(size - 1.0) <= 0.04:
        return f"has Xavier's variance and another distribution, up to {largest:.3g} times the bound"
    return f"has {size:.3g} times Xavier's size"


@requirement(
    "INIT-DISTINCT",
    MUST,
    needs={"read"},
    depends_on=("PROJ-COUNT",),
    once=True,
    formula=r"W_q \ne W_k \ne W_v \ne W_o",
    why="W_q = W_k makes every score symmetric; one seed for all four, or one module assigned four times, "
    "and training never tells them apart again.",
)
def distinct(attend: Attend, case: Case) -> Failure | None:
    """Projections and heads start out different, and no projection shares its storage with another."""
    parameters = attend.read(fresh(case, attend))
    drawn = {name: getattr(parameters, name) for name in MATRICES}
    for role in ("W_q", "W_k", "W_v"):
        heads = np.split(drawn[role], HEADS, axis=1)
        drawn |= {f"head {head} of {role}": W for head, W in enumerate(heads)}
    for (name, one), (other, two) in combinations(drawn.items(), 2):
        if np.array_equal(one, two) or np.array_equal(one, two.T):
            message = f"{name} and {other} start with the same numbers"
            turned = "" if np.array_equal(one, two) else ".T"
            apart = f"np.abs({source(name)} - {source(other)}{turned}).max()"
            shown = Shown("found > 0", apart, "parameters")
            return Failure(message, build=fresh(case, attend), shown=shown)
    for name, other in combinations(MATRICES, 2):
        with np.errstate(invalid="ignore"):  # of an array that is constant
            likeness = float(np.corrcoef(drawn[name].ravel(), drawn[other].ravel())[0, 1])
        if abs(likeness) > ALIKE:
            message = (
                f"{name} and {other} start with a correlation of {likeness:.3g}: one is made of the other"
            )
            alike = f"abs(np.corrcoef({name}.ravel(), {other}.ravel())[0, 1])"
            shown = Shown(f"found <= {ALIKE}", alike, "parameters")
            return Failure(message, build=fresh(case, attend), shown=shown)
    again = attend.read(replace(fresh(case, attend), seed=case.seed + 1))
    attend.measured["another seed gives other weights"] = not np.array_equal(parameters.W_q, again.W_q)
    if not attend.offers("parameters"):
        return None
    small = replace(fresh(case, attend), d_model=8, num_heads=2)
    written = numbered(attend.read(small))
    back = attend.read(small, written)
    for name, array in written.items():
        for other, value in written.items():
            if name != other and np.array_equal(getattr(back, name), value) and array.size == value.size:
                message = f"{name} and {other} share their storage: what is put into one is read from both"
                shown = Shown("found > 0", f"np.abs({name} - {other}).max()", "parameters")
                return Failure(message, call=replace(nothing(small), parameters=written), shown=shown)
    return None


def source(name: str) -> str:
    """Return a matrix, or a head of one, as a script writes it."""
    *words, matrix = name.split()
    if not words:
        return matrix
    start = int(words[1]) * D_MODEL // HEADS
    return f"{matrix}[:, {start}:{start + D_MODEL // HEADS}]"


def numbered(parameters: Parameters) -> Parameters:
    """Return weights of which no two arrays are equal."""
    rng = np.random.default_rng(3)
    names = [name for name, _ in parameters.items()]
    draws = {n: rng.integers(-9, 10, getattr(parameters, n).shape) * 1.0 for n in names}
    return replace(parameters, **draws)


@requirement(
    "INIT-BIAS",
    SHOULD,
    needs={"read", "bias"},
    depends_on=(),
    once=True,
    formula=r"b_q = b_k = b_v = b_o = 0",
    why="torch.nn.Linear starts its bias at random; a value bias that is not zero is added to every output, "
    "whatever is attended to.",
)
def biases(attend: Attend, case: Case) -> Failure | None:
    """Biases start at zero."""
    parameters = attend.read(fresh(case, attend))
    there = {name: array for name, array in parameters.items() if name.startswith("b")}
    if not there:
        raise NotMet("there are no biases")
    wrong = [f"{name} (up to {np.abs(array).max():.3g})" for name, array in there.items() if array.any()]
    if not wrong:
        return None
    shown = Shown("found == 0", f"np.abs({wrong[0].partition(' ')[0]}).max()", "parameters")
    message = f"biases that do not start at zero: {', '.join(wrong)}"
    return Failure(message, build=fresh(case, attend), shown=shown)
