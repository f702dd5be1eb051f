from __future__ import annotations

import pytest
from headcheck.adapters import configurations, discovery
from headcheck.adapters.names import projection
from headcheck.adapters.protocol import Build, SubjectError

ARGUMENTS = discovery.constructor_values(Build(12, 3, bias=False, dropout=0.25))


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "W_q",
            "W_q w_q Wq WQ wq w_qs q_proj query queries to_q q_linear linear_q fc_q query_projection W_query",
        ),
        ("W_k", "W_k k_proj key keys to_k linear_k wk"),
        ("W_v", "W_v v_proj value values to_v v_lin"),
        ("W_o", "W_o wo out_proj o_proj out dense proj to_out fc_out c_proj unifyheads output_linear"),
        ("W_qkv", "in_proj in_proj_weight qkv qkv_proj c_attn W_qkv to_qkv Wqkv query_key_value"),
        ("W_kv", "to_kv kv_proj"),
        ("b_q", "b_q bq q_bias"),
        ("b_o", "b_o bo out_bias"),
        ("b_qkv", "in_proj_bias qkv_bias"),
        (None, "num_heads d_k dropout softmax scale norm q_norm attn mask head_dim key_size bias"),
    ],
)
def test_attributes_are_told_by_name(role: str | None, names: str) -> None:
    assert {name: projection(name) for name in names.split()} == dict.fromkeys(names.split(), role)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda d_model, num_heads: 0, {"d_model": 12, "num_heads": 3}),
        (lambda embed_size, heads, dropout=0.1: 0, {"embed_size": 12, "heads": 3, "dropout": 0.25}),
        (lambda h, d_model, use_bias=True: 0, {"h": 3, "d_model": 12, "use_bias": False}),
        (lambda n_head, d_model, d_k, d_v: 0, {"n_head": 3, "d_model": 12, "d_k": 4, "d_v": 4}),
        (lambda dim, heads=8, dim_head=64: 0, {"dim": 12, "heads": 3, "dim_head": 4}),
        (lambda embed_dim, num_heads, kdim=None: 0, {"embed_dim": 12, "num_heads": 3}),
        (lambda dim, heads, batch_first=False: 0, {"dim": 12, "heads": 3, "batch_first": True}),
        (lambda d_in, d_out, num_heads, context_length: 0,
         {"d_in": 12, "d_out": 12, "num_heads": 3, "context_length": discovery.LONGEST}),
        (lambda d_model, num_heads, scale=True: 0, {"d_model": 12, "num_heads": 3}),
        (lambda d_model, num_heads, resid_pdrop=0.1: 0, {"d_model": 12, "num_heads": 3, "resid_pdrop": 0.0}),
    ],
)  # fmt: skip
def test_constructor_arguments(function: object, expected: dict[str, object]) -> None:
    matched = discovery.constructor(function, "m:f")  # type: ignore[arg-type]
    assert matched.arguments(ARGUMENTS) == ([], expected)


def test_what_is_so_by_default_is_left_out() -> None:
    matched = discovery.constructor(lambda d_model, num_heads, bias=True, dropout=0.0: 0, "m:f")
    assert matched.arguments(discovery.constructor_values(Build(4, 2))) == (
        [],
        {"d_model": 4, "num_heads": 2},
    )


def test_positional_only_parameters() -> None:
    def make(num_heads: int, d_model: int, /) -> None: ...

    assert discovery.constructor(make, "m:make").arguments(ARGUMENTS) == ([3, 12], {})


def test_arguments_that_a_class_passes_on() -> None:
    class Base:
        def __init__(self, embed_dim: int, n_heads: int, dropout: float = 0.0) -> None: ...

    class Derived(Base):
        def __init__(self, *args: object, bias: bool = True, **kwargs: object) -> None: ...

    matched = discovery.constructor(Derived, "m:Derived")
    assert {role: matched.names[role] for role in ("d_model", "num_heads", "bias", "dropout")} == {
        "d_model": ("embed_dim",),
        "num_heads": ("n_heads",),
        "bias": ("bias",),
        "dropout": ("dropout",),
    }


class Attention:
    def forward(self, Q: object, K: object, V: object, mask: object = None) -> object: ...


class PassesAll(Attention):
    def forward(self, *a: object, **k: object) -> object: ...


class PassesOthers(Attention):
    def forward(self, Q: object, *args: object, **kwargs: object) -> object: ...


class PassesOptions(Attention):
    def forward(self, x: object, **kwargs: object) -> object: ...


