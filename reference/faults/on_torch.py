"""The faults on PyTorch: ``on_torch:ScaleByModel`` is the right implementation with that one step wrong."""

from __future__ import annotations

from typing import Any

import torch

from .. import on_torch
from .catalogue import FAULTS
from .fault import classes
from .steps import Role


class Binding:
    """What faults call by one name, in PyTorch's words."""

    xp = torch

    def weight(self, role: Role) -> Any:
        """Return a projection's weights, (in, out)."""
        return getattr(self, f"W_{role}").weight.T

    def bias(self, role: Role) -> Any:
        """Return a projection's bias, or None."""
        return getattr(self, f"W_{role}").bias

    def assign(self, role: Role, weight: Any, bias: Any = None) -> None:
        """Put weights in, and a bias where one is given."""
        linear = getattr(self, f"W_{role}")
        linear.weight = torch.nn.Parameter(weight.detach().T.clone())
        if bias is not None:
            linear.bias = torch.nn.Parameter(bias.detach().clone())

    def share(self, role: Role, other: Role) -> None:
        """Make one array serve two projections."""
        setattr(self, f"W_{role}", getattr(self, f"W_{other}"))

    def cast(self, x: Any, dtype: Any) -> Any:
        """Return x in another type, by its object or its name."""
        return x.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)

    def detached(self, x: Any) -> Any:
        """Return x as a constant, through which no gradient flows."""
        return x.detach()

    def overwrite(self, x: Any, values: Any) -> None:
        """Write into a tensor behind the back of autograd."""
        x.data.copy_(values)

    def as_stored(self, x: Any) -> Any:
        """Return what a tensor would be if it were contiguous."""
        if x.is_contiguous():
            return x
        memory = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())
        return memory[torch.arange(x.numel()) % memory.numel()].reshape(x.shape)

    @property
    def rate(self) -> float:
        """The rate of the dropout."""
        return float(self.dropout.p)  # type: ignore[attr-defined]

    def dropping(self, *key: Any) -> bool:
        """Return whether dropout is on in this call."""
        return bool(self.training) and self.rate > 0.0  # type: ignore[attr-defined]

    def kept(self, shape: tuple[int, ...], *key: Any) -> Any:
        """Draw True with probability 1 - rate."""
        return torch.rand(shape) >= self.rate


globals().update(classes(FAULTS, "torch", Binding, on_torch.MultiHeadAttention))
