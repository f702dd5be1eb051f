"""`torch.nn.MultiheadAttention` and classes derived from it, along every path that the layer takes.

True in a mask blocks.  The layer answers on three paths: the plain one where weights are wanted, a fused
kernel where they are not, and a native "fast path" for self-attention without gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from . import discovery
from .importing import name_of, source_of, statements
from .on_torch_call import DTYPES, Inputs, Mode, Returned, TorchAdapter
from .on_torch_script import Source, held_by, module_of, parameters, script, stored
from .protocol import (
    INPUTS,
    Build,
    Call,
    Capability,
    Conventions,
    Declaration,
    Meaning,
    SubjectError,
    Variant,
)
from .returned import in_words
from .scripting import Symbol, written
from .storage import Slot

PACKED = (
    Slot("in_proj_weight", ("W_q", "W_k", "W_v"), ("r", "h", "k", "in")),
    Slot("out_proj.weight", ("W_o",), ("out", "h", "k")),
)
BIASES = (
    Slot("in_proj_bias", ("b_q", "b_k", "b_v"), ("r", "h", "k")),
    Slot("out_proj.bias", ("b_o",), ("out",)),
)
CAPABILITIES = frozenset[Capability](
    {
        *("parameters", "read", "weights", "cross", "mask", "padding", "causal"),
        *("bias", "gradients", "dropout", "indivisible", "cost"),
    }
)


class MultiheadAttentionAdapter(TorchAdapter):
    """Drives `torch.nn.MultiheadAttention`."""

    mask_true: Meaning = "block"
    padding_true: Meaning = "block"

    def __init__(
        self,
        implementation: Callable[..., nn.Module] = nn.MultiheadAttention,
        subject: str = "torch.nn:MultiheadAttention",
    ):
        self._implementation = implementation
        self._subject = subject
        self._constructor = discovery.constructor(implementation, subject)

    @cached_property
    def modes(self) -> Mapping[str, Mode]:
        """Every path; "same object" and "fast path" are given one tensor as query, key and value."""
        fused, first = {"need_weights": False}, {"batch_first": False}
        return {
            "weights": Mode(),
            "fused": Mode(options=fused),
            "train": Mode(training=True, gradients=True),
            "train, fused": Mode(training=True, gradients=True, options=fused),
            "grad": Mode(gradients=True),
            "grad, fused": Mode(gradients=True, options=fused),
            "sequence first": Mode(options=first),
            "same object": Mode(itself=True),
            "same object, no fast path": Mode(itself=True, options=fused | {"fast_path": False}),
            "fast path": Mode(itself=True, options=fused),
        }

    def declare(self) -> Declaration:
        """Return what the layer offers."""
        return Declaration(
            framework="torch",
            capabilities=CAPABILITIES,
            dtypes=tuple(DTYPES),
            conventions=Conventions(
                mask_true=self.mask_true,
                mask_forms=("bool", "additive"),
                mask_shapes=("n_q n_k", "B h n_q n_k"),
                empty_row="zeros",
                causal_alignment="top-left",
            ),
            variants=tuple(
                Variant(
                    name,
                    self_attention=mode.itself,
                    weights=mode.options.get("need_weights", True),
                    training=mode.training,
                )
                for name, mode in self.modes.items()
            ),
            versions={"torch": torch.__version__},
            source=source_of(self._implementation),
            found=self._constructor.found("constructor"),
            notes=("causal is asked for by is_causal=True together with the causal attn_mask",),
        )

    def make(self, build: Build) -> nn.Module:
        """Return the layer, batch first."""
        positional, keywords = self._constructor.arguments(discovery.constructor_values(build))
        return self._implementation(*positional, **keywords)

    def slots(self, module: nn.Module, build: Build) -> Sequence[Slot]:
        """Return the packed in_proj and the out_proj."""
        if getattr(module, "in_proj_weight", None) is None:
            raise SubjectError(
                f"{self._subject}: has no in_proj_weight; expected kdim and vdim to be embed_dim."
            )
        return PACKED if module.in_proj_bias is None else (*PACKED, *BIASES)

    def attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        """Call the layer along the path of the mode."""
        layer: Any = module
        query, key, value = inputs.query, inputs.key, inputs.value
        batch_first = mode.options.get("batch_first", True)
        if not batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        fast_path = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(mode.options.get("fast_path", True))
        layer.batch_first = batch_first
        try:
            given = layer(query, key, value, **arguments(call, mode, inputs))
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            layer.batch_first = True
        if not isinstance(given, tuple) or not isinstance(given[0], Tensor):
            return Returned(words=in_words(given))
        output = given[0] if batch_first else given[0].transpose(0, 1)
        return Returned(output, given[1])

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain torch that makes this call, and ends with what is asked for."""
        mode = self.mode(call)
        inputs = self.inputs(call, mode)
        given = arguments(call, mode, inputs)
        handed = replace(inputs, mask=given.get("attn_mask"), padding=given.get("key_padding_mask"))
        symbols = {"attn_mask": Symbol("mask"), "key_padding_mask": Symbol("padding")}
        positional, keywords = self._constructor.arguments(discovery.constructor_values(call.build))
        theirs = self._implementation is nn.MultiheadAttention
        made = "torch.nn.MultiheadAttention" if theirs else name_of(self._subject, self._implementation)
        imports = [] if theirs else statements(self._subject, self._implementation)
        if of == "module":
            return ["import torch", *imports, f"module = {written(made, positional, keywords)}"]
        first = mode.options.get("batch_first", True)
        names = [Symbol(one if first else f"{one}.transpose(0, 1)") for one in INPUTS]
        attend = written("module", names, {key: symbols.get(key, value) for key, value in given.items()})
        module = self.build(call.build).module
        slots = self.slots(module, call.build)
        weights, held = stored(module, slots, call), held_by(module, slots)
        made = written(made, positional, keywords | {"batch_first": first})
        if of == "parameters":
            setup = [*module_of(made, weights, call, mode), *parameters(held, call)]
            return ["import numpy as np", "import torch", *imports, "", *setup]
        slow = (
            [] if mode.options.get("fast_path", True) else ["torch.backends.mha.set_fastpath_enabled(False)"]
        )
        source = Source(
            imports,
            [*slow, *module_of(made, weights, call, mode)],
            [f"output, weights = {attend}", *([] if first else ["output = output.transpose(0, 1)"])],
            given["need_weights"],
            held,
        )
        return script(call, mode, handed, source, of)


def arguments(call: Call, mode: Mode, inputs: Inputs) -> dict[str, Any]:
    """Return the keyword arguments of the layer's forward."""
    need_weights = mode.options.get("need_weights", True)
    given: dict[str, Any] = {"need_weights": need_weights}
    if need_weights:
        given["average_attn_weights"] = False
    mask, padding = inputs.mask, inputs.padding
    if mask is not None and mask.ndim == 4:
        mask = mask.flatten(0, 1)
    if call.causal:
        later = torch.ones(inputs.query.shape[1], inputs.key.shape[1], dtype=torch.bool).triu(1)
        if mask is None:
            mask, given["is_causal"] = later, True
        else:
            mask = mask | later if mask.dtype == torch.bool else mask.masked_fill(later, -torch.inf)
    if mask is not None:
        given["attn_mask"] = mask
    if padding is not None and mask is not None and mask.is_floating_point():
        padding = torch.zeros_like(padding, dtype=mask.dtype).masked_fill(padding, -torch.inf)
    if padding is not None:
        given["key_padding_mask"] = padding
    return given
