"""What a proof records: the case as it went wrong, and of a large array the part around the worst element."""

from __future__ import annotations

import numpy as np
from headcheck import check
from headcheck.cases import Case
from headcheck.proof import EXCERPT, nested
from headcheck.reference.faults.catalogue import fault_named
from headcheck.verdicts import Evidence


def evidence(fault: str, requirement: str) -> Evidence:
    subject = fault_named(fault).subject("numpy")
    run = check(subject, profile="smoke", only=[requirement], raises=False)
    proof = run.verdicts[-1].evidence
    assert proof is not None
    return proof


def test_of_a_large_array_what_is_around_the_worst_element_is_kept() -> None:
    array = np.arange(2 * 3 * 100 * 70.0).reshape(2, 3, 100, 70)
    kept = np.array(nested(array, (1, 2, 97, 3)))
    np.testing.assert_array_equal(kept, array[1, 2, 36:, :EXCERPT])
    assert nested(np.arange(5000.0), (4999,))[-1] == 4999.0  # type: ignore[index]


def test_a_small_array_is_kept_whole() -> None:
    assert nested(np.eye(2), (0, 1)) == [[1.0, 0.0], [0.0, 1.0]]


def test_a_requirement_with_calls_of_its_own_records_their_sizes() -> None:
    proof = evidence("ValueBroadcast", "SHAPE-REFUSE")
    case = Case.from_record(proof.case)
    assert (case.batch, case.n_q, case.n_k, case.num_heads) == (2, 2, 3, 2)
    assert "B=2, n_q=2, n_k=3, d_model=2, num_heads=2" in proof.case_text


def test_what_no_call_shows_has_no_sizes() -> None:
    assert "n_q" not in evidence("WidthFloored", "DIV-REFUSE").case
