"""Faults of initialisation: everything is right once weights are put in."""

from __future__ import annotations

from math import sqrt
from typing import Any

from .fault import MUTABLE, fault
from .steps import Array, Role, Steps

QUERY_KEY_VALUE: tuple[Role, ...] = ("q", "k", "v")
ALL: tuple[Role, ...] = ("q", "k", "v", "o")


class Initialised(Steps):
    """Changes weights that were initialised well: override `start`."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        for role in ALL:
            self.assign(role, self.start(role, self.weight(role)))

    def start(self, role: Role, W: Array) -> Array:
        """Return the weights that a projection starts with, from Xavier-uniform ones."""
        return W


@fault("INIT-XAVIER", "B118")
class PackedFan(Initialised):
    """Query, key and value start as one packed 3d x d matrix, with its fan: too small by sqrt(2)."""

    def start(self, role: Role, W: Array) -> Array:
        return W if role == "o" else W / sqrt(2.0)


@fault("INIT-XAVIER", "B119", "B121")
class OutputByFrameworkDefault(Initialised):
    """W_o starts from the framework's default, U(-1/sqrt(d), 1/sqrt(d))."""

    def start(self, role: Role, W: Array) -> Array:
        return W / sqrt(3.0) if role == "o" else W


@fault("INIT-XAVIER")
class StartsTooWide(Initialised):
    """All weights start with a gain of sqrt(2), as for a ReLU."""

    def start(self, role: Role, W: Array) -> Array:
        return W * sqrt(2.0)


@fault("INIT-XAVIER")
class FanOfOneHead(Initialised):
    """The fan is counted head by head: d_k columns out, not d_model."""

    def start(self, role: Role, W: Array) -> Array:
        return W * sqrt(2.0 * self.num_heads / (self.num_heads + 1))


@fault("INIT-XAVIER")
class StartsWithTwoValues(Initialised):
    """Weights start at plus or minus one standard deviation: the right variance, another distribution."""

    def start(self, role: Role, W: Array) -> Array:
        return self.xp.sign(W) * sqrt(1.0 / self.d_model)


@fault("INIT-XAVIER")
class OutputStartsAtZero(Initialised):
    """W_o starts at zero."""

    def start(self, role: Role, W: Array) -> Array:
        return 0.0 * W if role == "o" else W


@fault("INIT-XAVIER")
class StartsPositive(Initialised):
    """Weights start without a negative one among them."""

    def start(self, role: Role, W: Array) -> Array:
        return abs(W)


@fault("INIT-DISTINCT")
class KeyStartsAsQuery(Steps):
    """One seed initialises all projections: W_k starts equal to W_q."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        self.assign("k", self.weight("q"))


@fault("INIT-DISTINCT")
class AllStartAlike(Steps):
    """Every projection starts as a copy of the first."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        for role in ALL[1:]:
            self.assign(role, self.weight("q"))


@fault("INIT-DISTINCT")
class KeyTransposesQuery(Steps):
    """W_k starts as the transpose of W_q."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        self.assign("k", self.weight("q").T)


@fault("INIT-DISTINCT", on=MUTABLE)
class ValueSharesKeyStorage(Steps):
    """W_v and W_k are one array."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        self.share("v", "k")


class Biased(Steps):
    """Starts biases elsewhere than at zero: override `first`."""

    def __init__(self, d_model: int, num_heads: int, **options: Any) -> None:
        super().__init__(d_model, num_heads, **options)
        for role in ALL:
            b = self.bias(role)
            if b is not None:
                self.assign(role, self.weight(role), self.first(role, b))

    def first(self, role: Role, b: Array) -> Array:
        """Return the bias that a projection starts with."""
        return b


@fault("INIT-BIAS")
class BiasesStartAtAHundredth(Biased):
    """Biases start at 0.01."""

    def first(self, role: Role, b: Array) -> Array:
        return b + 0.01


@fault("INIT-BIAS")
class OutputBiasStartsRandom(Biased):
    """b_o starts from the framework's default, random one."""

    def first(self, role: Role, b: Array) -> Array:
        return b + self.weight("q")[0] / sqrt(3.0) if role == "o" else b
