from math import comb

import numpy as np
import pytest
from headcheck.families import dropout

from .verdicts import verdict_on

torch = pytest.importorskip("torch")
MultiHeadAttention = pytest.importorskip("headcheck.reference.on_torch").MultiHeadAttention
REQUIREMENTS = ["DROPOUT-EVAL", "DROPOUT-UNBIASED", "DROPOUT-INDEPENDENT", "DROPOUT-RATE", "DROPOUT-ONE"]


class Dropping(MultiHeadAttention):
    """Drops in its own way: override `dropped`."""

    def __init__(self, d_model, num_heads, *, bias=True, dropout=0.0):
        super().__init__(d_model, num_heads, bias=bias)
        self.p = dropout

    def softmax(self, scores, allowed):
        weights = super().softmax(scores, allowed)
        return self.dropped(weights) if self.training and self.p else weights

    def kept(self, shape, keep):
        return torch.rand(shape) < keep

    def dropped(self, weights):
        return weights * self.kept(weights.shape, 1 - self.p) / (1 - self.p)


class NotRescaled(Dropping):
    """Drops and leaves what is kept as it is."""

    def dropped(self, weights):
        return weights * self.kept(weights.shape, 1 - self.p)


class RateIsKept(Dropping):
    """Takes the rate for the share that is kept; unbiased all the same."""

    def dropped(self, weights):
        return weights * self.kept(weights.shape, self.p) / self.p


class RateSquared(Dropping):
    """Rescales by the rate, and drops at its square."""

    def dropped(self, weights):
        return weights * self.kept(weights.shape, 1 - self.p**2) / (1 - self.p)


class RateFixed(Dropping):
    """Drops a tenth, whatever was asked for; unbiased all the same."""

    def dropped(self, weights):
        return weights * self.kept(weights.shape, 0.9) / 0.9


class NeverDropped(Dropping):
    """Takes a rate and never drops."""

    def dropped(self, weights):
        return weights


class OneDrawForEver(Dropping):
    """Drops the same places in every call."""

    def dropped(self, weights):
        kept = torch.rand(weights.shape, generator=torch.Generator().manual_seed(5)) >= self.p
        return weights * kept / (1 - self.p)


class FirstKeyKept(Dropping):
    """Never drops the first key, and the others more often, so that the share is right."""

    def dropped(self, weights):
        keep = torch.full(weights.shape[-1:], 1 - 4 * self.p / 3)
        keep[0] = 1.0
        return weights * (torch.rand(weights.shape) < keep) / (1 - self.p)


class OneDrawForHeads(Dropping):
    """Drops the same places in every head."""

    def kept(self, shape, keep):
        return torch.rand(shape[0], 1, *shape[2:]) < keep


class OneDrawForExamples(Dropping):
    """Drops the same places in every example."""

    def kept(self, shape, keep):
        return torch.rand(1, *shape[1:]) < keep


class StuckInTraining(Dropping):
    """Drops for good once it has been called in training."""

    def softmax(self, scores, allowed):
        self.dropping = getattr(self, "dropping", False) or self.training
        weights = MultiHeadAttention.softmax(self, scores, allowed)
        return self.dropped(weights) if self.dropping and self.p else weights


class AlwaysDropping(Dropping):
    """Does not look at the mode."""

    def softmax(self, scores, allowed):
        return self.dropped(MultiHeadAttention.softmax(self, scores, allowed))


class OnWholeRows(Dropping):
    """Drops all keys of a query together: unusual, and unbiased."""

    def kept(self, shape, keep):
        return torch.rand(*shape[:-1], 1) < keep


class OnOutputToo(MultiHeadAttention):
    """Drops weights, and parts of the output again: right in the mean."""

    def project_output(self, combined):
        return self.dropout(super().project_output(combined))


@pytest.mark.parametrize("requirement", REQUIREMENTS)
@pytest.mark.parametrize("right", [MultiHeadAttention, OnOutputToo])
def test_a_right_one_passes(right, requirement):
    verdict = verdict_on(right, requirement)
    assert verdict.status == "pass", verdict.message


@pytest.mark.parametrize("requirement", REQUIREMENTS[:2])
def test_unusual_and_right_passes(requirement):
    assert verdict_on(OnWholeRows, requirement).status == "pass"


