"""The specification applied to a configuration alone: shapes, costs and advice from two numbers.

Pure integers: nothing here needs an implementation, or NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .cost_model import Cost, compare, cost

HEAD_WIDTHS = range(64, 129)  # the common rule of thumb for d_k
PRODUCTION = 512  # d_model from which the rule of thumb is meant

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Configuration:
    """Sizes of one multi-head attention and of one call of it."""

    d_model: int
    num_heads: int
    batch: int = 32
    seq_len: int = 10
    seq_len_k: int | None = None  # keys and values; None: those of the queries
    num_kv_heads: int | None = None  # grouped-query attention; None: as many as heads
    bias: bool = True

    @property
    def d_k(self) -> int:
        """Width of one head."""
        return self.d_model // self.num_heads

    @property
    def n_k(self) -> int:
        """Length of keys and values."""
        return self.seq_len if self.seq_len_k is None else self.seq_len_k

    @property
    def kv_heads(self) -> int:
        """Number of heads that keys and values have."""
        return self.num_heads if self.num_kv_heads is None else self.num_kv_heads

    @property
    def grouped(self) -> bool:
        """Whether heads share keys and values."""
        return self.kv_heads != self.num_heads


@dataclass(frozen=True)
class Stage:
    """One step of the computation: what it is called, how it comes about, and its shape."""

    name: str
    formula: str
    symbols: str
    shape: Shape


@dataclass(frozen=True)
class Advice:
    """The head-count advice: what to say, and the counts whose heads are 64 to 128 wide."""

    text: str
    head_counts: tuple[int, ...]


def refusal(configuration: Configuration) -> str:
    """Return why no multi-head attention can be built from these sizes, "" where one can."""
    d, h, shared = configuration.d_model, configuration.num_heads, configuration.kv_heads
    if d <= 0 or h <= 0:
        return f"d_model and num_heads must be positive, not {d} and {h}"
    if d % h:
        near = ", ".join(map(str, nearest_divisors(d, h)))
        return (
            f"num_heads = {h} does not divide d_model = {d}: {d} / {h} leaves {d % h}; "
            f"the nearest head counts that divide it: {near}"
        )
    if shared <= 0 or h % shared:
        return f"num_kv_heads = {shared} must be positive and divide num_heads = {h}"
    return ""


def stages(configuration: Configuration) -> tuple[Stage, ...]:
    """Return the shape pipeline, stage by stage; where queries and keys differ, each has its own line."""
    c = configuration
    B, h, d, d_k, n_q, n_k = c.batch, c.num_heads, c.d_model, c.d_k, c.seq_len, c.n_k
    b_x, b_o = (" + b_x", " + b_o") if c.bias else ("", "")
    return (
        *(
            Stage(
                f"projected{s.label}", f"X W_x{b_x}", f"(B, {s.n}, {s.width})", (B, s.length, s.heads * d_k)
            )
            for s in _sides(c)
        ),
        *(
            Stage(
                f"split{s.label}",
                "heads side by side",
                f"(B, {s.h}, {s.n}, d_k)",
                (B, s.heads, s.length, d_k),
            )
            for s in _sides(c)
        ),
        Stage("scores", "Q K^T / sqrt(d_k)", "(B, h, n_q, n_k)", (B, h, n_q, n_k)),
        Stage("weights", "softmax over the keys", "(B, h, n_q, n_k)", (B, h, n_q, n_k)),
        Stage("context", "weights V", "(B, h, n_q, d_k)", (B, h, n_q, d_k)),
        Stage("combined", "Concat(head_1..head_h)", "(B, n_q, d)", (B, n_q, d)),
        Stage("output", f"combined W_o{b_o}", "(B, n_q, d)", (B, n_q, d)),
    )


def costs(configuration: Configuration) -> tuple[Cost, ...]:
    """Return the configuration's cost beside a single head's and beside that of heads of full width."""
    c = configuration
    single, heads, full_width = compare(c.d_model, c.num_heads, c.seq_len, c.n_k, bias=c.bias)
    if not c.grouped:
        return single, heads, full_width
    name = f"h heads of d / h, {c.kv_heads} for keys and values"
    shared = cost(name, c.num_heads, c.d_k, c.d_model, c.seq_len, c.n_k, bias=c.bias, kv_heads=c.kv_heads)
    return single, heads, shared, full_width


def weight_matrix_elements(configuration: Configuration, heads: int) -> int:
    """Return how many attention weights one call holds: a map of n_q by n_k for each example and head."""
    return configuration.batch * heads * configuration.seq_len * configuration.n_k


def advice(configuration: Configuration) -> Advice:
    """Return what the rule of thumb says: heads 64 to 128 wide, 8 to 16 of them at d_model 512 to 1024."""
    d, h, d_k = configuration.d_model, configuration.num_heads, configuration.d_k
    counts = tuple(d // width for width in reversed(HEAD_WIDTHS) if d % width == 0)
    if d < PRODUCTION:
        return Advice(f"d_k = {d_k}: no advice below d_model = {PRODUCTION}", counts)
    if d_k in HEAD_WIDTHS:
        return Advice(f"d_k = {d_k} lies within the usual 64 to 128", counts)
    side = "narrower" if d_k < HEAD_WIDTHS.start else "wider"
    instead = f"; num_heads = {_either(counts)} would give 64 to 128" if counts else ""
    return Advice(f"d_k = {d_k}: heads are {side} than the usual 64 to 128 with {h} of them{instead}", counts)


def nearest_divisors(d: int, h: int) -> tuple[int, ...]:
    """Return the divisors of d next below and next above h, as far as there are any."""
    below = next((k for k in range(min(h, d), 0, -1) if d % k == 0), None)
    above = next((k for k in range(h, d + 1) if d % k == 0), None)
    return tuple(k for k in (below, above) if k is not None)


class _Side(NamedTuple):
    """Inputs that pass a stage with the same shape."""

    label: str
    n: str
    length: int
    heads: int
    h: str = "h"
    width: str = "d"


def _sides(c: Configuration) -> tuple[_Side, ...]:
    """Return one side where queries, keys and values have one shape, otherwise two."""
    if c.n_k == c.seq_len and not c.grouped:
        return (_Side("", "n", c.seq_len, c.num_heads),)
    shared = ("h_kv", "h_kv d_k") if c.grouped else ("h", "d")
    return (
        _Side(" Q", "n_q", c.seq_len, c.num_heads),
        _Side(" K, V", "n_k", c.n_k, c.kv_heads, *shared),
    )


def _either(counts: tuple[int, ...]) -> str:
    *most, last = map(str, counts)
    return f"{', '.join(most)} or {last}" if most else last
