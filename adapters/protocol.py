"""What crosses between headcheck and an implementation: arrays, names and declarations, nothing else.

An *adapter* drives one kind of implementation.  It builds a module, puts weights in, calls it and hands
back arrays; it never judges.  Everything here is a plain value that can be pickled, because the
implementation usually lives in another process, and could live in another interpreter or language.

Arrays are float64 NumPy arrays whose values the dtype under test represents exactly; the adapter casts
them to that dtype on the way in and back to float64 (which loses nothing) on the way out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import shorten
from time import process_time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from headcheck.reference.dtypes import FORMATS
from headcheck.reference.parameters import Parameters

from .errors import SubjectError as SubjectError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

DType = Literal["float64", "float32", "bfloat16", "float16"]
MaskForm = Literal["bool", "int", "float", "additive", "finite"]
Split = Literal["B h n d_k", "B n h d_k", "h B n d_k"]
Layout = Literal["batch first", "sequence first", "one example"]
Memory = Literal["contiguous", "transposed", "expanded", "sliced"]
Meaning = Literal["attend", "block"]
INPUTS = ("query", "key", "value")

Capability = Literal[
    "parameters",  # weights can be set
    "read",  # weights can be read back
    "weights",  # attention weights are returned, one map per head
    "cross",  # keys and values may differ from queries, and from each other
    "memory",  # one array is key and value, and may differ from the queries
    "mask",  # an argument that says which key each query may see
    "padding",  # a second, (B, n_k) mask argument
    "causal",  # a flag for the causal mask
    "scale",  # a caller's own scale
    "bias",  # projections may have biases
    "gradients",  # vector-Jacobian products
    "dropout",  # dropout on the attention weights
    "indivisible",  # the implementation sees d_model and num_heads together, so it can refuse them
    "cost",  # operations can be counted
    "two sequences",  # derived: cross, or memory
    "masks",  # derived: at least two of mask, padding and causal
    "paths",  # derived: more than one variant
]


@dataclass(frozen=True)
class Build:
    """The constructor arguments of one module."""

    d_model: int
    num_heads: int
    bias: bool = True
    dropout: float = 0.0
    scale: float | None = None
    dtype: DType = "float32"
    seed: int = 0

    @property
    def d_k(self) -> int:
        """Width of one head."""
        return self.d_model // self.num_heads


@dataclass(frozen=True, eq=False)
class Mask:
    """Which keys each query may see, and the form in which that is handed over.

    ``allowed`` is True where attention is allowed and keeps the shape that is handed over, which
    broadcasts to (B, num_heads, n_q, n_k).  The adapter translates the polarity.
    """

    allowed: Bool[np.ndarray, ...]
    form: MaskForm = "bool"

    @property
    def additive(self) -> bool:
        """Whether the mask is added to the scores."""
        return self.form in {"additive", "finite"}

    def added(self, dtype: DType) -> Float64[np.ndarray, ...]:
        """Return what is added: 0 where attention is allowed, else minus infinity or the least number."""
        least = -FORMATS[dtype].largest if self.form == "finite" else -np.inf
        return np.where(self.allowed, 0.0, least)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one module: how to build it, its weights, and the arguments of the call."""

    build: Build
    query: Float64[np.ndarray, "B n_q d"]
    key: Float64[np.ndarray, "B n_k d"]
    value: Float64[np.ndarray, "B n_k d"]
    parameters: Parameters | None = None  # None: as the module was initialised
    mask: Mask | None = None
    padding: Bool[np.ndarray, "B n_k"] | None = None
    causal: bool = False
    variant: str = ""  # "" is the first variant declared
    memory: Memory = "contiguous"
    training: bool = False
    seed: int = 0  # of the dropout
    cotangent: Float64[np.ndarray, "B n_q d"] | None = None  # ask for the vector-Jacobian product
    stages: bool = False  # ask for the shapes of the stages

    @property
    def shared(self) -> dict[str, str]:
        """Which of key and value is one object with an argument before it, as {"value": "key"}.

        None is where all three are: that is a path of its own, beside the one on which they are three copies;
        nor where gradients are asked for, of which each argument has its own.
        """
        if self.query is self.key is self.value or self.cotangent is not None:
            return {}
        pairs = (("key", "query"), ("value", "query"), ("value", "key"))
        return {name: other for name, other in pairs if getattr(self, name) is getattr(self, other)}


@dataclass(frozen=True, eq=False)
class Result:
    """What one call gave.

    ``gradients`` holds "query", "key", "value" and the parameters' names where a cotangent was given; where
    one array plays several of these roles, the sum under the first of them.
    ``stages`` are the shapes of the intermediate results the implementation lets be seen, by the names
    "projected", "split", "scores", "weights", "context", "combined", "output".
    """

    output: np.ndarray | None
    weights: np.ndarray | None = None
    dtype: str = ""
    gradients: Mapping[str, np.ndarray] = field(default_factory=dict)
    stages: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    # What the call changed: arguments, or the "earlier output" or "earlier weights" of its module.
    written_to: tuple[str, ...] = ()
    returned: str = ""  # what came back, in words, where it is not (output, weights) or output


@dataclass(frozen=True)
class Raised:
    """An exception of the implementation: its type, its message, and where it was raised."""

    type: str
    message: str
    where: str = ""
    phase: Literal["build", "write", "call"] = "call"

    def __str__(self) -> str:
        """The exception on one line, as messages quote it."""
        kind = "an error of the adapter" if self.type == SubjectError.__name__ else self.type
        return shorten(f"{kind}: {self.message}" if self.message else kind, 300, placeholder=" ...")


