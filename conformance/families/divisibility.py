"""Divisibility: d_model is a multiple of num_heads, and what is not is refused where it is built."""

from __future__ import annotations

from dataclasses import replace

from headcheck.adapters.protocol import Build

from ..attend import Attend
from ..cases import Case
from ..observation import Failure, Shown
from ..specification import MUST, SHOULD, requirement

INDIVISIBLE = ((12, 5), (8, 3), (10, 4), (7, 2), (2, 4), (100, 8), (512, 24))
NOT_POSITIVE = ((8, 0), (8, -2), (0, 2), (-8, 2), (0, 0))
DIVISIBLE = ((1, 1), (8, 1), (8, 8), (9, 3), (10, 2), (14, 2), (15, 5), (64, 16))


def build(case: Case, d_model: int, num_heads: int) -> Build:
    """Return the case's constructor arguments with other sizes."""
    return replace(case.call.build, d_model=d_model, num_heads=num_heads)


@requirement(
    "DIV-REFUSE",
    MUST,
    needs={"indivisible"},
    depends_on=(),
    once=True,
    formula=r"d_{model} \bmod h = 0",
    why="Integer division drops the last d mod h columns of every projection without a word, or lets the "
    "module be built and fail in the middle of the first training step.",
)
def refuse(attend: Attend, case: Case) -> Failure | None:
    """d_model not divisible by num_heads is refused when the module is built."""
    for d_model, num_heads in INDIVISIBLE:
        wrong = build(case, d_model, num_heads)
        if attend.construct(wrong) is None:
            return Failure(
                f"d_model={d_model} with num_heads={num_heads} was accepted; expected an argument error",
                build=wrong,
                measured={"d_model": d_model, "num_heads": num_heads},
                kind="accepted",
            )
    return None


@requirement(
    "DIV-MESSAGE",
    SHOULD,
    needs={"indivisible"},
    depends_on=("DIV-REFUSE",),
    once=True,
    formula=r"d_{model} \bmod h = 0",
    why="An assertion without text costs its reader a session in the debugger to learn two integers.",
)
def message(attend: Attend, case: Case) -> Failure | None:
    """The refusal names both sizes."""
    for d_model, num_heads in INDIVISIBLE:
        raised = attend.construct(build(case, d_model, num_heads))
        if raised and not (str(d_model) in raised.message and str(num_heads) in raised.message):
            said = raised.message.strip() or "nothing"
            return Failure(
                f"refusing d_model={d_model} with num_heads={num_heads}, {raised.type} says: {said}",
                build=build(case, d_model, num_heads),
                shown=Shown(f'"{d_model}" in found and "{num_heads}" in found', "str(error)", "refusal"),
            )
    return None


@requirement(
    "DIV-POSITIVE",
    MUST,
    needs={"indivisible"},
    depends_on=(),
    once=True,
    formula=r"d_{model} \ge 1, \quad h \ge 1",
    why="num_heads=0 from an empty configuration field shows as a ZeroDivisionError deep in a constructor; "
    "a negative one passes the divisibility test.",
)
def positive(attend: Attend, case: Case) -> Failure | None:
    """num_heads or d_model of zero or less is refused with an argument error."""
    for d_model, num_heads in NOT_POSITIVE:
        raised = attend.construct(build(case, d_model, num_heads))
        if raised is None or raised.type == "ZeroDivisionError":
            came = "was accepted" if raised is None else f"raised {raised}"
            return Failure(
                f"d_model={d_model} with num_heads={num_heads} {came}; expected an argument error",
                build=build(case, d_model, num_heads),
                raised=raised,
                kind="accepted",
            )
    return None


@requirement(
    "DIV-ACCEPT",
    MUST,
    depends_on=(),
    once=True,
    formula=r"h \mid d_{model} \Rightarrow \text{accepted}",
    why="A power-of-two or even-width assumption in a kernel shows only at the sizes nobody tries by hand.",
)
def accept(attend: Attend, case: Case) -> Failure | None:
    """Every num_heads that divides d_model is accepted: 1, d_model, odd numbers, a prime d_k."""
    for d_model, num_heads in DIVISIBLE:
        small = replace(case, num_heads=num_heads, d_k=d_model // num_heads).call
        [seen] = attend.outcomes(small)
        if seen.raised:
            return Failure(
                f"d_model={d_model} with num_heads={num_heads} raised {seen.raised}",
                call=small,
                kind="raised",
                raised=seen.raised,
            )
    return None
