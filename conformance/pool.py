"""The pool: which cases a profile tries, and how a failing one is made small.

Structure is drawn, data are derived.  The pool begins with one case a shape of a small alphabet, in which
all sizes are distinct or coincide on purpose, because an attention that is wrong only where B equals
num_heads looks right everywhere else.  The rest is drawn from the seed alone.  Hypothesis shrinks, and is
loaded when something fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Literal

from headcheck.adapters.protocol import DType
from headcheck.reference.dtypes import FORMATS

from .cases import MASKS, RECIPES, Case

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Each shape keeps its dtype and its biases, so that a framework that compiles meets few combinations.
ALPHABET: tuple[Case, ...] = (
    Case(2, 5, 7, 4, 3, dtype="float64"),  # all sizes distinct
    Case(2, 6, 6, 3, 4, itself=True, recipe="integers"),
    Case(3, 3, 3, 3, 3, dtype="float64", mask="heads"),  # all sizes equal, three different arrays
    Case(4, 3, 6, 4, 2, dtype="float64", bias=False, recipe="eighths", mask="batch"),  # B = h
    Case(33, 7, 4, 6, 1, dtype="float64"),  # many examples, h = d_model, more queries than keys
    Case(1, 16, 129, 2, 4, dtype="float64", mask="pairs"),  # one key beyond a tile of 128
    Case(1, 128, 128, 2, 4, itself=True, mask="pairs"),  # whole tiles
    Case(1, 100, 100, 1, 2, dtype="float64", itself=True, mask="pairs"),  # one and a part
    Case(2, 4, 8, 2, 4, mask="keys"),  # B = h, n_q = d_k, n_k = d_model
    Case(3, 1, 6, 1, 11, dtype="float64", mask="pairs"),  # one head, one query, an odd width
    Case(2, 9, 9, 2, 64, itself=True),  # the head width of production, where 1/8 is 1/sqrt(d_k)
    Case(5, 6, 1, 3, 5, bias=False),  # one key
    Case(1, 1, 1, 1, 1, dtype="float64"),
    Case(8, 3, 5, 2, 4, dtype="float64", recipe="ties"),  # B = d_model
    Case(1, 12, 5, 4, 3, dtype="float64", recipe="large", mask="heads"),  # n_q = d_model
    Case(66, 2, 3, 34, 2, dtype="float64", mask="batch"),  # many examples, many heads
    Case(2, 6, 9, 8, 64, mask="heads"),  # the width of production
    Case(1, 4, 5, 2, 260, dtype="float64"),  # heads wider than kernels are made for
    Case(1, 1030, 1030, 1, 2, itself=True, mask="pairs"),  # beyond tiles of 512 and 1024
    Case(1, 290, 290, 1, 3, dtype="bfloat16"),  # positions that eight bits do not tell apart
    Case(1, 2, 1025, 2, 2, dtype="bfloat16"),  # sums of more ones than eight bits count
    Case(2, 2, 4097, 2, 2, dtype="float64", mask="keys"),  # more keys than a table of positions holds
    Case(2, 4224, 2, 2, 2, dtype="float64", bias=False),  # more queries than that, in whole tiles
)
SMOKE_SHAPES = 4


@dataclass(frozen=True)
class Profile:
    """How much a run tries."""

    name: str
    drawn: int  # cases beyond the alphabet
    shapes: int  # of the alphabet
    shrink_calls: int
    shrink_seconds: float
    full: bool = True  # tries enough to call a subject conformant
    deep: bool = False


PROFILES = {
    "smoke": Profile("smoke", 1, SMOKE_SHAPES, 60, 2.0, full=False),
    "standard": Profile("standard", 25, len(ALPHABET), 120, 6.0),
    "deep": Profile("deep", 185, len(ALPHABET), 300, 30.0, deep=True),
}


def pool(profile: Profile, seed: int) -> list[Case]:
    """Return the cases of a run: the alphabet's, then drawn ones."""
    shapes = tuple(replace(case, seed=seed) for case in ALPHABET[: profile.shapes])
    small = [case for case in shapes if size(case) < LARGE]
    masks = [mask for mask in MASKS if mask != "empty row"]  # has a requirement of its own
    drawing = Random(seed)
    drawn = [
        replace(
            drawing.choice(small),
            recipe=drawing.choice(RECIPES),
            mask=drawing.choice(masks),
            seed=drawing.randrange(2**16),
        )
        for _ in range(profile.drawn)
    ]
    tiles = [replace(case, seed=seed) for case in ALPHABET if max(case.n_q, case.n_k) >= TILE]
    if not profile.full:  # long one way costs little; both ways, more than all others together
        tiles = [case for case in tiles if min(case.n_q, case.n_k) < LARGE]
    return [*shapes, *dict.fromkeys(drawn), *(case for case in tiles if case not in shapes)]