@dataclass(frozen=True, eq=False)
class Outcome:
    """A result or an exception, with the CPU seconds spent inside the implementation."""

    result: Result | None
    raised: Raised | None
    seconds: float


@dataclass(frozen=True)
class Variant:
    """One path through an implementation, reached with the same weights."""

    name: str
    self_attention: bool = False  # only for one array as query, key and value
    weights: bool = True  # attention weights are returned on this path
    dtypes: tuple[DType, ...] = ()  # empty: every dtype declared
    masks: bool = True  # may be given a mask
    eager: bool = False  # compiles nothing: expensive for each new shape, so tried on few of them
    training: bool = False  # in training mode, where a dropout that is not zero acts


@dataclass(frozen=True)
class Conventions:
    """Choices that the specification leaves open: declared here, then verified, never failed."""

    mask_true: Meaning = "attend"
    mask_forms: tuple[MaskForm, ...] = ("bool", "int", "float")
    mask_shapes: tuple[str, ...] = ("n_q n_k", "1 1 n_q n_k", "B 1 1 n_k", "B 1 n_q n_k", "B h n_q n_k")
    empty_row: Literal["uniform", "zeros", "unknown"] = "unknown"
    causal_alignment: Literal["top-left", "bottom-right"] = "top-left"
    softmax_dtype: Literal["", "float32"] = ""  # precision of the softmax where it is not the input's
    layout: str = "batch first"  # of the implementation; whatever crosses the protocol is batch first
    split: Split = "B h n d_k"  # the axes of what is split into heads, where the implementation shows it


@dataclass(frozen=True)
class Declaration:
    """What an adapter says of its implementation before anything is judged."""

    framework: str
    capabilities: frozenset[Capability]
    dtypes: tuple[DType, ...]
    conventions: Conventions = Conventions()
    variants: tuple[Variant, ...] = (Variant("default"),)
    versions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""  # "path:line" of the implementation, where it has one
    found: Mapping[str, str] = field(default_factory=dict)  # what discovery matched: role -> attribute
    notes: tuple[str, ...] = ()
    always_causal: bool = False  # in every call, whatever is asked; such a one is given no cross-attention
    longest: int = 0  # the longest sequence that it takes, where it is built for one
    compiles: bool = False  # each new shape of a call is compiled, which takes longer than the call
    sizes: tuple[tuple[int, int], ...] = ()  # (d_model, num_heads) it is used with, where that is known

    @property
    def offered(self) -> frozenset[Capability]:
        """The capabilities declared, and those that follow from them."""
        derived: set[Capability] = set()
        if self.capabilities & {"cross", "memory"}:
            derived.add("two sequences")
        if len(self.capabilities & {"mask", "padding", "causal"}) >= 2:
            derived.add("masks")
        if len(self.variants) > 1:
            derived.add("paths")
        return self.capabilities | derived

    @property
    def primary(self) -> Variant:
        """The path that requirements are judged on unless they say otherwise."""
        return self.variants[0]


class Adapter(ABC):
    """Drives one implementation.  Whatever the implementation raises is let through.

    An adapter that runs the implementation inside ``with self.subject():`` has its CPU time told apart from
    the adapter's own; otherwise all of build() and call() counts as the implementation's.
    """

    subject_seconds: float | None = None  # CPU time inside `subject()` so far
    untried: bool = False  # a call on trial ended the process: declare() has to do without

    @contextmanager
    def subject(self) -> Iterator[None]:
        """Mark the implementation's own work."""
        start = process_time()
        try:
            yield
        finally:
            self.subject_seconds = (self.subject_seconds or 0.0) + process_time() - start

    @abstractmethod
    def declare(self) -> Declaration:
        """Return what can be asked of this implementation; raise SubjectError where nothing can."""

    @abstractmethod
    def build(self, build: Build) -> Any:
        """Return a fresh module with these constructor arguments, its initial weights from the seed."""

    @abstractmethod
    def write(self, module: Any, parameters: Parameters) -> Any:
        """Put the weights in without calling the module; return the module that now holds them."""

    @abstractmethod
    def call(self, module: Any, call: Call) -> Result:
        """Call the module on the variant named by the call."""

    def read(self, module: Any) -> Parameters:
        """Return the weights that the module holds, where the capability "read" is declared."""
        raise NotImplementedError(f"{type(self).__name__} declares no way to read weights")

    def sizes(self, module: Any) -> Mapping[str, int]:
        """Return how many numbers each of the weights is; an adapter may know that without reading them."""
        return {name: array.size for name, array in self.read(module).items()}

    def count(self, module: Any, call: Call) -> Mapping[str, int]:
        """Return floating-point operations by kind, where the capability "cost" is declared."""
        raise NotImplementedError(f"{type(self).__name__} declares no way to count operations")

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return lines of Python, in the implementation's own framework, that make this call.

        They stand alone and need no headcheck.  What they leave is told by ``of``:

        - "output": NumPy float64 arrays ``output`` and, where weights are returned, ``weights``;
        - "gradient of NAME", an input or a parameter: the float64 array ``gradient``, shaped as in
          `Parameters`, of a call with a cotangent;
        - "module": no more than a module of the call's build, which need not be one that can be built;
        - "parameters": the float64 arrays ``W_q`` and so on that a module holds;
        - "operations": how many the matrix products of the call take;
        - "stage NAME": the shape of an intermediate result, as ``shape``.

        Raises:
            NotImplementedError: no script of this kind is written.
        """
        raise NotImplementedError(f"{type(self).__name__} writes no scripts")
