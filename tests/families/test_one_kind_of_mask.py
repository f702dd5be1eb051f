"""A class that takes masks of one shape alone is judged on all that is said of masks, and left in peace."""

import pytest
from headcheck import check
from headcheck.verdicts import Level, Status

torch = pytest.importorskip("torch")
MultiHeadAttention = pytest.importorskip("headcheck.reference.on_torch").MultiHeadAttention


def refuse(mask, shape):
    if mask is not None and tuple(mask.shape) != shape:
        raise ValueError(f"expected a mask of shape {shape}, got {tuple(mask.shape)}")


class Padding(MultiHeadAttention):
    """Takes (B, n_k), True for what is padding."""

    def forward(self, Q, K, V, key_padding_mask=None):
        refuse(key_padding_mask, (len(K), K.shape[1]))
        mask = None if key_padding_mask is None else ~key_padding_mask.bool()[:, None, None]
        return super().forward(Q, K, V, mask)


class Pairs(MultiHeadAttention):
    """Takes (n_q, n_k)."""

    def forward(self, Q, K, V, mask=None):
        refuse(mask, (Q.shape[1], K.shape[1]))
        return super().forward(Q, K, V, mask)


@pytest.mark.parametrize(("one", "shapes"), [(Padding, "(B, n_k)"), (Pairs, "(n_q, n_k)")])
def test_every_requirement_on_masks_meets_its_situation(one: type, shapes: str) -> None:
    run = check(one, profile="standard", only=["MASK-*", "GRAD-*"], raises=False)
    [subject] = run.subjects
    assert subject.declared["mask shapes"] == shapes
    assert {
        verdict.requirement: verdict.message
        for verdict in run.verdicts
        if verdict.level is Level.MUST and verdict.status not in {Status.PASS, Status.NOT_APPLICABLE}
    } == {}
