"""Looks at an attention: each returns arrays, or the name of the exception, in which a fault can show.

A fault is one that differs from the right implementation in some look; where to look first depends on its
family, so that most are found at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from inspect import signature
from typing import Any

import numpy as np

from .bench import Arrays, Situation, reference

PLAIN = Situation()
ZERO = -np.linalg.solve(PLAIN.weights()["W_k"].T, PLAIN.weights()["b_k"])  # a key whose projection is zeros
Look = Callable[[Any, Any], dict[str, Any]]

SITUATIONS = {
    "plain": PLAIN,
    "masked": PLAIN.with_(mask="B h n_q n_k"),
    "more queries than keys, causal": PLAIN.with_(n_q=7, n_k=5, causal=True),
    "causal": PLAIN.with_(causal=True),
    "pairs and causal": PLAIN.with_(mask="n_q n_k", causal=True),
    "pairs of integers and causal": PLAIN.with_(mask="n_q n_k", form="int", causal=True),
    "a key for each query": PLAIN.with_(changes={"mask": np.eye(5, 7, dtype=bool)}),
    "masked and causal": PLAIN.with_(mask="B 1 n_q n_k", causal=True),
    "empty row": PLAIN.with_(mask="B h n_q n_k", empty_row=True),
    "B = h": PLAIN.with_(batch=4, mask="B h n_q n_k"),
    "n_q = n_k": PLAIN.with_(n_q=6, n_k=6, mask="B h n_q n_k"),
    "even lengths, causal": PLAIN.with_(n_q=6, n_k=6, causal=True),
    "padding, n_q = n_k": PLAIN.with_(n_q=6, n_k=6, mask="B 1 1 n_k"),
    "padding": PLAIN.with_(mask="B 1 1 n_k"),
    "n_q = h": PLAIN.with_(n_q=4),
    "B = n_q": PLAIN.with_(batch=5),
    "n_k = d_k": PLAIN.with_(n_k=3),
    "d_k = h": PLAIN.with_(num_heads=3),
    "one head": PLAIN.with_(num_heads=1),
    "three heads": PLAIN.with_(num_heads=3, d_k=4),
    "one query": PLAIN.with_(n_q=1),
    "no query": PLAIN.with_(n_q=0),
    "heads of 64": PLAIN.with_(num_heads=1, d_k=64, spread=0.3),
    "first example open": PLAIN.with_(
        changes={"mask": np.array([[True] * 7, [True] * 4 + [False] * 3])[:, None, None]}
    ),
    "mask of integers": PLAIN.with_(mask="n_q n_k", form="int"),
    "large": PLAIN.with_(spread=4.0),
    "single": PLAIN.with_(dtype="float32"),
    "single, causal": PLAIN.with_(dtype="float32", causal=True),
    "half": PLAIN.with_(dtype="float16", mask="B 1 n_q n_k"),
    "half, empty row": PLAIN.with_(dtype="float16", mask="B h n_q n_k", empty_row=True),
    "very large scores": PLAIN.with_(spread=40.0),
    "very large scores, causal": PLAIN.with_(spread=400.0, causal=True),
    "very large scores, masked": PLAIN.with_(spread=400.0, mask="B 1 n_q n_k"),
    "one of 64 and more": PLAIN.with_(batch=1, n_q=70, n_k=70, mask="B 1 n_q n_k"),
    "a whole tile": PLAIN.with_(batch=1, n_k=64),
    "beyond 128": PLAIN.with_(batch=1, n_q=3, n_k=150),
    "beyond 128, causal": PLAIN.with_(batch=1, n_q=150, n_k=150, causal=True),
    "beyond 256 in eight bits, causal": PLAIN.with_(batch=1, n_q=270, n_k=270, causal=True, dtype="bfloat16"),
    "beyond 512": PLAIN.with_(batch=1, n_q=3, n_k=520),
    "beyond 4096": PLAIN.with_(batch=1, n_q=2, n_k=4200),
    "more than 2048 queries": PLAIN.with_(batch=1, n_q=2100, n_k=2),
    "more than 64 examples": PLAIN.with_(batch=67, n_q=2, n_k=3),
    "more than 32 heads": PLAIN.with_(num_heads=34, d_k=2),
    "heads of seven": PLAIN.with_(num_heads=2, d_k=7),
    "more than 16 examples": PLAIN.with_(batch=18, n_q=2, n_k=3),
    "more than 8 heads": PLAIN.with_(num_heads=9, d_k=2),
    "heads wider than 128": PLAIN.with_(num_heads=1, d_k=136, spread=0.3),
    "B = n_q, pairs": PLAIN.with_(batch=5, mask="n_q n_k"),
    "large values": PLAIN.with_(changes={"V": np.full((2, 7, 12), 1e6)}),
    "a key that projects to zeros": PLAIN.with_(
        changes={"K": np.outer(np.arange(14) == 3, ZERO).reshape(2, 7, 12)}
    ),
    "mask too short": PLAIN.with_(changes={"mask": np.ones((5, 6), bool)}),
    "masks for half of the examples": PLAIN.with_(batch=4, changes={"mask": np.ones((2, 1, 5, 7), bool)}),
    "mask too large": PLAIN.with_(changes={"mask": np.ones((6, 8), bool)}),
    "integer data": PLAIN.with_(changes={"K": np.resize([1.0, -1.0], (2, 7, 12))}),
    "no number": PLAIN.with_(changes={"V": np.full((2, 7, 12), np.nan)}),
    "an infinity": PLAIN.with_(changes={"V": np.full((2, 7, 12), np.inf)}),
    "no number in a key": PLAIN.with_(changes={"K": np.full((2, 7, 12), np.nan)}),
    "one example of keys": PLAIN.with_(changes={"K": np.ones((1, 7, 12)), "V": np.ones((1, 7, 12))}),
    "one example of keys alone": PLAIN.with_(changes={"K": np.ones((1, 7, 12))}),
    "one example of queries": PLAIN.with_(changes={"Q": np.ones((1, 5, 12))}),
    "one value": PLAIN.with_(changes={"V": np.ones((2, 1, 12))}),
    "fewer values": PLAIN.with_(changes={"V": np.ones((2, 4, 12))}),
    "more values": PLAIN.with_(changes={"V": np.ones((2, 9, 12))}),
    "too narrow": PLAIN.with_(changes={name: np.ones((2, 5, 11)) for name in "QKV"}),
    "too wide": PLAIN.with_(changes={name: np.ones((2, 5, 13)) for name in "QKV"}),
}


def attempt(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what an action gives, or the exception it raises."""
    try:
        return action()
    except Exception as error:
        return {"raised": np.array(f"{type(error).__name__}: {error}")}


