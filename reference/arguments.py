"""What a multi-head attention refuses: sizes that do not fit, before anything is computed.

Shapes are plain tuples here, so one set of rules serves every framework.
"""

from __future__ import annotations

from collections.abc import Sequence


def check_sizes(d_model: int, num_heads: int, dropout: float = 0.0) -> None:
    """Raise ValueError unless d_model splits into num_heads equal heads and dropout lies in [0, 1)."""
    if d_model <= 0 or num_heads <= 0:
        raise ValueError(
            f"d_model and num_heads must be positive, got d_model={d_model}, num_heads={num_heads}"
        )
    if d_model % num_heads:
        raise ValueError(
            f"d_model must be a multiple of num_heads, got d_model={d_model}, num_heads={num_heads}: "
            f"{d_model % num_heads} columns would belong to no head"
        )
    if not 0.0 <= dropout < 1.0:  # written so that NaN is refused
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}")


def check_shapes(
    d_model: int,
    num_heads: int,
    Q: Sequence[int],
    K: Sequence[int],
    V: Sequence[int],
    mask: Sequence[int] | None,
) -> tuple[int, int, int, int]:
    """Return (B, num_heads, n_q, n_k), the shape of the scores; raise ValueError where shapes do not fit.

    Nothing is broadcast but the mask, and that only as NumPy does it: aligned at the right.
    """
    Q, K, V = tuple(Q), tuple(K), tuple(V)
    for name, shape in (("Q", Q), ("K", K), ("V", V)):
        if len(shape) != 3 or shape[2] != d_model:
            raise ValueError(f"{name} must have the shape (batch, length, {d_model}), got {shape}")
    if not Q[0] == K[0] == V[0]:
        raise ValueError(f"Q, K and V must have one batch size, got {Q[0]}, {K[0]} and {V[0]}")
    if K[1] != V[1]:
        raise ValueError(f"K and V must have one length, got {K[1]} and {V[1]}")
    scores = (Q[0], num_heads, Q[1], K[1])
    if mask is not None:
        aligned = (1,) * (4 - len(mask)) + tuple(mask)
        if len(aligned) != 4 or any(
            size not in (1, full) for size, full in zip(aligned, scores, strict=True)
        ):
            raise ValueError(f"mask must broadcast to (B, num_heads, n_q, n_k) = {scores}, got {tuple(mask)}")
    return scores
