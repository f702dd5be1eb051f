"""Cases: a situation described by a handful of names and small numbers, and the arrays made from it.

A case is drawn, shrunk, printed and replayed as structure; its data are derived from it with NumPy.  All
requirements share one small alphabet of shapes, because a framework that compiles pays for each new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from headcheck.adapters.protocol import Build, Call, Declaration, DType, Mask
from headcheck.reference.dtypes import FORMATS, quantise
from headcheck.reference.parameters import Parameters

Recipe = Literal["ramp", "integers", "eighths", "ties", "normal", "large"]
MaskKind = Literal["none", "all", "keys", "pairs", "batch", "heads", "empty row"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
MASKS: tuple[MaskKind, ...] = get_args(MaskKind)
PRECISION: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")

# What each kind of mask varies over, as a shape that broadcasts to (B, h, n_q, n_k).
VARIES: Mapping[MaskKind, str] = {
    "all": "1 1 n_q n_k",
    "keys": "B 1 1 n_k",
    "pairs": "1 1 n_q n_k",
    "batch": "B 1 n_q n_k",
    "heads": "B h n_q n_k",
    "empty row": "B 1 n_q n_k",
}


@dataclass(frozen=True)
class Case:
    """One situation.  d_model is num_heads * d_k, so every case is divisible by construction."""

    batch: int = 2
    n_q: int = 5
    n_k: int = 7
    num_heads: int = 4
    d_k: int = 3
    recipe: Recipe = "normal"
    mask: MaskKind = "none"
    causal: bool = False
    bias: bool = True
    itself: bool = False  # query, key and value are one array
    shared: bool = False  # key and value are one array
    dtype: DType = "float32"
    seed: int = 0

    @property
    def d_model(self) -> int:
        """Width of the model."""
        return self.num_heads * self.d_k

    @property
    def sizes(self) -> dict[str, int]:
        """The axes by the names used in the shapes of masks."""
        return {"B": self.batch, "h": self.num_heads, "n_q": self.n_q, "n_k": self.n_k}

    def fitted(self, subject: Declaration) -> Case:
        """Return the nearest case that this subject can be given."""
        can = subject.capabilities
        itself = self.itself or not {"cross", "memory"} & can
        longest = subject.longest or max(self.n_q, self.n_k)
        n_q, n_k = min(self.n_q, longest), min(self.n_k, longest)
        case = replace(
            self,
            itself=itself,
            shared=not itself and "cross" not in can,
            n_q=min(n_q, n_k) if itself else n_q,
            n_k=min(n_q, n_k) if itself else n_k,
            mask=self.mask if "mask" in can else "none",
            causal=(self.causal and "causal" in can) or subject.always_causal,
            bias=self.bias and "bias" in can,
            dtype=self.dtype if self.dtype in subject.dtypes else most_precise(subject),
        )
        return replace(case, mask=case._mask_within(subject.conventions.mask_shapes))

    def _mask_within(self, shapes: tuple[str, ...]) -> MaskKind:
        """Return the kind of mask, or a simpler one where no accepted shape has its axes."""
        if self.mask in {"none", "all", "empty row"}:
            return self.mask

        def fits(kind: MaskKind) -> bool:
            axes = {axis for axis in VARIES[kind].split() if self.sizes.get(axis, 1) > 1}
            return any(axes <= {*shape.split()} for shape in shapes)

        return next((kind for kind in (self.mask, "pairs", "keys") if fits(kind)), self.mask)

    def _rows(self, stream: int, length: int) -> np.ndarray:
        shape, rng = (self.batch, length, self.d_model), np.random.default_rng([self.seed, stream])
        match self.recipe:
            case "ramp":
                rows = (np.arange(np.prod(shape)).reshape(shape) + stream) % 5 - 2.0
            case "integers":
                rows = rng.integers(-2, 3, shape).astype(float)
            case "eighths":
                rows = np.round(rng.standard_normal(shape) * 8) / 8
                rows[:, 1:2] = 0.0  # a row like padding, which is none unless a mask says so
            case "ties":
                rows = np.repeat(rng.integers(-1, 2, (self.batch, 1, self.d_model)), length, axis=1) * 1.0
                rows[:, ::2] += 0.5 if stream == 2 else 0.0
            case "normal":
                rows = rng.standard_normal(shape)
            case "large":
                rows = 3.0 * rng.standard_normal(shape)
        return quantise(rows, self.dtype)

    def _matrix(self, stream: int) -> np.ndarray:
        d, rng = self.d_model, np.random.default_rng([self.seed, stream])
        if self.recipe in {"ramp", "integers"} and d <= 16:
            return rng.integers(-1, 2, (d, d)) * 0.5
        matrix = rng.standard_normal((d, d)) * np.sqrt(1.5 / d)
        return quantise(np.round(matrix * 8) / 8 if self.recipe == "eighths" else matrix, self.dtype)

    def _vector(self, stream: int) -> np.ndarray:
        return quantise(
            np.random.default_rng([self.seed, stream]).integers(-4, 5, self.d_model) / 4, self.dtype
        )

    @cached_property
    def parameters(self) -> Parameters:
        """Weights with logits of moderate size, so that the softmax neither saturates nor flattens."""
        biases = [self._vector(stream) if self.bias else None for stream in range(8, 12)]
        return Parameters(*(self._matrix(stream) for stream in range(4, 8)), *biases)

    @cached_property
    def allowed(self) -> np.ndarray | None:
        """The mask over (B, h, n_q, n_k); every row but those meant to be empty has an allowed key."""
        if self.mask == "none":
            return None
        full = (self.batch, self.num_heads, self.n_q, self.n_k)
        if self.mask == "all":
            return np.ones(full, dtype=bool)
        shape = tuple(self.sizes.get(axis, 1) for axis in VARIES[self.mask].split())
        rng = np.random.default_rng([self.seed, 3])
        allowed = rng.random(shape) < 0.6
        keep, block = rng.integers(0, max(self.n_k, 1), (2, *shape[:-1], 1))
        block = np.where(block == keep, (keep + 1) % max(self.n_k, 1), block)
        np.put_along_axis(allowed, block, False, axis=-1)  # something is blocked ...
        np.put_along_axis(allowed, keep, True, axis=-1)  # ... and something is left
        if self.causal and shape[-1]:
            allowed[..., 0] = True  # the first key is the only one that the first query may see
        if self.mask == "empty row":
            allowed[..., 0, :] = False
        return np.broadcast_to(allowed, full)

    @cached_property
    def call(self) -> Call:
        """The call that this case is, on the subject's first variant."""
        query = self._rows(0, self.n_q)
        key = query if self.itself else self._rows(1, self.n_k)
        value = key if self.itself or self.shared else self._rows(2, self.n_k)
        build = Build(self.d_model, self.num_heads, bias=self.bias, dtype=self.dtype)
        mask = None if self.allowed is None else Mask(self.allowed)
        return Call(build, query, key, value, self.parameters, mask=mask, causal=self.causal)

    def situations(self) -> list[str]:
        """Name what this case holds that a requirement may exist for."""
        sizes = (
            ("B", self.batch),
            ("h", self.num_heads),
            ("n_q", self.n_q),
            ("n_k", self.n_k),
            ("d_k", self.d_k),
        )
        pairs = [
            f"{a} = {b}" for i, (a, m) in enumerate(sizes) for b, n in sizes[i + 1 :] if m == n and m > 1
        ]
        return [
            f"mask: {self.mask}",
            self.dtype,
            *(["causal"] if self.causal else []),
            *(["n_q != n_k"] if self.n_q != self.n_k else []),
            *(["query = key = value"] if self.itself else []),
            *(["key = value"] if self.shared else []),
            *(["no biases"] if not self.bias else []),
            *(["h = 1"] if self.num_heads == 1 else []),
            *(["n >= 64"] if max(self.n_q, self.n_k) >= 64 else []),
            *pairs,
        ]

    def as_record(self) -> dict[str, Any]:
        """Return the fields as they replay."""
        return asdict(self)

    def compact(self) -> str:
        """Return the case as one short line of JSON, for a command."""
        default = Case()
        return json.dumps({k: v for k, v in asdict(self).items() if v != getattr(default, k)})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Case:
        """Return the case that a record describes; ValueError names what is not a case's."""
        if not isinstance(record, Mapping):
            raise ValueError(f"{record!r:.80} is no case; expected the fields as a failure prints them")
        for name, value in record.items():
            if name not in FIELDS:
                raise ValueError(f"{name!r} is not one of {', '.join(FIELDS)}")
            fits, words = FIELDS[name]
            if not fits(value):
                raise ValueError(f"{name} is {value!r:.80}; expected {words}")
        case = cls(**record)
        longest = max(case.n_q, case.n_k)
        maps, rows = case.num_heads * case.n_q * case.n_k, longest * case.d_model
        largest = max(case.batch * maps, case.batch * rows, case.d_model**2)
        if largest > LARGEST_ARRAY:
            sizes = f"B={case.batch}, n_q={case.n_q}, n_k={case.n_k}, d_model={case.d_model}"
            words = f"an array of {largest:.3g} numbers; expected one of at most {LARGEST_ARRAY:.3g}"
            raise ValueError(f"{sizes} makes {words}")
        return case

    def __str__(self) -> str:
        sizes = f"B={self.batch}, n_q={self.n_q}, n_k={self.n_k}"
        shape = f"{sizes}, d_model={self.d_model}, num_heads={self.num_heads}"
        extras = [
            "query = key = value" if self.itself else "",
            "key = value" if self.shared else "",
            "" if self.mask == "none" else f"mask: {MASK_WORDS[self.mask]}",
            "causal" if self.causal else "",
            "" if self.bias else "no biases",
            self.dtype,
            f"{RECIPE_WORDS[self.recipe]}, seed {self.seed}",
        ]
        return "; ".join([shape, *(extra for extra in extras if extra)])


