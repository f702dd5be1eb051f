"""To which implementations a requirement applies, in words: what one with each capability does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .words import enumerated

WHO: Mapping[str, str] = {
    "parameters": "let their weights be set",
    "read": "let their weights be read",
    "weights": "return their attention weights, a map a head",
    "cross": "take keys and values that differ from the queries and from each other",
    "memory": "take one array as key and value, beside the queries",
    "two sequences": "take keys and values that differ from the queries",
    "mask": "take a mask of which keys each query may see",
    "padding": "take a padding mask of its own",
    "causal": "have a flag for the causal mask",
    "masks": "take at least two of mask, padding mask and causal flag",
    "scale": "let the caller give the scale",
    "bias": "have biases in their projections",
    "gradients": "can be differentiated",
    "dropout": "have dropout on the attention weights",
    "indivisible": "take d_model and num_heads",
    "cost": "let their operations be counted",
    "paths": "have more than one path, such as training and eval",
}


def applies(needs: Iterable[str]) -> str:
    """Return to whom a requirement with these needs applies: "applies to implementations that ..."."""
    who = [WHO.get(need, f"offer {need}") for need in needs]
    return f"applies to implementations that {enumerated(who)}" if who else "applies to every implementation"
