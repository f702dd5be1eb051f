"""Attentions on NumPy that are bad company: each says what it does to whoever calls it."""

import ctypes
import os
import sys
from math import sqrt
from pathlib import Path

import numpy as np


class Right:
    """Right in everything that is asked of it."""

    def __init__(self, d_model, num_heads):
        if d_model <= 0 or num_heads <= 0 or d_model % num_heads:
            raise ValueError(f"d_model={d_model} is no multiple of num_heads={num_heads}")
        limit = np.sqrt(3 / d_model)
        self.d_model, self.num_heads = d_model, num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = np.random.uniform(-limit, limit, (4, d_model, d_model))

    def split(self, x):
        return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)

    def forward(self, Q, K, V):
        if not len(Q) == len(K) == len(V) or K.shape[1] != V.shape[1]:
            raise ValueError(f"shapes that do not fit: {Q.shape}, {K.shape}, {V.shape}")
        q, k, v = self.split(Q @ self.W_q), self.split(K @ self.W_k), self.split(V @ self.W_v)
        s = q @ k.swapaxes(-1, -2) / sqrt(q.shape[-1])
        w = np.exp(s - s.max(-1, keepdims=True, initial=-np.inf))
        w = w / w.sum(-1, keepdims=True)
        return (w @ v).swapaxes(1, 2).reshape(Q.shape) @ self.W_o, w


class GivesADict(Right):
    """Returns a dict without an output."""

    def forward(self, Q, K, V):
        return {"answer": 42}


class GivesNothing(Right):
    """Returns None."""

    def forward(self, Q, K, V):
        return None


class GivesTheWrongShape(Right):
    """Loses the last column."""

    def forward(self, Q, K, V):
        output, weights = super().forward(Q, K, V)
        return output[..., :-1], weights


class GivesNaN(Right):
    """Returns NaN everywhere."""

    def forward(self, Q, K, V):
        output, weights = super().forward(Q, K, V)
        return output * np.nan, weights * np.nan


class Raises(Right):
    """Raises whatever it is called with."""

    def forward(self, Q, K, V):
        raise RuntimeError("no licence")


class Exits(Right):
    """Calls sys.exit."""

    def forward(self, Q, K, V):
        sys.exit(3)


class Interrupts(Right):
    """Raises KeyboardInterrupt of its own."""

    def forward(self, Q, K, V):
        raise KeyboardInterrupt


class Segfaults(Right):
    """Reads from address zero where there are more than seven keys."""

    def forward(self, Q, K, V):
        if K.shape[1] > 7:
            ctypes.string_at(0)
        return super().forward(Q, K, V)


class Aborts(Right):
    """Ends its process at the first call."""

    def forward(self, Q, K, V):
        os._exit(7)


class Leaves(Right):
    """Ends its process as if all were well where there are more than seven keys."""

    def forward(self, Q, K, V):
        if K.shape[1] > 7:
            os._exit(0)
        return super().forward(Q, K, V)


class ExitsUnderMask(Right):
    """Calls sys.exit where there is a mask, which is tried before anything is judged."""

    def forward(self, Q, K, V, mask=None):
        if mask is not None:
            sys.exit("no such kernel")
        return super().forward(Q, K, V)


class Hangs(Right):
    """Leaves a word, and never comes back, where there are more than seven keys."""

    def forward(self, Q, K, V):
        if K.shape[1] > 7:
            Path("hanging").touch()
            while True:
                pass
        return super().forward(Q, K, V)


class WantsMore(Right):
    """Wants an argument that nobody knows."""

    def __init__(self, d_model, num_heads, licence):
        super().__init__(d_model, num_heads)


class HasNoProjections:
    """Has nothing that looks like a projection."""

    def __init__(self, d_model, num_heads):
        self.alpha = np.zeros((d_model, d_model))

    def forward(self, Q, K, V):
        return Q


class CannotBeBuilt(Right):
    """Raises when it is built."""

    def __init__(self, d_model, num_heads):
        raise OSError("no such device")


number = 3
