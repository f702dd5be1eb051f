"""Classes that take x and a context: one array is key and value, and may differ from the queries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from headcheck.adapters.protocol import Declaration
from headcheck.adapters.subjects import adapt
from headcheck.engine import Judgement, Subject
from headcheck.pool import PROFILES
from headcheck.session import InProcess
from headcheck.specification import named, specification
from headcheck.verdicts import BROKEN, Status, Verdict

FRAMEWORKS = ("numpy", "torch", "jax")
DIFFERENTIABLE = ("torch", "jax")


def written(framework: str, **members: Any) -> Any:
    """Return the reference as a class that takes x and a context, with these members."""
    if framework != "numpy":
        pytest.importorskip(framework)
    right = import_module(f"headcheck.reference.on_{framework}").MultiHeadAttention

    def forward(self, x, context=None, mask=None):  # type: ignore[no-untyped-def]
        keys = x if context is None else self.keys(x, context)
        return right.forward(self, x, keys, keys, mask)

    members = {"forward": forward, "keys": lambda self, x, context: context, "right": right} | members
    return type("TwoSequences", (right,), {**members, "__module__": __name__})


def judged(implementation: Any, *requirements: str) -> dict[str, Verdict]:
    judgement = Judgement(Subject("two", InProcess(adapt(implementation))), PROFILES["smoke"])
    assert not judgement.prepare().error
    asked = [named(one) for one in requirements] or [one for one in specification() if not one.deep]
    return {one.id: judgement.judge(one) for one in asked}


def declared(implementation: Any) -> Declaration:
    return adapt(implementation).declare()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_right_one_is_judged_on_both_and_left_in_peace(framework: str) -> None:
    declaration = declared(written(framework))
    assert "memory" in declaration.capabilities
    assert "cross" not in declaration.capabilities
    assert declaration.notes == ()
    verdicts = judged(written(framework))
    wrong = {id: one.message for id, one in verdicts.items() if one.status in BROKEN | {Status.INCONCLUSIVE}}
    assert not wrong
    for one in ("SHAPE-CROSS", "ORDER-QUERY", "ORDER-KEY", "MASK-REMOVAL", "MASK-NONINTERFERENCE"):
        assert verdicts[one].status is Status.PASS
        assert not verdicts[one].situations or "key = value" in verdicts[one].situations
    assert verdicts["PROJ-LINEAR-V"].status is Status.NOT_APPLICABLE
    assert verdicts["PATH-AGREE"].situations["query = key = value"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("keys", "meant"),
    [
        (lambda self, x, context: context[:, : max(context.shape[1] - 1, 1)], "SHAPE-WEIGHTS"),
        (lambda self, x, context: x if x.shape == context.shape else context, "PROJ-ORACLE"),
        (lambda self, x, context: context[:1] + 0 * context, "BATCH-INDEPENDENT"),
    ],
)
def test_a_wrong_one_is_caught(framework: str, keys: Any, meant: str) -> None:
    assert judged(written(framework, keys=keys), meant)[meant].status is Status.FAIL


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_keys_that_are_kept_from_another_call_are_found(framework: str) -> None:
    def keys(self, x, context):  # type: ignore[no-untyped-def]
        if getattr(self, "_kept", None) is None or self._kept.shape != context.shape:
            self._kept = context
        return self._kept

    assert judged(written(framework, keys=keys), "PURE-STATE")["PURE-STATE"].status is Status.FAIL


@pytest.mark.parametrize("framework", DIFFERENTIABLE)
def test_a_detached_context_has_no_gradient(framework: str) -> None:
    def keys(self, x, context):  # type: ignore[no-untyped-def]
        return context.detach() if framework == "torch" else import_module("jax").lax.stop_gradient(context)

    verdict = judged(written(framework, keys=keys), "GRAD-ORACLE")["GRAD-ORACLE"]
    assert verdict.status is Status.FAIL
    assert verdict.message == "the gradient of key is not the oracle's: it is zero, as if it were detached"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_mask_that_a_context_makes_ineffective_is_found(framework: str) -> None:
    def forward(self, x, context=None, mask=None):  # type: ignore[no-untyped-def]
        keys = x if context is None else context
        return self.right.forward(self, x, keys, keys, mask if context is None else None)

    assert judged(written(framework, forward=forward), "MASK-EFFECT")["MASK-EFFECT"].status is Status.FAIL


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_context_that_is_joined_to_x_is_no_memory(framework: str) -> None:
    def keys(self, x, context):  # type: ignore[no-untyped-def]
        joined = {"numpy": "concatenate", "torch": "cat", "jax": "concatenate"}[framework]
        home = import_module("jax.numpy" if framework == "jax" else framework)
        return getattr(home, joined)([x, context], 1)

    assert not {"memory", "cross"} & declared(written(framework, keys=keys)).capabilities


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_mask_of_x_alone_leaves_the_context_out(framework: str) -> None:
    def forward(self, x, context=None, mask=None):  # type: ignore[no-untyped-def]
        keys = x if context is None else context
        if mask is not None and mask.shape != (len(x), x.shape[1]):
            raise ValueError("expected a mask (B, n)")
        seen = None if mask is None or context is not None else mask[:, None, None, :]
        return self.right.forward(self, x, keys, keys, seen)

    assert not {"memory", "cross"} & declared(written(framework, forward=forward)).capabilities


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_context_with_a_mask_of_its_own_is_left_out(framework: str) -> None:
    def forward(self, x, context=None, mask=None, context_mask=None):  # type: ignore[no-untyped-def]
        keys = x if context is None else context
        return self.right.forward(self, x, keys, keys, mask if context is None else context_mask)

    assert not {"memory", "cross"} & declared(written(framework, forward=forward)).capabilities


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_context_that_changes_nothing_is_said_to_and_judged_unless_declared(framework: str) -> None:
    def ignored(self, x, context):  # type: ignore[no-untyped-def]
        return x

    implementation = written(framework, keys=ignored)
    assert 'if that is meant, declare it in the class: headcheck = {"memory": False}' in str(
        declared(implementation).notes
    )
    assert judged(implementation, "PROJ-ORACLE")["PROJ-ORACLE"].status is Status.FAIL
    meant = written(framework, keys=ignored, headcheck={"memory": False})
    assert "memory" not in declared(meant).capabilities
    assert judged(meant, "PROJ-ORACLE")["PROJ-ORACLE"].status is Status.PASS


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_that_must_be_given_is_given(framework: str) -> None:
    def forward(self, x, context, mask=None):  # type: ignore[no-untyped-def]
        return self.right.forward(self, x, context, context, mask)

    verdicts = judged(written(framework, forward=forward), "PROJ-ORACLE", "PATH-AGREE", "SHAPE-CROSS")
    assert {one.status for one in verdicts.values()} == {Status.PASS}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_output_that_starts_at_zero_does_not_hide_the_context(framework: str) -> None:
    right = import_module(f"headcheck.reference.on_{framework}").MultiHeadAttention

    def __init__(self, d_model, num_heads):  # type: ignore[no-untyped-def]  # noqa: N807
        right.__init__(self, d_model, num_heads)
        if framework == "torch":
            import_module("torch").nn.init.zeros_(self.W_o.weight)
        else:
            self.W_o = 0.0 * self.W_o

    declaration = declared(written(framework, __init__=__init__))
    assert "memory" in declaration.capabilities
    assert declaration.notes == ()