@pytest.mark.parametrize("right", [MultiHeadAttention, OneDrawForHeads, OnWholeRows])
@pytest.mark.parametrize("seed", range(5))
def test_chance_accuses_nobody(right, seed):
    assert verdict_on(right, "DROPOUT-UNBIASED", seed=seed).status == "pass"


@pytest.mark.parametrize(
    ("wrong", "requirement", "message"),
    [
        (AlwaysDropping, "DROPOUT-EVAL", "a dropout of 0.5 changes the output in eval"),
        (StuckInTraining, "DROPOUT-EVAL", "in eval, once it was called in training"),
        (NotRescaled, "DROPOUT-UNBIASED", "kept are multiplied by 1; expected 1/(1 - p) = 1.333"),
        (RateIsKept, "DROPOUT-UNBIASED", "kept are multiplied by 4; expected"),
        (RateSquared, "DROPOUT-UNBIASED", "of the weights are dropped; expected 25.0%"),
        (RateFixed, "DROPOUT-UNBIASED", "kept are multiplied by 1.111; expected"),
        (NeverDropped, "DROPOUT-UNBIASED", "nothing is dropped"),
        (OneDrawForEver, "DROPOUT-UNBIASED", "of the draws; expected 25.0%"),
        (FirstKeyKept, "DROPOUT-UNBIASED", "key 0 is dropped in 0.0% of the draws; expected 25.0%"),
    ],
)
def test_a_wrong_one_is_caught(wrong, requirement, message):
    verdict = verdict_on(wrong, requirement)
    assert verdict.status == "fail", verdict.message
    assert message in verdict.message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (OneDrawForHeads, "heads 0 and 1"),
        (OneDrawForExamples, "examples 0 and 1"),
        (OnWholeRows, "keys 0 and 1"),
    ],
)
def test_one_draw_for_several_deviates(wrong, message):
    verdict = verdict_on(wrong, "DROPOUT-INDEPENDENT")
    assert verdict.status == "deviates"
    assert f"{message} share the same draw" in verdict.message


@pytest.mark.parametrize("accepted", [-0.1, 1.5, float("nan")])
def test_a_rate_that_is_accepted_is_named(accepted):
    class Accepting(MultiHeadAttention):
        """Takes one wrong rate for zero."""

        def __init__(self, d_model, num_heads, *, bias=True, dropout=0.0):
            same = repr(dropout) == repr(accepted)
            super().__init__(d_model, num_heads, bias=bias, dropout=0.0 if same else dropout)

    verdict = verdict_on(Accepting, "DROPOUT-RATE")
    assert verdict.status == "fail"
    assert f"dropout={accepted} was accepted" in verdict.message


class Unchecked(MultiHeadAttention):
    """Leaves the rate to torch.nn.Dropout, which takes 1 and refuses NaN only when it is called."""

    def __init__(self, d_model, num_heads, *, bias=True, dropout=0.0):
        super().__init__(d_model, num_heads, bias=bias)
        self.dropout = torch.nn.Dropout(dropout)


def test_what_torch_refuses_when_it_is_called_is_refused():
    assert verdict_on(Unchecked, "DROPOUT-RATE").status == "pass"


def test_a_rate_of_one_taken_on_purpose_is_no_must():
    verdict = verdict_on(Unchecked, "DROPOUT-ONE")
    assert verdict.status == "deviates"
    assert verdict.message == "dropout=1.0 was accepted; expected an argument error"


def test_a_rate_of_one_that_gives_nan_is():
    class DividedByZero(Dropping):
        """Takes every rate from zero to one."""

        def __init__(self, d_model, num_heads, *, bias=True, dropout=0.0):
            if not 0 <= dropout <= 1:
                raise ValueError(f"dropout={dropout}")
            super().__init__(d_model, num_heads, bias=bias, dropout=dropout)

        def dropped(self, weights):
            return weights * self.kept(weights.shape, 1 - self.p) / torch.tensor(1 - self.p)

    assert verdict_on(DividedByZero, "DROPOUT-RATE").message.startswith("dropout=1.0 gave NaN")


@pytest.mark.parametrize("q", [0.25, 0.5, 0.75])
def test_the_bound_on_chance_holds_against_the_exact_binomial(q):
    n, threshold = 40, 5.0
    chances = [comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)]
    beyond = [k for k in range(n + 1) if dropout.improbability(k / n, q, n) >= threshold]
    for side in (lambda k: k > n * q, lambda k: k < n * q):
        assert sum(chances[k] for k in beyond if side(k)) <= np.exp(-threshold)
