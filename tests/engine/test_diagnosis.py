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
    known = matches(fault_named(fault).subject("numpy"), requirement)
    assert any(words.startswith(fault_named(fault).lie) for words in known)


def test_a_mask_read_the_other_way_says_how_to_declare_it() -> None:
    [inverted] = matches(fault_named("MaskInverted").subject("numpy"), "MASK-REMOVAL")
    assert 'declare it in the class: headcheck = {"mask_true": "block"}' in inverted


class StoredOutIn(MultiHeadAttention):
    """Stores its weights as torch does, and does not say so."""

    def linear(self, x, W, b):
        return super().linear(x, W.T, b)


def test_weights_stored_the_other_way_say_how_to_declare_it() -> None:
    known = matches(StoredOutIn)
    assert known[0].startswith("every weight is stored (out, in)")
    assert known[0].endswith('headcheck = {"stored": "out in"}')


class PaddingInverted(MultiHeadAttention):
    """Takes True in a padding mask for what is to be seen."""

    def forward(self, Q, K, V, key_padding_mask=None):
        seen = None if key_padding_mask is None else key_padding_mask[:, None, None, :]
        return super().forward(Q, K, V, seen)


def test_padding_read_the_other_way_says_what_true_means() -> None:
    known = matches(PaddingInverted, "MASK-REMOVAL")
    assert any(words.startswith("True allows and False blocks; if that is meant") for words in known)


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