def ready(bench: Any, implementation: Any, situation: Situation, **options: Any) -> Any:
    """Return a module with the situation's weights."""
    module = bench.build(implementation, situation.d_model, situation.num_heads, **options)
    return bench.write(module, situation.weights())


def seen_in(situation: Situation) -> Look:
    """Return a look at one call."""
    return lambda bench, implementation: bench.call(ready(bench, implementation, situation), situation)


def second_call(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at a call after another one, and at what it does to its arguments."""
    module = ready(bench, implementation, PLAIN)
    bench.call(module, PLAIN.with_(mask="1 1 n_q n_k", spread=2.0))
    masked = PLAIN.with_(mask="B h n_q n_k")
    arrays = bench.arrays(masked)
    result = bench.call(module, PLAIN.with_())
    again = bench.call(module, masked, arrays)
    held = {f"argument {name}": np.asarray(array).copy() for name, array in arrays.items()}
    return {**result, **held, "again": again["output"]}


def many_calls(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at calls of one module, with other data, another mask of the same shape, and other weights."""
    module, pairs = ready(bench, implementation, PLAIN), np.tri(5, 7, 2, dtype=bool)
    masks = [None, None, pairs, pairs[::-1].copy(), None]
    situations = [
        PLAIN.with_(spread=1.0 + place, changes={} if mask is None else {"mask": mask})
        for place, mask in enumerate(masks)
    ]
    found = [bench.call(module, situation)["output"] for situation in situations * 3]
    bench.write(module, {name: 0.5 * array for name, array in PLAIN.weights().items()})
    found.append(bench.call(module, PLAIN)["output"])
    return {f"call {place}": output for place, output in enumerate(found)}


def two_steps(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at two calls of one query and one key."""
    step = PLAIN.with_(n_q=1, n_k=1)
    module = ready(bench, implementation, step)
    bench.call(module, step)
    return dict(bench.call(module, step))


def steps_of_one(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at two calls of one position that attends to itself."""
    step, found = PLAIN.with_(n_q=1, n_k=1), {}
    module = ready(bench, implementation, step)
    for place in (1, 2):  # of other data each
        arrays = bench.arrays(step.with_(spread=float(place)))
        found[f"{place}"] = bench.call(module, step, {**arrays, "K": arrays["Q"], "V": arrays["Q"]})["output"]
    return found


def masked_and_causal(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at what a call with a mask and the causal flag does to the mask."""
    situation = PLAIN.with_(mask="B h n_q n_k", causal=True)
    arrays = bench.arrays(situation)
    result = bench.call(ready(bench, implementation, situation), situation, arrays)
    return {**result, "mask": np.asarray(arrays["mask"]).copy()}


def same_objects(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at two calls of one module with the same objects, and other weights in the second."""
    module, arrays = ready(bench, implementation, PLAIN), bench.arrays(PLAIN)
    first = bench.call(module, PLAIN, arrays)
    bench.write(module, {name: 0.5 * array for name, array in PLAIN.weights().items()})
    second = bench.call(module, PLAIN, arrays)
    return {"first": first["weights"], "second": second["weights"]}


def asked(bench: Any, module: Any, situation: Situation, **options: Any) -> Any:
    """Return the output of a call with arguments that some have and the reference does not."""
    arrays = bench.arrays(situation)
    if not options.keys() <= signature(module.forward).parameters.keys():
        return bench.call(module, situation, arrays)["output"]
    with precision(bench):
        output = module.forward(**arrays, is_causal=situation.causal, **options)[0]
        return bench.plain(output, output)["output"]


def precision(bench: Any) -> Any:
    """Return the context in which the bench's framework knows float64."""
    if bench.name != "jax":
        return nullcontext()
    import jax

    return jax.enable_x64(True)


def arguments_after(*situations: Situation) -> Look:
    """Return a look at what calls do to their arguments."""

    def look(bench: Any, implementation: Any) -> dict[str, Any]:
        found = {}
        for place, situation in enumerate(situations):
            arrays = bench.arrays(situation)
            bench.call(ready(bench, implementation, situation), situation, arrays)
            found |= {f"{name} {place}": np.asarray(array).copy() for name, array in arrays.items()}
        return found

    return look


def no_weights(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the path on which no weights are asked for, in eval and, where there is one, in training."""
    situation = PLAIN.with_(mask="B h n_q n_k", causal=True)
    module = ready(bench, implementation, situation, dropout=0.5)
    found = {"output": asked(bench, module, situation, need_weights=False)}
    for form in ("bool", "int"):
        pairs = PLAIN.with_(mask="n_q n_k", form=form)
        found[form] = asked(bench, module, pairs, need_weights=False)
    if bench.name == "torch":
        trained = asked(bench, module.train(), situation, need_weights=False)
        found["drops"] = np.array(not np.array_equal(found["output"], trained))
    return found


def padding_beside(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at masks of padding in an argument of their own, alone and beside another, on one module."""
    module, found = ready(bench, implementation, PLAIN), {}
    apart = "key_padding_mask" in signature(module.forward).parameters
    pairs = np.tri(5, 7, 3, dtype=bool)
    others = (None, pairs, pairs.astype(int)) if "mask" in signature(module.forward).parameters else (None,)
    for place, (first, other) in enumerate((first, other) for first in (3, 1) for other in others):
        kept = (np.arange(7) < np.array([[first], [6]]))[:, None, None, :]
        whole = kept if other is None else kept & (other != 0)
        if not apart:
            found[f"{place}"] = bench.call(module, PLAIN.with_(changes={"mask": whole}))["output"]
            found[f"padding {place}"] = ~kept[:, 0, 0]
            continue
        beside = PLAIN if other is None else PLAIN.with_(changes={"mask": other})
        padding = ~bench.arrays(PLAIN.with_(changes={"mask": kept}))["mask"][:, 0, 0]
        with precision(bench):
            output = module.forward(**bench.arrays(beside), key_padding_mask=padding)[0]
            found[f"{place}"] = bench.plain(output, output)["output"]
        found[f"padding {place}"] = np.asarray(padding)
    return found


def a_view(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at a call with a transposed view."""
    arrays = bench.arrays(PLAIN.with_(n_q=2))
    arrays["Q"] = arrays["Q"].swapaxes(0, 1)
    return dict(bench.call(ready(bench, implementation, PLAIN), PLAIN, arrays))


def a_view_of_a_mask(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at a call with a mask that is a transposed view."""
    arrays = bench.arrays(PLAIN.with_(changes={"mask": np.tri(7, 5, dtype=bool)}))
    arrays["mask"] = arrays["mask"].swapaxes(0, 1)
    return dict(bench.call(ready(bench, implementation, PLAIN), PLAIN, arrays))


def one_object(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at a call with one object as key and value."""
    arrays = bench.arrays(PLAIN)
    arrays["V"] = arrays["K"]
    return dict(bench.call(ready(bench, implementation, PLAIN), PLAIN, arrays))


def construction(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at which sizes and rates are accepted, and how others are refused."""
    asked: dict[str, Any] = {}
    for sizes in ((12, 5), (7, 2), (2, 4), (8, 0), (8, -2), (0, 2), (9, 3), (8, 8), (10, 2), (15, 5)):
        given = attempt(lambda sizes=sizes: bench.build(implementation, *sizes) and {})  # type: ignore[misc]
        asked[f"sizes {sizes}"] = given.get("raised", np.array("accepted"))
    for rate in (1.0, -0.1, float("nan"), 50.0):
        given = attempt(lambda rate=rate: bench.build(implementation, 8, 2, dropout=rate) and {})  # type: ignore[misc]
        asked[f"dropout {rate}"] = given.get("raised", np.array("accepted"))
    return asked


def stages(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the shapes of the steps."""
    module = ready(bench, implementation, PLAIN)
    arrays = bench.arrays(PLAIN)
    heads = arrays["Q"].reshape(2, 4, 5, 3)
    split, combined = module.split_heads(arrays["Q"]), module.combine_heads(heads)
    return {"split": np.array(split.shape), "combined": np.array(combined.shape)}


def initial(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the weights that a module starts with."""
    return dict(bench.read(bench.build(implementation, 12, 4)))


def gradients(situation: Situation) -> Look:
    """Return a look at the gradients of a call."""
    return lambda bench, implementation: dict(
        bench.gradients(ready(bench, implementation, situation), situation)
    )


def gradients_of_one_object(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the gradients of a call of one array in all roles."""
    module = ready(bench, implementation, PLAIN)
    return dict(bench.gradients(module, PLAIN.with_(n_k=5), itself=True))


def gradients_in_training(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the gradients of a call in training, where that is a mode."""
    module = ready(bench, implementation, PLAIN)
    return dict(bench.gradients(module.train() if bench.name == "torch" else module, PLAIN))


def gradients_of_draw(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the gradients of a call in training, with dropout."""
    return dict(bench.gradients_of_draw(ready(bench, implementation, PLAIN, dropout=0.5), PLAIN, 0))


def cost(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at how many operations the matrix products of a call are."""
    situations = {"plain": PLAIN, "masked": PLAIN.with_(mask="B h n_q n_k")}
    return {
        name: np.array(bench.operations(ready(bench, implementation, situation), situation))
        for name, situation in situations.items()
    }


def without_gradients(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the path of inference on torch, and at the compiled one on JAX."""
    situation = PLAIN.with_(mask="B h n_q n_k", causal=True)
    module = ready(bench, implementation, situation)
    if bench.name == "jax":
        return dict(bench.jitted(module, situation))
    import torch

    with torch.no_grad():
        return dict(bench.call(module, situation))


def training(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at training without dropout."""
    return dict(bench.train(ready(bench, implementation, PLAIN), PLAIN, 0))


def eval_with_rate(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at eval where a rate was given."""
    return dict(bench.call(ready(bench, implementation, PLAIN, dropout=0.5), PLAIN))


def dropped(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at the mean of dropped weights over draws, and whether heads and examples drop the same."""
    module = ready(bench, implementation, PLAIN, dropout=0.2)
    draws = np.array([bench.train(module, PLAIN, seed)["weights"] for seed in range(60)])
    kept = draws > 0
    last = PLAIN.with_(changes={"mask": np.arange(7)[None] < 6})
    masked = bench.train(module, last, 0)["weights"]
    half = bench.train(module, PLAIN.with_(dtype="float16"), 0)["weights"]
    ahead = bench.train(module, PLAIN.with_(causal=True), 0)["weights"] * ~np.tri(5, 7, dtype=bool)
    often = ready(bench, implementation, PLAIN, dropout=0.9)
    spared = np.array([bench.train(often, PLAIN, seed)["weights"] > 0 for seed in range(60)])
    weights = bench.call(module.eval() if bench.name == "torch" else module, PLAIN)["weights"]
    return {
        "kept": np.round(kept.mean() * 10),
        "kept at a rate of 0.9": np.round(spared.mean() * 10),
        "blocked": masked[..., -1],
        "blocked under the causal flag": ahead,
        "drops beside a mask": (masked[..., :-1] == 0).any(),
        "drops in half precision": (half == 0).any(),
        "mean is that of eval": np.abs(draws.mean(axis=(0, 1, 2)) - weights.mean(axis=(0, 1))).max() < 0.04,
        "rows sum to one or nothing": (np.abs(draws.sum(axis=-1) - 0.5) > 0.499).all(),
        "heads alike": (kept[:, :, 0] == kept[:, :, 1]).all(),
        "examples alike": (kept[:, 0] == kept[:, 1]).all(),
        "queries alike": (kept[..., 0, :] == kept[..., 1, :]).all(),
        "mean over draws moves": (draws.std(axis=0) > 0).any(axis=(0, 1, 2)).all(),
    }


def scale_of_caller(bench: Any, implementation: Any) -> dict[str, Any]:
    """Look at scales given by the caller; one that takes none is called with weights to the same effect."""
    found = {}
    for scale in (0.25, 0.0, -0.5):
        if implementation is reference(bench.name):
            module = ready(bench, implementation, PLAIN)
            module.scale = lambda scale=scale: scale
        else:
            module = ready(bench, implementation, PLAIN, scale=scale)
        for mask in ("", "B h n_q n_k"):
            found[f"{scale} {mask}"] = bench.call(module, PLAIN.with_(mask=mask))["output"]
    return found


FORWARD: dict[str, Look] = {name: seen_in(situation) for name, situation in SITUATIONS.items()}


def calls(*names: str) -> dict[str, Look]:
    """Return looks at these calls."""
    return {name: FORWARD[name] for name in names}


FIRST: dict[str, dict[str, Look]] = {
    "divisibility": {"construction": construction},
    "shapes": {"stages": stages}
    | calls("one example of keys", "one example of queries", "one value", "fewer values", "more values")
    | calls("too wide", "too narrow")
    | calls("plain", "masked", "one head", "no query"),
    "projections": {"start": initial},
    "softmax": calls("plain", "very large scores", "half"),
    "scale": calls("plain", "one of 64 and more"),
    "padding": {"padding beside": padding_beside},
    "masks": {"second call": second_call}
    | calls(
        "a key for each query",
        "masked",
        "very large scores, masked",
        "half",
        "mask too large",
        "integer data",
    ),
    "empty_rows": calls("empty row"),
    "causal": calls("masked and causal", "causal", "even lengths, causal", "beyond 128, causal")
    | calls("beyond 256 in eight bits, causal"),
    "coincidences": {"one object": one_object},
    "long_sequences": calls("one of 64 and more", "a whole tile", "beyond 128", "beyond 512"),
    "state": {
        "second call": second_call,
        "view": a_view,
        "view of a mask": a_view_of_a_mask,
        "many calls": many_calls,
        "the same objects": same_objects,
        "two steps": two_steps,
        "steps of one": steps_of_one,
        "arguments": arguments_after(
            PLAIN.with_(mask="B h n_q n_k", empty_row=True),
            PLAIN.with_(mask="B 1 1 n_k"),
            PLAIN.with_(changes={"V": np.full((2, 7, 12), np.inf)}),
        ),
        "a mask under the causal flag": masked_and_causal,
    },
    "paths": {"inference": without_gradients, "training": training, "no weights": no_weights},
    "numbers": calls("single", "half", "no number", "an infinity"),
    "gradients": {
        "gradients": gradients(PLAIN),
        "gradients, one object": gradients_of_one_object,
        "gradients, masked": gradients(PLAIN.with_(mask="B h n_q n_k", empty_row=True)),
        "gradients, training": gradients_in_training,
        "gradients, beyond 512": gradients(PLAIN.with_(batch=1, n_k=520)),
    },
    "dropout": {
        "eval": eval_with_rate,
        "construction": construction,
        "draws": dropped,
        "gradients": gradients_of_draw,
    },
    "initialisation": {"start": initial},
    "cost": {"operations": cost},
}


def looks(family: str, caught_by: str) -> dict[str, Look]:
    """Return the looks at a fault, in the order in which they are likely to find it."""
    if caught_by == "SCALE-USER":
        return {"scale": scale_of_caller}
    return {**FIRST.get(family, {}), **FORWARD}


def look_at(bench: Any, implementation: Any, look: Look) -> dict[str, Any]:
    """Return what a look shows, or the exception that came of it."""
    return attempt(lambda: look(bench, implementation))


@cache
def expected(framework: str, family: str, caught_by: str, name: str) -> dict[str, Any]:
    """Return what the right implementation shows in a look."""
    from .bench import BENCHES

    return look_at(BENCHES[framework], reference(framework), looks(family, caught_by)[name])


def differ(one: Arrays, other: Arrays, tolerance: float = 1e-9) -> str:
    """Return in which array two looks differ, "" where in none."""
    if one.keys() != other.keys():
        return f"{sorted(one)} and {sorted(other)}"
    for name, array in one.items():
        a, b = np.asarray(array), np.asarray(other[name])
        if a.shape != b.shape or (a.dtype.kind in "US" and a.tolist() != b.tolist()):
            return name
        if a.dtype.kind not in "US" and not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            return name
    return ""