def _among(values: tuple[Any, ...]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: type(value) is type(values[0]) and value in values, " or ".join(map(repr, values))


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: type(value) is int and value >= least, f"a whole number from {least} up"


LARGEST_ARRAY = 2**27  # numbers; the oracle holds ten like it, a gigabyte each in float64

# What each field of a record may hold: the test, and the words for it.
FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("batch", "n_q", "n_k", "num_heads", "d_k"), _at_least(1)),
    "recipe": _among(RECIPES),
    "mask": _among(MASKS),
    **dict.fromkeys(("causal", "bias", "itself", "shared"), _among((False, True))),
    "dtype": _among(PRECISION),
    "seed": _at_least(0),
}


MASK_WORDS: Mapping[MaskKind, str] = {
    "none": "none",
    "all": "everything allowed",
    "keys": "padding, some keys of each example",
    "pairs": "some keys of each query",
    "batch": "some keys of each query, different in each example",
    "heads": "some keys of each query, different in each example and head",
    "empty row": "some keys of each query, none of the first, different in each example",
}
RECIPE_WORDS: Mapping[Recipe, str] = {
    "ramp": "a ramp of small integers",
    "integers": "small integers",
    "eighths": "eighths and a row of zeros",
    "ties": "repeated rows",
    "normal": "normal data",
    "large": "large normal data",
}


