from __future__ import annotations

import numpy as np
import pytest
from headcheck.adapters.protocol import Build
from headcheck.adapters.storage import Slot, assembled, axes_of, orders

from .attention import parameters

BUILD = Build(6, 3)  # d_k is 2
QKV = ("W_q", "W_k", "W_v")
P = parameters(6)


def per_head(i: int) -> np.ndarray:
    """Return rows [q | k | v] of head i, as one matrix (out, in) that is cut head by head has them."""
    return np.concatenate([W[:, 2 * i : 2 * i + 2].T for W in (P.W_q, P.W_k, P.W_v)])


STORED = [
    (Slot("W", ("W_q",), ("r", "in", "h", "k")), P.W_q),
    (Slot("W", ("W_q",), ("r", "h", "k", "in")), P.W_q.T),
    (Slot("W", ("W_o",), ("h", "k", "out")), P.W_o),
    (Slot("W", ("W_o",), ("out", "h", "k")), P.W_o.T),
    (Slot("W", QKV, ("r", "h", "k", "in")), np.concatenate([P.W_q.T, P.W_k.T, P.W_v.T])),
    (Slot("W", QKV, ("in", "r", "h", "k")), np.concatenate([P.W_q, P.W_k, P.W_v], axis=1)),
    (Slot("W", QKV, ("h", "r", "k", "in")), np.concatenate([per_head(i) for i in range(3)])),
    (Slot("W", ("W_k",), ("r", "h", "in", "k")), np.stack([P.W_k[:, 2 * i : 2 * i + 2] for i in range(3)])),
    (Slot("W", ("W_v",), ("r", "h", "k", "in"), head=1), P.W_v[:, 2:4].T),
    (Slot("b", ("b_v",), ("r", "h", "k")), P.b_v),
    (Slot("b", ("b_o",), ("out",)), P.b_o),
]


@pytest.mark.parametrize(("slot", "array"), STORED)
def test_what_is_stored(slot: Slot, array: np.ndarray) -> None:
    np.testing.assert_array_equal(slot.stored(P, BUILD, array.shape), array)


@pytest.mark.parametrize(("slot", "array"), [one for one in STORED if one[0].head is None])
def test_what_is_stored_is_read_back(slot: Slot, array: np.ndarray) -> None:
    back = assembled([(slot, array)], BUILD)
    assert back.keys() == {*slot.names}
    for name in slot.names:
        np.testing.assert_array_equal(back[name], getattr(P, name))


def test_heads_are_put_together() -> None:
    slots = [Slot("W", ("W_q",), ("r", "h", "k", "in"), head=i) for i in range(3)]
    back = assembled([(slot, slot.stored(P, BUILD, (2, 6))) for slot in slots], BUILD)
    np.testing.assert_array_equal(back["W_q"], P.W_q)


def test_a_missing_bias_is_stored_as_zeros() -> None:
    slot = Slot("b", ("b_q", "b_k", "b_v"), ("r", "h", "k"))
    np.testing.assert_array_equal(slot.stored(parameters(6, bias=False), BUILD, (18,)), np.zeros(18))


def test_an_array_of_another_size_is_refused_and_read_as_it_is() -> None:
    slot = Slot("W_q.weight", ("W_q",), ("r", "h", "k", "in"))
    with pytest.raises(ValueError, match=r"W_q.weight has shape \(18, 6\)"):
        slot.stored(P, BUILD, (18, 6))
    assert assembled([(slot, np.ones((18, 6)))], BUILD)["W_q"].shape == (18, 6)


@pytest.mark.parametrize(("slot", "array"), [one for one in STORED if one[0].head is None])
def test_the_order_is_among_those_that_the_shape_allows(slot: Slot, array: np.ndarray) -> None:
    assert slot.order in orders(Slot("", slot.names, axes_of(slot.names[0])), array.shape, BUILD)


def test_in_out_comes_first_and_heads_stay_together() -> None:
    assert orders(Slot("", ("W_q",), axes_of("W_q")), (6, 6), BUILD) == [
        ("r", "in", "h", "k"),
        ("r", "h", "k", "in"),
    ]
    assert orders(Slot("", ("W_q",), axes_of("W_q")), (5, 6), BUILD) == []
