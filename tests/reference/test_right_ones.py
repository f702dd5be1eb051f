"""The right implementations: closed forms, and what they refuse, on every framework."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from headcheck.reference.oracle import attend
from headcheck.reference.parameters import Parameters

from .bench import Situation, bench, reference

FRAMEWORKS = ("numpy", "torch", "jax")
ACCURACY = {"float64": 1e-13, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}

SITUATIONS = {
    "plain": Situation(),
    "more queries than keys": Situation(n_q=7, n_k=4, mask="B h n_q n_k"),
    "per key": Situation(mask="n_k"),
    "padding": Situation(mask="B 1 1 n_k"),
    "per query": Situation(mask="n_q n_k", form="int"),
    "per example": Situation(mask="B 1 n_q n_k", form="float"),
    "per head": Situation(mask="h n_q n_k"),
    "causal": Situation(causal=True),
    "causal, more queries than keys": Situation(n_q=7, n_k=4, causal=True),
    "causal and masked": Situation(mask="B h n_q n_k", causal=True),
    "empty row": Situation(mask="B h n_q n_k", empty_row=True),
    "one of everything": Situation(1, 1, 1, 1, 1),
    "large": Situation(spread=30.0),
    "long": Situation(batch=1, n_q=3, n_k=150, num_heads=2),
}


@pytest.fixture(params=FRAMEWORKS)
def drive(request: pytest.FixtureRequest) -> Any:
    return bench(request.param)


def built(drive: Any, situation: Situation, **options: Any) -> Any:
    module = drive.build(reference(drive.name), situation.d_model, situation.num_heads, **options)
    return drive.write(module, situation.weights())


def exact(situation: Situation, empty_row: Any = "zeros", *, biases: bool = True) -> dict[str, np.ndarray]:
    """Return the oracle's output and attention weights."""
    given = situation.inputs()
    weights = {name: W for name, W in situation.weights().items() if biases or name.startswith("W")}
    allowed = np.asarray(given["mask"] != 0) if "mask" in given else None
    if situation.causal:
        triangle = np.tril(np.ones((situation.n_q, situation.n_k), bool))
        allowed = triangle if allowed is None else allowed & triangle
    stages = attend(
        Parameters(**weights),
        situation.num_heads,
        given["Q"],
        given["K"],
        given["V"],
        allowed=allowed,
        empty_row=empty_row,
    )
    return {"output": stages.output, "weights": stages.weights}


def test_two_keys_with_a_gap_of_ln_3_share_one_to_three(drive: Any) -> None:
    for num_heads, d_k in ((1, 2), (2, 3), (4, 16)):
        d = num_heads * d_k
        query, key, value = np.zeros((1, 1, d)), np.zeros((1, 2, d)), np.zeros((1, 2, d))
        query[..., ::d_k] = 1.0
        key[:, 1, ::d_k] = sqrt(d_k) * log(3.0)
        value[:, 1] = 1.0
        situation = Situation(1, 1, 2, num_heads, d_k, changes={"Q": query, "K": key, "V": value})
        module = drive.build(reference(drive.name), d, num_heads)
        eye = {f"W_{role}": np.eye(d) for role in "qkvo"} | {f"b_{role}": np.zeros(d) for role in "qkvo"}
        found = drive.call(drive.write(module, eye), situation)
        np.testing.assert_allclose(found["weights"], np.full((1, num_heads, 1, 2), [0.25, 0.75]), rtol=1e-14)
        np.testing.assert_allclose(found["output"], np.full((1, 1, d), 0.75), rtol=1e-14)


@pytest.mark.parametrize("name", SITUATIONS)
def test_agrees_with_the_oracle(drive: Any, name: str) -> None:
    situation = SITUATIONS[name]
    found, expected = drive.call(built(drive, situation), situation), exact(situation)
    for quantity in ("output", "weights"):
        np.testing.assert_allclose(found[quantity], expected[quantity], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["plain", "empty row", "causal and masked"])
def test_computes_in_the_type_of_its_inputs(drive: Any, name: str) -> None:
    for dtype in drive.dtypes:
        situation = SITUATIONS[name].with_(dtype=dtype)
        found, expected = drive.call(built(drive, situation), situation), exact(SITUATIONS[name])
        assert dtype in str(found["dtype"])
        np.testing.assert_allclose(found["output"], expected["output"], atol=ACCURACY[dtype] * 3)


@pytest.mark.parametrize("sizes", [(12, 5), (2, 4), (8, 0), (8, -2), (0, 2), (-8, 2), (0, 0)])
def test_refuses_sizes_that_do_not_fit_and_names_both(drive: Any, sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"d_model={sizes[0]}, num_heads={sizes[1]}"):
        drive.build(reference(drive.name), *sizes)


