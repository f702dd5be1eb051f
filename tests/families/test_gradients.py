import re

import numpy as np
import pytest
from headcheck.adapters.subjects import adapt
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.families import gradients
from headcheck.session import InProcess

from .verdicts import verdict_on

torch = pytest.importorskip("torch")
MultiHeadAttention = pytest.importorskip("headcheck.reference.on_torch").MultiHeadAttention
REQUIREMENTS = ["GRAD-ORACLE", "GRAD-BLOCKED", "GRAD-FINITE"]


def differentiated_as(surrogate, value):
    """Return a value whose gradient is the surrogate's."""
    return surrogate + (value - surrogate).detach()


class ValueDetached(MultiHeadAttention):
    """Lets no gradient reach the value."""

    def attend(self, weights, V):
        return super().attend(weights, V.detach())


class ScoresDoubled(MultiHeadAttention):
    """Gives the scores twice their gradient."""

    def scores(self, Q, K):
        scores = super().scores(Q, K)
        return differentiated_as(2.0 * scores, scores)


class RowSumForgotten(MultiHeadAttention):
    """Differentiates the softmax as A dA."""

    def softmax(self, scores, allowed):
        weights = super().softmax(scores, allowed)
        return differentiated_as(weights.detach() * scores, weights)


class QueryBiasDetached(MultiHeadAttention):
    """Never trains b_q."""

    def project(self, Q, K, V):
        q, k, v = super().project(Q, K, V)
        bias = self.W_q.bias
        return (q if bias is None else q - bias + bias.detach()), k, v


class CausalBackwardsFromBottomRight(MultiHeadAttention):
    """Aligns the causal mask top-left forwards and bottom-right backwards: wrong for n_q != n_k alone."""

    def softmax(self, scores, allowed):
        weights = super().softmax(scores, allowed)
        n_q, n_k = scores.shape[-2:]
        if allowed is None or n_q == n_k or not torch.equal(allowed.expand(n_q, n_k), self.causal(n_q, n_k)):
            return weights
        other = torch.ones(n_q, n_k, dtype=torch.bool).tril(n_k - n_q)
        return differentiated_as(super().softmax(scores, other), weights)


class MaskForgottenBackwards(MultiHeadAttention):
    """Differentiates the softmax as if nothing were blocked."""

    def softmax(self, scores, allowed):
        weights = super().softmax(scores, allowed)
        return differentiated_as(super().softmax(scores, None), weights)


class EmptyRowReplacedTooLate(MultiHeadAttention):
    """Adds minus infinity to what is blocked, and puts zeros over the NaN of a row without a key."""

    def softmax(self, scores, allowed):
        if allowed is None:
            return super().softmax(scores, None)
        weights = torch.softmax(scores + torch.zeros(()).where(allowed, -torch.inf).to(scores.dtype), dim=-1)
        return weights.masked_fill(~allowed, 0.0)


class ExponentialOverflowsBackwards(MultiHeadAttention):
    """Right forwards; backwards it takes exp without the maximum."""

    def softmax(self, scores, allowed):
        weights = super().softmax(scores, allowed)
        steep = torch.exp(8.0 * scores.float())
        return differentiated_as(weights * (steep / steep).to(weights.dtype), weights)


@pytest.mark.parametrize("requirement", REQUIREMENTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_reference_passes(requirement, seed):
    verdict = verdict_on(MultiHeadAttention, requirement, profile="standard", seed=seed)
    assert verdict.status == "pass", verdict.message


@pytest.mark.parametrize(
    ("wrong", "requirement", "message"),
    [
        (ValueDetached, "GRAD-ORACLE", "the gradient of value is not the oracle's: it is zero"),
        (ScoresDoubled, "GRAD-ORACLE", "the gradient of query is not the oracle's: it is 2 times that"),
        (RowSumForgotten, "GRAD-ORACLE", "the gradient of query is not the oracle's"),
        (QueryBiasDetached, "GRAD-ORACLE", "the gradient of b_q is not the oracle's: it is zero"),
        (CausalBackwardsFromBottomRight, "GRAD-ORACLE", r"the gradient of .* \(causal\)"),
        (MaskForgottenBackwards, "GRAD-BLOCKED", "a key that no query with a gradient may see has the"),
        (EmptyRowReplacedTooLate, "GRAD-FINITE", "sees no key.* the gradient of .* NaN"),
        (ExponentialOverflowsBackwards, "GRAD-FINITE", "with .* holds NaN or infinity"),
    ],
)
def test_a_wrong_one_is_caught(wrong, requirement, message):
    verdict = verdict_on(wrong, requirement)
    assert verdict.status == "fail", verdict.message
    assert re.search(message, verdict.message)


@pytest.mark.parametrize("wrong", [ValueDetached, RowSumForgotten])
def test_a_wrong_gradient_that_is_finite_is_not_called_infinite(wrong):
    assert verdict_on(wrong, "GRAD-FINITE").status == "pass"


def worst_on_many_keys(implementation, dtype):
    adapter = adapt(implementation)
    declaration = adapter.declare()
    attend = Attend(InProcess(adapter), declaration, declaration.conventions)
    call = Case(2, 2, 4097, 2, 2, mask="keys", dtype=dtype).call
    return max(gradient.distance() for gradient in gradients.with_loss(attend, call).gradients)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("style", ["SoftmaxByHand", "OnlineSoftmaxInGraph", "JoinedTiles"])
def test_gradients_that_pass_a_maximum_stay_within_the_bound(style, dtype):
    from headcheck.reference.styles import on_torch

    assert worst_on_many_keys(getattr(on_torch, style), dtype) < 0.7


@pytest.mark.parametrize("wrong", [ValueDetached, ScoresDoubled, RowSumForgotten, QueryBiasDetached])
def test_a_wrong_gradient_of_many_keys_lies_outside(wrong):
    assert worst_on_many_keys(wrong, "float32") > 1.0


def test_an_empty_row_that_leaks_into_other_rows_gradients_is_caught():
    class Leaking(MultiHeadAttention):
        """Gives a row without a key the gradient of the rows beside it."""

        def attend(self, weights, V):
            context = super().attend(weights, V)
            empty = (weights.sum(-1, keepdim=True) < 0.5).any(2, keepdim=True)
            return differentiated_as(torch.where(empty, 2.0 * context, context), context)

    verdict = verdict_on(Leaking, "GRAD-FINITE")
    assert verdict.status == "fail"
    assert "left out of the loss, changes the gradient of" in verdict.message


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_autograd_stays_within_the_bound(dtype):
    adapter = adapt(MultiHeadAttention)
    attend = Attend(InProcess(adapter), adapter.declare(), adapter.declare().conventions)
    ratios = []
    for seed in range(20):
        seen = gradients.with_loss(attend, Case(dtype=dtype, mask="pairs", seed=seed).call)
        ratios += [gradient.distance() for gradient in seen.gradients] if seen else []
    assert len(ratios) >= 100
    assert 0.01 < max(ratios) < 0.6
    assert np.median(ratios) > 0.01


def test_one_array_in_three_roles_is_judged_by_its_sum():
    adapter = adapt(MultiHeadAttention)
    attend = Attend(InProcess(adapter), adapter.declare(), adapter.declare().conventions)
    [same] = [variant.name for variant in adapter.declare().variants if variant.self_attention]
    call = gradients.differentiated(Case(n_q=4, n_k=4, itself=True, dtype="float64").call)
    [seen] = attend(gradients.replace(call, variant=same))
    [whole, *_] = seen.gradients
    assert whole.quantity == "gradient of the one array"
    assert whole.distance() < 1
