"""Watching the shapes of a torch module's stages while it runs: its methods, and its projections' layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import nn

from . import stages
from .stages import Shapes

INWARD = ("W_q", "W_k", "W_v")


@contextmanager
def watched(module: nn.Module, projections: Mapping[str, str]) -> Iterator[Shapes]:
    """Record the shape of each stage the first time that it is made; the module is left as it was."""
    # A convolution's channels come before its positions: what it sees is no stage of the pipeline.
    layers = {name: layer for name, layer in module.named_modules() if not isinstance(layer, nn.Conv1d)}
    with ExitStack() as stack:
        seen = stack.enter_context(stages.watched(module))

        def projected(_: nn.Module, __: object, made: object) -> None:
            stages.see(seen, "projected", made)

        def combined(_: nn.Module, given: tuple[object, ...]) -> None:
            stages.see(seen, "combined", given[0])

        for role in INWARD:
            if projections.get(role) in layers:
                stack.callback(layers[projections[role]].register_forward_hook(projected).remove)
        if projections.get("W_o") in layers:
            stack.callback(layers[projections["W_o"]].register_forward_pre_hook(combined).remove)
        yield seen
