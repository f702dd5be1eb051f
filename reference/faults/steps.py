"""What a fault sees of the implementation that it is planted in: the steps shared by all references.

A fault is written once, as a class that overrides one step, against the array namespace ``self.xp``
(NumPy, PyTorch or JAX) and the few things below that the three name differently.  At run time `Steps` is
empty: every name comes from the reference that a fault is mixed into in `on_numpy`, `on_torch`, `on_jax`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

Array = Any
"""An array of whichever framework the fault is planted in."""

Role = Literal["q", "k", "v", "o"]
Framework = Literal["numpy", "torch", "jax"]


class Steps:
    """The steps of multi-head attention, as `headcheck.reference.on_numpy` defines them."""

    if TYPE_CHECKING:
        xp: Any  # the array namespace
        d_model: int
        num_heads: int
        d_k: int
        rate: float  # of the dropout; not on NumPy
        training: bool  # torch alone

        def __init__(self, d_model: int, num_heads: int, **options: Any) -> None: ...

        def forward(
            self,
            Q: Array,
            K: Array,
            V: Array,
            mask: Array | None = None,
            *,
            is_causal: bool = False,
            **options: Any,
        ) -> tuple[Array, Array]: ...

        def allowed(
            self, Q: Array, K: Array, V: Array, mask: Array | None, is_causal: bool
        ) -> Array | None: ...
        def causal(self, n_q: int, n_k: int) -> Array: ...
        def project(self, Q: Array, K: Array, V: Array) -> tuple[Array, Array, Array]: ...
        def project_output(self, combined: Array) -> Array: ...
        def split_heads(self, x: Array) -> Array: ...
        def combine_heads(self, x: Array) -> Array: ...
        def scaled_dot_product_attention(
            self, Q: Array, K: Array, V: Array, mask: Array | None = None, *key: Any
        ) -> tuple[Array, Array]: ...
        def scores(self, Q: Array, K: Array) -> Array: ...
        def scale(self) -> float: ...
        def softmax(self, scores: Array, allowed: Array | None) -> Array: ...
        def drop(self, weights: Array, *key: Any) -> Array: ...
        def attend(self, weights: Array, V: Array) -> Array: ...

        # What the three frameworks name differently.

        def weight(self, role: Role) -> Array:
            """Return W_q, W_k, W_v or W_o, (in, out)."""

        def bias(self, role: Role) -> Array | None:
            """Return b_q, b_k, b_v or b_o."""

        def assign(self, role: Role, weight: Array, bias: Array | None = None) -> None:
            """Put initial weights in, and a bias where one is given."""

        def share(self, role: Role, other: Role) -> None:
            """Make one array serve two projections."""

        def cast(self, x: Array, dtype: Any) -> Array:
            """Return x in another type, by its object or its name."""

        def detached(self, x: Array) -> Array:
            """Return x as a constant, through which no gradient flows; not on NumPy."""

        def overwrite(self, x: Array, values: Array) -> None:
            """Write into the caller's array; not on JAX."""

        def as_stored(self, x: Array) -> Array:
            """Return what x would be if it were contiguous; not on JAX."""

        def dropping(self, *key: Any) -> bool:
            """Return whether dropout is on in this call; not on NumPy."""

        def traced(self) -> bool:
            """Return whether a call is being compiled; JAX alone."""

        def kept(self, shape: tuple[int, ...], *key: Any) -> Array:
            """Draw True with probability 1 - rate; not on NumPy."""

    def with_gradient_of(self, surrogate: Array, value: Array) -> Array:
        """Return `value`, differentiated as if it were `surrogate`."""
        return surrogate + self.detached(value - surrogate)


class OnArguments(Steps):
    """A fault in what becomes of the arguments: override `arguments`."""

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        """Return what is computed with in their place."""
        return Q, K, V, mask

    def forward(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        *,
        is_causal: bool = False,
        **options: Any,
    ) -> tuple[Array, Array]:
        """Attend with the other arguments."""
        return super().forward(*self.arguments(Q, K, V, mask), is_causal=is_causal, **options)


class OnMask(OnArguments):
    """A fault in how a mask is read: override `read`."""

    def read(self, mask: Array, Q: Array, K: Array) -> Array | None:
        """Return the mask that is used in its place."""
        return mask

    def arguments(
        self, Q: Array, K: Array, V: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        """Return the arguments with the other mask."""
        return Q, K, V, None if mask is None else self.read(mask, Q, K)


class OnResult(Steps):
    """A fault in what is handed back: override `result`."""

    def result(self, output: Array, weights: Array, Q: Array) -> tuple[Array, Array]:
        """Return what is handed back in place of output and attention weights."""
        return output, weights

    def forward(
        self,
        Q: Array,
        K: Array,
        V: Array,
        mask: Array | None = None,
        *,
        is_causal: bool = False,
        **options: Any,
    ) -> tuple[Array, Array]:
        """Attend, and hand back something else."""
        return self.result(*super().forward(Q, K, V, mask, is_causal=is_causal, **options), Q)