@pytest.mark.parametrize("rate", [1.0, -0.1, 2.0, float("nan")])
def test_refuses_rates_outside_of_zero_to_one(drive: Any, rate: float) -> None:
    if drive.name == "numpy":
        pytest.skip("no dropout on NumPy")
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\)"):
        drive.build(reference(drive.name), 8, 2, dropout=rate)


WRONG = {
    "Q too wide": ({"Q": np.ones((2, 5, 13))}, "Q must have the shape"),
    "K too wide": ({"K": np.ones((2, 7, 13))}, "K must have the shape"),
    "V without batch": ({"V": np.ones((7, 12))}, "V must have the shape"),
    "batch": ({"K": np.ones((1, 7, 12)), "V": np.ones((1, 7, 12))}, "one batch size, got 2, 1 and 1"),
    "one query": ({"Q": np.ones((1, 5, 12))}, "one batch size, got 1, 2 and 2"),
    "lengths": ({"V": np.ones((2, 1, 12))}, "one length, got 7 and 1"),
    "mask too large": ({"mask": np.ones((6, 7), bool)}, "mask must broadcast"),
    "mask of the batch alone": ({"mask": np.ones((2, 7), bool)}, "mask must broadcast"),
    "mask of five axes": ({"mask": np.ones((1, 1, 1, 5, 7), bool)}, "mask must broadcast"),
    "additive mask": ({"mask": np.full((5, 7), -1e9)}, "0 .blocked. and 1 .allowed. alone"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refuses_what_does_not_fit(drive: Any, name: str) -> None:
    changes, words = WRONG[name]
    situation = Situation(changes=changes)
    with pytest.raises(ValueError, match=words):
        drive.call(built(drive, situation), situation)


@pytest.mark.parametrize(("batch", "n_q", "n_k"), [(0, 5, 7), (2, 0, 7), (2, 5, 0)])
def test_empty_axes_give_empty_results(drive: Any, batch: int, n_q: int, n_k: int) -> None:
    situation = Situation(batch, n_q, n_k)
    found = drive.call(built(drive, situation), situation)
    assert found["output"].shape == (batch, n_q, 12)
    assert found["weights"].shape == (batch, 4, n_q, n_k)
    if n_k == 0:  # nothing to attend to: the output is its bias
        np.testing.assert_array_equal(
            found["output"], np.broadcast_to(situation.weights()["b_o"], (2, 5, 12))
        )


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_an_empty_row_has_finite_gradients_and_disturbs_no_other(framework: str) -> None:
    drive = bench(framework)
    situation = Situation(mask="B h n_q n_k", empty_row=True, causal=True)
    gradients = drive.gradients(built(drive, situation), situation)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_leaves_its_arguments_alone(framework: str) -> None:
    drive = bench(framework)
    situation = Situation(mask="B h n_q n_k", causal=True)
    arrays = drive.arrays(situation)
    before = {name: np.asarray(array).copy() for name, array in arrays.items()}
    drive.call(built(drive, situation), situation, arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.asarray(array), before[name])


def test_starts_xavier_uniform_with_zero_biases(drive: Any) -> None:
    held = drive.read(drive.build(reference(drive.name), 64, 4))
    bound = sqrt(6 / 128)
    for role in "qkvo":
        W = held[f"W_{role}"]
        assert 0.98 * bound < np.abs(W).max() <= bound * (1 + 1e-6)
        # Four standard errors of the variance of 4096 uniform numbers.
        assert abs(W.var() / (bound**2 / 3) - 1) < 4 * sqrt(0.8 / W.size)
        assert not held[f"b_{role}"].any()
    assert not np.array_equal(held["W_q"], held["W_k"])


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_dropout_keeps_the_mean_and_is_off_in_eval(framework: str) -> None:
    drive, situation = bench(framework), Situation()
    module = built(drive, situation, dropout=0.25)
    draws = np.array([drive.train(module, situation, seed)["weights"] for seed in range(200)])
    weights = exact(situation)["weights"]
    kept = draws > 0
    assert abs(kept.mean() - 0.75) < 5 * sqrt(0.25 * 0.75 / kept.size)
    np.testing.assert_allclose(draws[kept], np.broadcast_to(weights / 0.75, draws.shape)[kept], rtol=1e-10)
    module = built(drive, situation, dropout=0.25)
    np.testing.assert_allclose(drive.call(module, situation)["weights"], weights, atol=1e-12)


def test_the_jax_twin_can_be_jitted_with_any_mask() -> None:
    drive = bench("jax")
    situation = Situation(mask="B 1 n_q n_k", causal=True)
    found = drive.jitted(built(drive, situation), situation)
    np.testing.assert_allclose(found["output"], exact(situation)["output"], atol=1e-12)