def simpler(case: Case) -> SearchStrategy[Case]:
    """Draw a case no larger than this one, the simplest first."""
    from hypothesis import strategies as st

    sizes = st.tuples(
        st.sampled_from(_up_to(case.batch)),
        st.sampled_from(_up_to(case.n_q)),
        st.sampled_from(_up_to(case.n_k)),
        st.sampled_from(_up_to(case.num_heads)),
        st.sampled_from(_up_to(case.d_k)),
    )
    recipes = list(dict.fromkeys(["integers", "eighths", case.recipe]))
    masks = ["none", case.mask] if case.mask != "none" else ["none"]

    def build(
        shape: tuple[int, int, int, int, int],
        recipe: str,
        mask: str,
        causal: bool,
        bias: bool,
        itself: bool,
        seed: int,
    ) -> Case:
        batch, n_q, n_k, num_heads, d_k = shape
        n_k, shared = n_q if itself else n_k, case.shared and not itself
        return Case(
            *(batch, n_q, n_k, num_heads, d_k, recipe, mask, causal, bias, itself, shared, case.dtype, seed)  # type: ignore[arg-type]
        )

    return st.builds(
        build,
        sizes,
        st.sampled_from(recipes),
        st.sampled_from(masks),
        st.sampled_from([False, case.causal] if case.causal else [False]),
        st.sampled_from([False, case.bias] if case.bias else [False]),
        st.sampled_from([False, case.itself] if case.itself else [False]),
        st.sampled_from([0, 1, 2, case.seed]),
    )


def shrunk(case: Case, fails: Callable[[Case], bool], profile: Profile) -> Case:
    """Return the smallest case found that still fails: this one, if none smaller does."""
    from hypothesis import HealthCheck, Phase, Verbosity, find, settings
    from hypothesis.errors import NoSuchExample

    end = monotonic() + profile.shrink_seconds
    tried: dict[Case, bool] = {case: True}

    def condition(candidate: Case) -> bool:
        if candidate not in tried:
            tried[candidate] = monotonic() < end and fails(candidate)
        return tried[candidate]

    own = settings(  # that depend on no profile, database or clock of the user's
        max_examples=max(profile.shrink_calls, 1),
        phases=[Phase.generate, Phase.shrink],
        backend="hypothesis",
        database=None,
        deadline=None,
        derandomize=True,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        return find(simpler(case), condition, settings=own)
    except NoSuchExample:
        return case


def _up_to(size: int) -> list[int]:
    return sorted(
        {n for n in (1, 2, 3, 4, 8, 16, 64, 65, 128, 129, 257, 513, 1025, 2049) if n < size} | {size}
    )


TILE = 64
LARGE = 256
Long = Literal["none", "one way", "any"]  # sequences of hundreds: many queries or many keys, or both


def portion(
    everything: list[Case], profile: Profile, *, shapes: int | None, share: float, long: Long
) -> Iterator[Case]:
    """Yield a requirement's part of the pool: one case a shape, then its share of the drawn ones.

    A requirement that makes many calls a case is given the first `shapes` alone, or half of them where the
    profile is not full, and what is drawn of them.

    Sequences of thousands, and hundreds of columns, cost more than all others together: they are for the
    requirements that such sizes are known to break, however few shapes these are given; those long one way
    alone cost little.
    """
    most = min(shapes or profile.shapes, profile.shapes)
    most = most if profile.full or not shapes else most // 2
    first = everything[:most] + [case for case in everything[most : profile.shapes] if size(case) >= LARGE]
    drawn = everything[profile.shapes :]
    known = {shape(case) for case in first}
    drawn = [case for case in drawn if shape(case) in known]
    # A requirement that judges the whole pool sees the lengths of tiles even where a profile has few shapes.
    tiles = [
        case for case in everything[profile.shapes :] if max(case.n_q, case.n_k) >= TILE and case not in drawn
    ]
    beyond = tiles if long == "any" and share == 1.0 else []
    for case in [*first, *drawn[: round(share * len(drawn))], *beyond]:
        if size(case) < LARGE or long == "any" or (long == "one way" and thin(case)):
            yield case


def size(case: Case) -> int:
    """Return the largest of the lengths and the width of a case."""
    return max(case.n_q, case.n_k, case.d_model)


def thin(case: Case) -> bool:
    """Return whether a case is long one way alone."""
    return min(case.n_q, case.n_k) < TILE and max(case.n_q, case.n_k) >= LARGE


def shape(case: Case) -> tuple[int, ...]:
    """Return the sizes of a case, by which a framework that compiles tells calls apart."""
    return (case.batch, case.n_q, case.n_k, case.num_heads, case.d_k)


def in_turn(everything: list[Case], dtypes: Sequence[DType]) -> dict[tuple[int, ...], DType]:
    """Return, by shape, the dtype that a requirement on every dtype is judged in where it is not its own.

    Of four shapes two keep their own, so that a failure is met there first, and two take turns in the
    dtypes that none has: each shape is met in two dtypes at most.  Long ones keep their own.
    """
    everything = [case for case in everything if size(case) < LARGE]
    own = {case.dtype for case in everything}
    others = sorted(set(dtypes) - own, key=lambda dtype: FORMATS[dtype].unit)
    shapes = list(dict.fromkeys(shape(case) for case in everything))
    turns = [sizes for place, sizes in enumerate(shapes) if place % 4 >= 2]
    return {sizes: others[turn % len(others)] for turn, sizes in enumerate(turns)} if others else {}
