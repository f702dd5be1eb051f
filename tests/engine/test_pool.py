"""The pool: which cases a requirement is given, by profile, and by what a new shape costs the subject."""

from __future__ import annotations

from dataclasses import replace

import pytest
from headcheck.adapters.protocol import Declaration
from headcheck.adapters.subjects import adapt
from headcheck.cases import Case, MaskKind
from headcheck.engine import COMPILED, Judgement, Subject
from headcheck.pool import LARGE, PROFILES, Long, Profile, pool, portion, shape, size
from headcheck.reference.on_numpy import MultiHeadAttention
from headcheck.session import InProcess
from headcheck.specification import named

SMOKE, STANDARD = PROFILES["smoke"], PROFILES["standard"]


def given(profile: Profile, shapes: int | None, *, share: float = 0.0, long: Long = "none") -> list[Case]:
    return list(portion(pool(profile, 0), profile, shapes=shapes, share=share, long=long))


def test_half_the_shapes_of_a_costly_requirement_where_a_profile_is_not_full() -> None:
    assert len(given(STANDARD, 4)) == 4
    assert len(given(SMOKE, 4)) == 2
    assert len(given(SMOKE, None)) == SMOKE.shapes


def test_a_smoke_run_meets_long_queries_and_long_keys_but_not_both_at_once() -> None:
    long = [case for case in given(SMOKE, None, share=1.0, long="any") if size(case) >= LARGE]
    assert max(case.n_q for case in long) > 4096 < max(case.n_k for case in long)
    assert all(min(case.n_q, case.n_k) < LARGE for case in long)


def test_few_shapes_are_no_reason_to_leave_out_the_long_ones() -> None:
    everything = [case for case in given(STANDARD, None, long="any") if size(case) >= LARGE]
    assert everything
    assert [case for case in given(STANDARD, 4, long="any") if size(case) >= LARGE] == everything
    assert all(size(case) < LARGE for case in given(STANDARD, 4))


class Compiling(InProcess):
    """A session with a subject that says of itself that each new shape is compiled."""

    def declare(self) -> Declaration:
        return replace(super().declare(), compiles=True)


def seen(session: InProcess, id: str) -> set[tuple[int, ...]]:
    judging = Judgement(Subject("mine", session), STANDARD, 0)
    assert judging.prepare().error == ""
    return {shape(case) for case in judging.cases(named(id))}


def test_a_subject_that_compiles_meets_fewer_shapes_except_where_every_case_is_judged() -> None:
    plain, compiling = (kind(adapt(MultiHeadAttention)) for kind in (InProcess, Compiling))
    assert len(seen(compiling, "MASK-BROADCAST")) == COMPILED < len(seen(plain, "MASK-BROADCAST"))
    assert len(seen(compiling, "GRAD-ORACLE")) < len(seen(plain, "GRAD-ORACLE"))
    assert len(seen(compiling, "GRAD-BLOCKED")) == COMPILED < len(seen(plain, "GRAD-BLOCKED"))
    assert seen(compiling, "PROJ-ORACLE") == seen(plain, "PROJ-ORACLE")


@pytest.mark.parametrize(
    ("shapes", "asked", "given"),
    [
        (("B n_k",), "heads", "keys"),
        (("B n_k",), "pairs", "keys"),
        (("n_q n_k",), "keys", "pairs"),
        (("B n_k", "n_q n_k"), "pairs", "pairs"),
        (("B 1 n_q n_k",), "heads", "pairs"),
        (("B n_k",), "empty row", "empty row"),  # which takes a whole example there
    ],
)
def test_a_mask_is_of_a_kind_that_an_accepted_shape_can_hold(
    shapes: tuple[str, ...], asked: MaskKind, given: MaskKind
) -> None:
    declaration = adapt(MultiHeadAttention).declare()
    subject = replace(declaration, conventions=replace(declaration.conventions, mask_shapes=shapes))
    assert Case(mask=asked).fitted(subject).mask == given
