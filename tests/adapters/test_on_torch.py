"""Classes on torch, ordinary and strange: what is computed, read, written and differentiated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from headcheck.adapters.protocol import Adapter, Build, Call, SubjectError
from headcheck.adapters.subjects import adapt, load

from .attention import call, expected, parameters, perform

torch = pytest.importorskip("torch")

from . import strange_torch  # noqa: E402

STRANGE = [
    "Annotated",
    "Bidirectional",
    "PackedPerHead",
    "HeadByHead",
    "ListsOfLayers",
    "ValuesFirst",
    "Bare",
    "BareTransposed",
    "ThreeAxes",
    "LikeTorch",
    "make",
]
FILE = str(Path(strange_torch.__file__))


def strange(name: str) -> Adapter:
    """Return the adapter of one of the strange classes."""
    return adapt(getattr(strange_torch, name), f"{FILE}:{name}")


@pytest.fixture(scope="module")
def tutorial() -> Adapter:
    """The bundled reference: the tutorial's shape."""
    return load("torch")


def fitting(adapter: Adapter, **changes: object) -> Call:
    """Return a call that the adapter's class takes."""
    can = adapter.declare().capabilities
    settings = {"itself": "cross" not in can, "bias": "bias" in can, "n_k": 5} | changes
    if settings["itself"]:
        settings["n_k"] = 3
    return call(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_classes_give_the_formula(name: str) -> None:
    adapter = strange(name)
    declaration = adapter.declare()
    plain = fitting(adapter)
    for variant in declaration.variants:
        made = replace(plain, variant=variant.name)
        if variant.self_attention:
            made = replace(made, key=plain.query, value=plain.query)
        output, weights = expected(made)
        result = perform(adapter, made)
        np.testing.assert_allclose(result.output, output, atol=1e-12)
        asked = not variant.name.endswith("no weights")
        offered = "weights" in declaration.capabilities
        assert (result.weights is not None) == variant.weights == (offered and asked)
        if result.weights is not None:
            mean = name == "ValuesFirst"
            np.testing.assert_allclose(result.weights, weights.mean(axis=1) if mean else weights, atol=1e-12)


@pytest.mark.parametrize("name", STRANGE)
def test_every_mask_shape_and_form_declared_is_read_as_it_is_meant(name: str) -> None:
    adapter = strange(name)
    declaration = adapter.declare()
    if "mask" not in declaration.capabilities:
        return
    plain = fitting(adapter)
    sizes = {"B": 2, "h": 2, "n_q": 3, "n_k": plain.key.shape[1]}
    assert declaration.conventions.mask_shapes
    for shape in declaration.conventions.mask_shapes:
        axes = shape.split()
        allowed = np.random.default_rng(3).random([sizes.get(axis, 1) for axis in axes]) < 0.6
        allowed[..., 0] = True
        whole = allowed
        if len(axes) < 4 and "B" in axes:  # the head's axis, and the queries', are left out
            whole = allowed.reshape(2, 1, -1 if "n_q" in axes else 1, plain.key.shape[1])
        for form in declaration.conventions.mask_forms:
            made = fitting(adapter, mask=allowed, form=form)
            np.testing.assert_allclose(perform(adapter, made).output, expected(made, whole)[0], atol=1e-12)


@pytest.mark.parametrize("name", STRANGE)
def test_weights_are_read_back(name: str) -> None:
    adapter = strange(name)
    build = Build(6, 3, dtype="float64", bias="bias" in adapter.declare().capabilities)
    put = parameters(6, bias=build.bias)
    back = adapter.read(adapter.write(adapter.build(build), put))
    for parameter, array in put.items():
        np.testing.assert_array_equal(getattr(back, parameter), array)


@pytest.mark.parametrize("name", STRANGE)
def test_the_script_stands_alone_and_agrees(name: str) -> None:
    adapter = strange(name)
    made = fitting(adapter, **({} if "cross" in adapter.declare().capabilities else {"itself": True}))
    names: dict[str, np.ndarray] = {}
    lines = adapter.script(made)
    assert not any("headcheck" in line and "import" in line for line in lines)
    exec("\n".join(lines), names)
    result = perform(adapter, made)
    np.testing.assert_array_equal(names["output"], result.output)
    if result.weights is not None:
        np.testing.assert_array_equal(names["weights"], result.weights)


def test_what_was_found_is_reported() -> None:
    assert strange("PackedPerHead").declare().found["W_qkv"] == "qkv_proj (h r k in)"
    assert strange("BareTransposed").declare().found["W_o"] == "wo (out d)"
    assert strange("Bare").declare().found["attention weights"] == "returned[0]"
    assert strange("Annotated").declare().found["attention weights"] == "self.attn"
    assert strange("LikeTorch").declare().found["forward padding"] == "key_padding_mask (True means block)"
    assert strange("ValuesFirst").declare().notes == (
        "the attention weights come back averaged over the heads",
    )


def test_capabilities_of_strange_classes() -> None:
    can = {name: strange(name).declare().capabilities for name in STRANGE}
    assert {name for name in STRANGE if "cross" not in can[name]} == {"Bidirectional", "PackedPerHead"}
    assert {name for name in STRANGE if "weights" not in can[name]} == {"Bidirectional", "ListsOfLayers"}
    assert {name for name in STRANGE if "dropout" in can[name]} == {"Annotated", "Bidirectional", "LikeTorch"}
    assert {name for name in STRANGE if "padding" in can[name]} == {"LikeTorch"}
    assert "indivisible" in can["Bidirectional"]


def test_mask_shapes_of_a_class_that_adds_the_heads_itself() -> None:
    assert strange("Annotated").declare().conventions.mask_shapes == ("B 1 n_k", "B n_q n_k")


def test_a_padding_mask_marks_the_padding() -> None:
    adapter = strange("LikeTorch")
    padding = np.array([[True, True, False, True, True], [True, False, True, True, False]])
    made = call(padding=padding)
    np.testing.assert_allclose(
        perform(adapter, made).output, expected(made, padding[:, None, None])[0], atol=1e-12
    )


def test_a_class_that_is_always_causal_is_said_to_be() -> None:
    declaration = strange("Raschka").declare()
    assert declaration.always_causal
    assert "cross" not in declaration.capabilities
    assert declaration.notes == ("is causal in every call, and judged as that",)


def test_a_class_whose_output_starts_at_zero_is_not_taken_for_causal() -> None:
    class FromZero(strange_torch.ThreeAxes):  # type: ignore[misc]
        def __init__(self, d_model, num_heads):  # type: ignore[no-untyped-def]
            super().__init__(d_model, num_heads)
            torch.nn.init.zeros_(self.W_O)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return super().forward(x, x, x)

    assert not adapt(FromZero).declare().always_causal


@pytest.mark.parametrize("causal", [True, False])
def test_a_class_that_takes_x_alone_is_asked_whether_it_looks_ahead(causal: bool) -> None:
    class OneArgument(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, x):  # type: ignore[no-untyped-def]
            n = x.shape[1]
            return super().forward(x, x, x, torch.ones(n, n).tril() if causal else None)

    assert adapt(OneArgument).declare().always_causal == causal


def test_a_class_that_is_called_causal_and_is_not_is_asked() -> None:
    with pytest.raises(SubjectError, match="is called causal, and its first query sees later keys"):
        strange("CausalSelfAttention").declare()


def test_which_memory_the_inputs_have(tutorial: Adapter) -> None:
    seen: list[torch.Tensor] = []

    class Watching(strange_torch.ThreeAxes):  # type: ignore[misc]
        def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
            seen.append(Q)
            return super().forward(Q, K, V, mask)

    adapter = adapt(Watching)
    adapter.declare()
    made = call(bias=False)
    alike = replace(made, query=np.repeat(made.query[:1], 2, axis=0))
    for memory in ("contiguous", "transposed", "expanded", "sliced"):
        result = perform(adapter, replace(alike, memory=memory))
        np.testing.assert_allclose(result.output, expected(alike)[0], atol=1e-12)
        assert seen[-1].is_contiguous() == (memory == "contiguous")
        assert (seen[-1].stride(0) == 0) == (memory == "expanded")
    perform(adapter, replace(made, memory="expanded"))
    assert seen[-1].stride(0) != 0  # what is not alike for all examples cannot be expanded


class Writing(strange_torch.ThreeAxes):  # type: ignore[misc]
    """Writes to what it is given, in its data, so that autograd sees nothing of it."""

    def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
        K.data.mul_(-1.0)
        if mask is not None:
            mask.data.logical_or_(torch.eye(*mask.shape[-2:], dtype=torch.bool))
        return super().forward(Q, K, V, mask)


def test_writing_to_the_inputs_is_seen_and_leaves_the_callers_arrays_alone() -> None:
    made = call(bias=False, mask=np.zeros((3, 5), dtype=bool))
    before = made.key.copy()
    assert perform(adapt(Writing), made).written_to == ("key", "mask")
    np.testing.assert_array_equal(made.key, before)


def numerical(made: Call, name: str, epsilon: float = 1e-6) -> np.ndarray:
    """Return a gradient of sum(output * cotangent) by central differences of the formula."""
    assert made.parameters is not None
    array = getattr(made.parameters if name[1] == "_" else made, name)
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        sides = []
        for sign in (1, -1):
            moved = array.copy()
            moved[index] += sign * epsilon
            changed = (
                replace(made, parameters=replace(made.parameters, **{name: moved}))
                if name[1] == "_"
                else replace(made, **{name: moved})  # type: ignore[arg-type]
            )
            sides.append((expected(changed)[0] * made.cotangent).sum())
        gradient[index] = (sides[0] - sides[1]) / (2 * epsilon)
    return gradient


@pytest.mark.parametrize("name", ["Annotated", "BareTransposed", "ThreeAxes", "LikeTorch"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    adapter = strange(name)
    made = fitting(adapter, cotangent=np.random.default_rng(5).integers(-2, 3, (2, 3, 4)) * 1.0)
    gradients = perform(adapter, made).gradients
    assert made.parameters is not None
    assert gradients.keys() == {
        "query",
        "key",
        "value",
        *(parameter for parameter, _ in made.parameters.items()),
    }
    for quantity in ("query", "value", "W_q", "W_o"):
        np.testing.assert_allclose(gradients[quantity], numerical(made, quantity), atol=1e-5)


class Detached(strange_torch.ThreeAxes):  # type: ignore[misc]
    """Cuts the key off from its gradient."""

    def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
        return super().forward(Q, K.detach(), V, mask)


class AllDetached(Detached):
    """Cuts everything off."""

    def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
        with torch.no_grad():
            return super().forward(Q, K, V, mask)


def test_a_gradient_that_is_cut_off_is_zero() -> None:
    made = call(bias=False, cotangent=np.ones((2, 3, 4)))
    assert not perform(adapt(Detached), made).gradients["key"].any()
    assert perform(adapt(Detached), made).gradients["W_k"].any()
    assert not any(gradient.any() for gradient in perform(adapt(AllDetached), made).gradients.values())


class Narrow(strange_torch.ThreeAxes):  # type: ignore[misc]
    """Gives one column of its output, which a cotangent would be broadcast over."""

    def forward(self, Q, K, V, mask=None):  # type: ignore[no-untyped-def]
        output, *others = super().forward(Q, K, V, mask)
        return (output[..., :1], *others)


def test_an_output_of_another_shape_has_no_gradients() -> None:
    made = call(bias=False, cotangent=np.ones((2, 3, 4)))
    with pytest.raises(
        RuntimeError, match=r"expected an output of \(2, 3, 4\), got an output of \(2, 3, 1\)"
    ):
        perform(adapt(Narrow), made)


def test_stages(tutorial: Adapter) -> None:
    result = perform(tutorial, call(stages=True))
    assert result.stages == {
        "projected": (2, 3, 4),
        "split": (2, 2, 3, 2),
        "scores": (2, 2, 3, 5),
        "context": (2, 2, 3, 2),
        "weights": (2, 2, 3, 5),
        "combined": (2, 3, 4),
        "output": (2, 3, 4),
    }
    assert perform(tutorial, call()).stages == {}


def test_a_module_is_left_as_it_was_after_its_stages_were_watched(tutorial: Adapter) -> None:
    built = tutorial.build(Build(4, 2, dtype="float64"))
    tutorial.call(built, call(stages=True))
    assert "split_heads" not in vars(built.module)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in built.module.modules())


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_dtypes(tutorial: Adapter, dtype: str) -> None:
    result = perform(tutorial, call(dtype=dtype))
    assert result.dtype == dtype
    assert result.output.dtype == np.float64
    np.testing.assert_allclose(result.output, expected(call())[0], atol=0.5 if "16" in dtype else 1e-4)


def test_the_seed_decides_the_initial_weights_and_the_dropout(tutorial: Adapter) -> None:
    def initial(seed: int) -> np.ndarray:
        return tutorial.read(tutorial.build(Build(4, 2, seed=seed))).W_q

    np.testing.assert_array_equal(initial(1), initial(1))
    assert not np.array_equal(initial(1), initial(2))
    drop = call(dropout=0.5, training=True, seed=3)
    first, again = perform(tutorial, drop), perform(tutorial, drop)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, perform(tutorial, replace(drop, seed=4)).weights)
    assert (first.weights == 0).any()
    np.testing.assert_allclose(perform(tutorial, replace(drop, training=False)).output, expected(drop)[0])


def test_nothing_global_is_changed(tutorial: Adapter) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled()
    for variant in ("eval", "train", "grad"):
        perform(tutorial, call(variant=variant, dropout=0.5, training=True, dtype="bfloat16"))
    perform(tutorial, call(cotangent=np.ones((2, 3, 4))))
    tutorial.read(tutorial.build(Build(4, 2)))
    torch.testing.assert_close(torch.random.get_rng_state(), before[0])
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == before[1:]