class Calls(Attention):
    def __call__(self, *a: object, **k: object) -> object: ...


@pytest.mark.parametrize(
    ("subclass", "named"),
    [
        (PassesAll, {"query": ("Q",), "key": ("K",), "value": ("V",), "mask": ("mask",)}),
        (PassesOthers, {"query": ("Q",), "key": ("K",), "value": ("V",), "mask": ("mask",)}),
        (PassesOptions, {"query": ("x",), "mask": ("mask",)}),
    ],
)
def test_arguments_that_a_method_passes_to_the_one_it_overrides(
    subclass: type[Attention], named: dict[str, tuple[str, ...]]
) -> None:
    matched = discovery.forward(subclass.forward, "m:f", subclass)
    assert dict(matched.names) == named
    assert matched.required == {name for names in named.values() for name in names} - {"mask"}


def test_the_method_that_attends_is_that_of_the_nearest_class() -> None:
    kinds = (Attention, PassesAll, Calls, int)
    assert [discovery.attending(kind) for kind in kinds] == ["forward", "forward", "__call__", ""]


def test_a_configuration_answers_by_any_name_and_says_what_it_was_asked() -> None:
    config = ARGUMENTS["config"]
    assert (config.n_embd, config.hidden_size, config.num_attention_heads) == (12, 12, 3)
    assert getattr(config, "window", "none") == "none"
    assert {"d_model", "num_heads"} <= configurations.asked(config)
    assert eval(configurations.source(config), {"SimpleNamespace": dict})["n_embd"] == 12


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda a, b: 0, ["a, b unknown", "d_model, embed_dim", "num_heads, n_heads"]),
        (lambda d_model: 0, ["one for num_heads"]),
        (lambda d_model, num_heads, strange: 0, ["strange unknown", "(d_model, num_heads, strange)"]),
    ],
)
def test_unknown_constructor_arguments_are_named(function: object, words: list[str]) -> None:
    with pytest.raises(SubjectError) as caught:
        discovery.constructor(function, "my.py:Mine")  # type: ignore[arg-type]
    message = str(caught.value)
    assert all(word in message for word in [*words, "my.py:Mine", "headcheck adapter new my.py:Mine"])
    assert message.count("\n") == 1


def test_forward_roles() -> None:
    def forward(self: object, values: object, keys: object, query: object, mask: object) -> None: ...

    matched = discovery.forward(forward, "m:f")
    given = {"query": 1, "key": 2, "value": 3}
    assert matched.arguments(given) == ([], {"values": 3, "keys": 2, "query": 1, "mask": None})


def test_what_is_left_alone_is_reported() -> None:
    matched = discovery.forward(lambda q, k, v, mask=None, cache=None: 0, "m:f")
    assert matched.found("forward")["forward left alone"] == "cache"


def test_the_second_key_is_for_the_dropout() -> None:
    def forward(
        query: object, key_: object, value: object, mask: object = None, *, key: object = None
    ) -> None: ...

    matched = discovery.forward(forward, "m:f")
    assert (matched.names["key"], matched.names["dropout key"]) == (("key_",), ("key",))


def test_self_attention_has_no_key() -> None:
    matched = discovery.forward(lambda x, mask=None: 0, "m:f")
    assert matched.names["query"] == ("x",)
    assert "key" not in matched


@pytest.mark.parametrize(
    "function", [lambda a, b, c: 0, lambda: 0, lambda q, k: 0, lambda q, k, v, strange: 0]
)
def test_unknown_forward_arguments_are_named(function: object) -> None:
    with pytest.raises(SubjectError, match="query, key, value"):
        discovery.forward(function, "m:f")  # type: ignore[arg-type]


def test_projections_missing_and_doubled() -> None:
    with pytest.raises(SubjectError, match=r"no attribute for W_k, W_o among: W_q, W_v, gamma"):
        discovery.projections(["W_q", "W_v", "gamma"], "m:f")
    with pytest.raises(SubjectError, match="holds no arrays after construction"):
        discovery.projections([], "Lazy")
    with pytest.raises(SubjectError, match=r"both 'W_q' and 'query' could be W_q"):
        discovery.projections(["W_q", "query"], "m:f")


def test_stages() -> None:
    class Attention:
        def split_heads(self) -> None: ...

        def merge_heads(self) -> None: ...

        def attention(self) -> None: ...

    assert discovery.stages(Attention) == {
        "split": "split_heads",
        "combined": "merge_heads",
        "context": "attention",
    }
