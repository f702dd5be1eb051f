"""`torch.nn.functional.scaled_dot_product_attention`, a core operation: the adapter adds the projections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from .importing import source_of
from .on_torch_call import DTYPES, Inputs, Mode, Returned, TorchAdapter
from .on_torch_script import Source, dtype_of, script, tensor
from .protocol import INPUTS, Build, Call, Capability, Conventions, Declaration, Variant
from .scripting import Symbol, written
from .storage import Slot, axes_of

QKV = (Symbol("q"), Symbol("k"), Symbol("v"))
ROLES = ("q", "k", "v", "o")
MODES = {
    "default": Mode(),
    "math": Mode(options={"backend": "MATH"}),
    "flash": Mode(options={"backend": "FLASH_ATTENTION"}),
    "grad": Mode(gradients=True),
}
CAPABILITIES = frozenset[Capability](
    ["parameters", "read", "cross", "mask", "causal", "scale", "bias", "gradients", "dropout", "cost"]
)


class Projections(nn.Module):
    """The four projections that the operation lacks: Xavier-uniform weights, zero biases."""

    def __init__(self, d_model: int, num_heads: int, bias: bool):
        super().__init__()
        if num_heads <= 0 or d_model <= 0 or d_model % num_heads:
            raise ValueError(f"d_model={d_model} cannot be split into num_heads={num_heads} heads")
        self.num_heads = num_heads
        for role in ROLES:
            layer = nn.Linear(d_model, d_model, bias=bias)
            nn.init.xavier_uniform_(layer.weight)
            if bias:
                nn.init.zeros_(layer.bias)
            self.add_module(f"W_{role}", layer)

    def project(self, x: Tensor, role: str) -> Tensor:
        """(B, n, d) to (B, h, n, d_k)."""
        projected: Tensor = self.get_submodule(f"W_{role}")(x)
        return projected.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def combine(self, context: Tensor) -> Tensor:
        """(B, h, n, d_k) to (B, n, d), through W_o."""
        output: Tensor = self.get_submodule("W_o")(context.transpose(1, 2).flatten(2))
        return output


class ScaledDotProductAttentionAdapter(TorchAdapter):
    """Drives the operation through PyTorch's own choice of a kernel, and through each that runs here."""

    @property
    def modes(self) -> Mapping[str, Mode]:
        """PyTorch's choice, the plain and the flash kernel, and with gradients on."""
        return MODES

    def declare(self) -> Declaration:
        """Return what the operation offers; it returns no attention weights."""
        return Declaration(
            framework="torch",
            capabilities=CAPABILITIES,
            dtypes=tuple(DTYPES),
            conventions=Conventions(
                mask_forms=("bool", "additive"),
                empty_row="zeros",
                causal_alignment="top-left",
                layout="batch, head, sequence, d_k",
            ),
            variants=tuple(Variant(name, weights=False) for name, mode in MODES.items()),
            versions={"torch": torch.__version__},
            source=source_of(scaled_dot_product_attention),
            notes=(
                "a core operation: headcheck adds the projections",
                "a mask and is_causal exclude each other: the causal mask goes into the mask",
            ),
        )

    def make(self, build: Build) -> nn.Module:
        """Return the projections."""
        return Projections(build.d_model, build.num_heads, build.bias)

    def slots(self, module: nn.Module, build: Build) -> Sequence[Slot]:
        """Return the layers of the projections."""
        inward = ("r", "h", "k", "in")
        slots = [Slot(f"W_{r}.weight", (f"W_{r}",), ("out", "h", "k") if r == "o" else inward) for r in ROLES]
        biases = [Slot(f"W_{r}.bias", (f"b_{r}",), ("out",) if r == "o" else inward[:3]) for r in ROLES]
        return [*slots, *biases] if build.bias else slots

    def attend(self, module: nn.Module, call: Call, mode: Mode, inputs: Inputs) -> Returned:
        """Project, split, attend, merge, project."""
        assert isinstance(module, Projections)
        q, k, v = (module.project(getattr(inputs, n), n[0]) for n in ("query", "key", "value"))
        with kernel(mode.options.get("backend", "")):
            context = scaled_dot_product_attention(q, k, v, **arguments(call, inputs))
        return Returned(module.combine(context))

    def script(self, call: Call, of: str = "output") -> list[str]:
        """Return plain torch that makes this call; the projections, which are headcheck's, have no other."""
        if of in {"module", "parameters"} or of.startswith("stage "):
            raise NotImplementedError(f"scaled_dot_product_attention has no {of} of its own")
        mode = self.mode(call)
        inputs = self.inputs(call, mode)
        given = arguments(call, inputs)
        mask = given.get("attn_mask")
        handed = replace(inputs, mask=mask)
        parameters = call.parameters or self.read(self.build(call.build))
        setup = [f"def split(x): return x.unflatten(-1, ({call.build.num_heads}, -1)).transpose(1, 2)"]
        for parameter, array in parameters.items():
            setup += tensor(parameter, array, dtype_of(call))
            if of == f"gradient of {parameter}":
                setup.append(f"{parameter}.requires_grad_()")
        projected = {r: f" @ W_{r}" + (f" + b_{r}" if call.build.bias else "") for r in ROLES}
        splits = ", ".join(f"split({n}{projected[n[0]]})" for n in INPUTS)
        backend = mode.options.get("backend")
        kernel = f"with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.{backend}):"
        keywords = {key: Symbol("mask") if value is mask else value for key, value in given.items()}
        attend = "context = " + written("torch.nn.functional.scaled_dot_product_attention", QKV, keywords)
        source = Source(
            ["import torch.nn.attention"] if backend else [],
            setup,
            [
                f"q, k, v = {splits}",
                *([kernel, f"    {attend}"] if backend else [attend]),
                f"output = context.transpose(1, 2).flatten(2){projected['o']}",
            ],
            has_weights=False,
            held=[
                (name, Slot(name, (name,), axes_of(name)), array.shape) for name, array in parameters.items()
            ],
        )
        return script(call, mode, handed, source, of)


def arguments(call: Call, inputs: Inputs) -> dict[str, Any]:
    """Return the keyword arguments of the operation."""
    given: dict[str, Any] = {}
    mask = inputs.mask
    if call.causal and mask is None:
        given["is_causal"] = True
    elif call.causal and mask is not None:
        earlier = torch.ones(inputs.query.shape[1], inputs.key.shape[1], dtype=torch.bool).tril()
        mask = mask & earlier if mask.dtype == torch.bool else mask.masked_fill(~earlier, -torch.inf)
    if mask is not None:
        given["attn_mask"] = mask
    if call.training:
        given["dropout_p"] = call.build.dropout
    if call.build.scale is not None:
        given["scale"] = call.build.scale
    return given


@contextmanager
def kernel(backend: str) -> Iterator[None]:
    """Let PyTorch use one kernel alone; with no name given, whichever it chooses."""
    if not backend:
        yield
        return
    with sdpa_kernel(getattr(SDPBackend, backend)):
        yield
