"""A failure is named after the faults that would have given it, and after none that would not."""

from __future__ import annotations

import numpy as np
import pytest
from headcheck import check
from headcheck.diagnosis import MOST
from headcheck.reference.faults.catalogue import fault_named
from headcheck.reference.on_numpy import MultiHeadAttention


def matches(subject: str | type, requirement: str = "PROJ-ORACLE") -> tuple[str, ...]:
    run = check(subject, profile="smoke", only=[requirement], raises=False)
    evidence = run.verdicts[-1].evidence
    assert evidence is not None, run.verdicts[-1].message
    return evidence.matches


@pytest.mark.parametrize(
    ("fault", "requirement"),
    [
        ("MaskInverted", "PROJ-ORACLE"),
        ("ScaleByModel", "SCALE-DK"),  # the failure holds a number, the call the attention weights
        ("SoftmaxOverQueries", "SOFTMAX-ROWSUM"),
        ("EmptyRowIsNaN", "MASK-EMPTY-ROW"),
    ],
)
def test_a_known_fault_is_named(fault: str, requirement: str) -> None:
    assert fault_named(fault).lie in matches(fault_named(fault).subject("numpy"), requirement)


def test_faults_that_cannot_be_told_apart_are_all_listed() -> None:
    known = matches(fault_named("BlockedValuesZeroed").subject("numpy"), "MASK-ZERO")
    assert 1 < len(known) <= MOST
    assert fault_named("BlockedValuesZeroed").lie in known


def test_an_unknown_fault_is_named_after_none() -> None:
    class Odd(MultiHeadAttention):
        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            output, weights = super().forward(Q, K, V, mask)
            return output + np.sin(37.0 * output), weights

    assert matches(Odd) == ()