def written(axes: str) -> str:
    """Return a shape as people read it: "B 1 1 n_k" is (B, 1, 1, n_k)."""
    return f"({', '.join(axes.split())})"


def most_precise(subject: Declaration) -> DType:
    """Return the subject's dtype with the smallest unit roundoff: where semantics are best judged."""
    return min(subject.dtypes, key=lambda dtype: FORMATS[dtype].unit)


def least_precise(subject: Declaration) -> DType:
    """Return the subject's dtype with the largest unit roundoff."""
    return max(subject.dtypes, key=lambda dtype: FORMATS[dtype].unit)


def handed_over(allowed: np.ndarray, shapes: tuple[str, ...]) -> np.ndarray | None:
    """Return a full (B, h, n_q, n_k) mask in the first of the accepted shapes that loses nothing of it.

    Shapes are written "B 1 n_q n_k"; an axis left out is one the implementation adds itself.  None where
    no accepted shape can hold the mask.
    """
    for shape in shapes:
        axes = shape.split()
        index = tuple(slice(None) if name in axes else slice(0, 1) for name in ("B", "h", "n_q", "n_k"))
        kept = allowed[index]
        if np.array_equal(np.broadcast_to(kept, allowed.shape), allowed):
            return kept.reshape(
                [kept.shape[["B", "h", "n_q", "n_k"].index(a)] if a != "1" else 1 for a in axes]
            )
    return None
