"""Every JAX adapter against the formula, on every path it offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from headcheck.adapters.importing import named  # noqa: E402
from headcheck.reference.parameters import Parameters  # noqa: E402

from .attention import attention, call, expected, parameters, perform, run  # noqa: E402

ADAPTERS = {
    "jax.nn": "headcheck.adapters.on_jax_builtin:DotProductAttentionAdapter",
    "class": "headcheck.reference.on_jax:MultiHeadAttention",
    "linen": "headcheck.adapters.on_flax:LinenAdapter",
    "nnx": "headcheck.adapters.on_flax:NnxAdapter",
}
# Where the softmax is in float32, whatever the inputs are.
SINGLE = {("jax.nn", name) for name in ("jit", "eager", "optimised", "vmap")} | {("nnx", "plain")}
PATHS = {
    "jax.nn": ("jit", "eager", "optimised", "vmap"),
    "class": ("jit", "same object", "eager", "optimised", "vmap"),
    "linen": ("weights", "plain", "query alone", "eager", "optimised", "vmap"),
    "nnx": ("weights", "plain", "query alone", "eager", "optimised", "vmap"),
}
MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]], dtype=bool)
PADDING = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], dtype=bool)[:, None, None, :]


@cache
def adapter(name: str) -> Any:
    if name in {"linen", "nnx"}:
        pytest.importorskip("flax")
    made = named(ADAPTERS[name])
    if name == "class":
        from headcheck.adapters.on_jax import ClassAdapter

        return ClassAdapter(made, ADAPTERS[name])
    return made()


@pytest.fixture(autouse=True)
def _flags_are_left_alone() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before


def near(result: Any, answer: tuple[np.ndarray, np.ndarray], atol: float) -> None:
    output, weights = answer
    np.testing.assert_allclose(result.output, output, atol=atol, rtol=0)
    if result.weights is not None:
        np.testing.assert_allclose(result.weights, weights, atol=atol, rtol=0)


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_paths_are_those_declared(name: str) -> None:
    assert tuple(variant.name for variant in adapter(name).declare().variants) == PATHS[name]


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in PATHS.items() for path in paths])
def test_every_path_gives_the_formula(name: str, path: str) -> None:
    itself = path in {"same object", "query alone"}
    made = call(n_k=3 if itself else 5, itself=itself, variant=path)
    result = perform(adapter(name), made)
    near(result, expected(made), 1e-5 if (name, path) in SINGLE else 1e-13)
    declared = adapter(name).variants[path]
    assert (result.weights is not None) == declared.weights
    assert result.dtype == "float64"
    assert result.written_to == ()


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("mask", [MASK, PADDING], ids=["n_q n_k", "B 1 1 n_k"])
def test_true_attends(name: str, mask: np.ndarray) -> None:
    made = call(mask=mask)
    near(perform(adapter(name), made), expected(made, mask), 1e-5 if name == "jax.nn" else 1e-13)


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_mask_is_mapped_with_its_example(name: str) -> None:
    made = call(mask=PADDING, variant="vmap")
    near(perform(adapter(name), made), expected(made, PADDING), 1e-5 if name == "jax.nn" else 1e-13)


@pytest.mark.parametrize("name", ADAPTERS)
def test_without_biases(name: str) -> None:
    made = call(bias=False)
    near(perform(adapter(name), made), expected(made), 1e-5 if name == "jax.nn" else 1e-13)


@pytest.mark.parametrize("name", ["jax.nn", "class", "nnx"])
def test_causal_starts_at_the_top_left(name: str) -> None:
    made = call(causal=True)
    assert adapter(name).declare().conventions.causal_alignment == "top-left"
    near(
        perform(adapter(name), made),
        expected(made, np.tri(3, 5, dtype=bool)),
        1e-5 if name == "jax.nn" else 1e-13,
    )


@pytest.mark.parametrize("name", ["jax.nn", "linen", "nnx"])
def test_a_row_with_no_key_is_uniform(name: str) -> None:
    mask = MASK.copy()
    mask[1] = False
    made = call(mask=mask)
    assert adapter(name).declare().conventions.empty_row == "uniform"
    near(perform(adapter(name), made), expected(made, mask), 1e-5 if name == "jax.nn" else 1e-13)


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 2e-5), ("bfloat16", 0.4), ("float16", 0.04)])
def test_the_dtype_of_the_inputs_comes_out(name: str, dtype: str, atol: float) -> None:
    made = call(dtype=dtype)
    result = perform(adapter(name), made)
    near(result, expected(made), atol)
    assert result.dtype == dtype


@pytest.mark.parametrize("name", ADAPTERS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    made = call(n_q=2, n_k=3, mask=[[True, False, True], [True, True, False]])
    rng = np.random.default_rng(2)
    made = replace(made, cotangent=rng.standard_normal(made.query.shape))
    found = perform(adapter(name), made).gradients
    arrays = {"query": made.query, "key": made.key, "value": made.value, **dict(made.parameters.items())}
    assert set(found) == set(arrays)

    def pulled(changed: dict[str, np.ndarray]) -> float:
        weights = Parameters(**{field.name: changed[field.name] for field in fields(Parameters)})
        output, _ = attention(weights, 2, *(changed[x] for x in ("query", "key", "value")), made.mask.allowed)
        return float((output * made.cotangent).sum())

    for role, array in arrays.items():
        gradient = np.empty_like(array)
        for index in np.ndindex(array.shape):
            step = np.zeros_like(array)
            step[index] = 1e-5
            ends = [pulled(arrays | {role: array + sign * step}) for sign in (1, -1)]
            gradient[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(
            found[role], gradient, atol=1e-4 if name == "jax.nn" else 1e-7, err_msg=role
        )


@pytest.mark.parametrize("name", ["class", "linen", "nnx"])
@pytest.mark.parametrize("bias", [True, False])
def test_weights_are_read_as_they_were_written(name: str, bias: bool) -> None:
    made = call(bias=bias)
    back = adapter(name).read(adapter(name).write(adapter(name).build(made.build), made.parameters))
    for field in fields(Parameters):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(made.parameters, field.name))


@pytest.mark.parametrize("name", ["class", "linen", "nnx"])
def test_initial_weights_come_from_the_seed(name: str) -> None:
    one, again, other = (adapter(name).read(adapter(name).build(call(seed=s).build)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.W_q, again.W_q)
    assert not np.array_equal(one.W_q, other.W_q)
    assert not np.array_equal(one.W_q, one.W_k)
    plain = call(seed=1, parameters=None)
    near(perform(adapter(name), plain), expected(replace(plain, parameters=one)), 1e-5)


@pytest.mark.parametrize("name", ADAPTERS)
def test_modules_built_alike_share_what_was_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    forward = adapter(name).forward
    monkeypatch.setattr(adapter(name), "forward", lambda *given: traced.append(given) or forward(*given))
    for seed in range(3):
        perform(
            adapter(name),
            call(n_q=7, seed=seed, parameters=parameters(4, seed=seed), mask=np.ones((7, 5), bool)),
        )
    assert len(traced) == 1


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("path", ["", "vmap", "eager"])
def test_products_are_counted(name: str, path: str) -> None:
    B, n_q, n_k, d = 2, 3, 5, 4
    made = call(n_q, n_k, dtype="float32", variant=path)
    counted = adapter(name).count(adapter(name).write(adapter(name).build(made.build), made.parameters), made)
    assert counted["matmul"] == B * (2 * (2 * n_q + 2 * n_k) * d * d + 4 * n_q * n_k * d)


@pytest.mark.parametrize("name", ["class", "linen", "nnx"])
def test_dropout_is_drawn_from_the_seed_and_off_in_eval(name: str) -> None:
    calm = call(dropout=0.5)
    near(perform(adapter(name), calm), expected(calm), 1e-13)
    one, again, other = (perform(adapter(name), replace(calm, training=True, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.output, again.output)
    assert not np.allclose(one.output, other.output)


@pytest.mark.parametrize("name", ["class", "linen", "nnx"])
def test_indivisible_sizes_are_refused_when_the_module_is_built(name: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        adapter(name).build(call(d_model=4, num_heads=3).build)


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in PATHS.items() for path in paths])
def test_a_script_makes_the_same_call(name: str, path: str) -> None:
    itself = path in {"same object", "query alone"}
    mask = MASK[:, :3] if itself else PADDING
    made = call(n_k=3 if itself else 5, itself=itself, variant=path, mask=mask)
    result, after = perform(adapter(name), made), run(adapter(name).script(made))
    np.testing.assert_allclose(after["output"], result.output, atol=1e-6 if (name, path) in SINGLE else 1e-13)
    assert after["output"].dtype == np.float64
    if result.weights is not None:
        np.testing.assert_allclose(after["weights"], result.weights, atol=1e-13)
