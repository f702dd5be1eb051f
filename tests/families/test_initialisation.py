from math import exp, sqrt

import numpy as np
import pytest
from headcheck.families import initialisation
from headcheck.reference.on_numpy import MultiHeadAttention

from .verdicts import verdict_on

REQUIREMENTS = ["INIT-XAVIER", "INIT-DISTINCT", "INIT-BIAS"]


class Drawn(MultiHeadAttention):
    """Draws its weights in its own way: override `drawn`."""

    def initial_weights(self, random):
        a = sqrt(3.0 / self.d_model)
        return self.drawn(random, a, (self.d_model, self.d_model))


class ByFrameworkDefault(Drawn):
    """Starts as torch.nn.Linear does, sqrt(3) too small."""

    def drawn(self, random, a, shape):
        return random.uniform(-a, a, shape) / sqrt(3.0)


class Packed(Drawn):
    """Takes the fan of a packed 3d x d matrix."""

    def drawn(self, random, a, shape):
        return random.uniform(-a, a, shape) / sqrt(2.0)


class Normal(Drawn):
    """Has Xavier's variance and a normal distribution."""

    def drawn(self, random, a, shape):
        return random.normal(0.0, a / sqrt(3.0), shape)


class Lopsided(Drawn):
    """Has no negative weight."""

    def drawn(self, random, a, shape):
        return random.uniform(0.0, a, shape)


class OneHeadForAll(Drawn):
    """Starts every head with the same weights."""

    def drawn(self, random, a, shape):
        heads = self.num_heads
        return np.tile(random.uniform(-a, a, (shape[0], shape[1] // heads)), heads)


class KeyAsQuery(MultiHeadAttention):
    """Draws the key's projection from the seed of the query's."""

    def __init__(self, d_model, num_heads, *, bias=True, seed=0):
        super().__init__(d_model, num_heads, bias=bias, seed=seed)
        self.W_k = self.W_q.copy()


class KeyMadeOfQuery(MultiHeadAttention):
    """Starts the key's projection as the query's, with every sign turned."""

    def __init__(self, d_model, num_heads, *, bias=True, seed=0):
        super().__init__(d_model, num_heads, bias=bias, seed=seed)
        self.W_k = -self.W_q


class Biased(MultiHeadAttention):
    """Starts the value's bias at a tenth."""

    def __init__(self, d_model, num_heads, *, bias=True, seed=0):
        super().__init__(d_model, num_heads, bias=bias, seed=seed)
        if bias:
            self.b_v = self.b_v + 0.1


@pytest.mark.parametrize("requirement", REQUIREMENTS)
@pytest.mark.parametrize("seed", range(5))
def test_the_reference_passes(requirement, seed):
    verdict = verdict_on(MultiHeadAttention, requirement, seed=seed)
    assert verdict.status == "pass", verdict.message


@pytest.mark.parametrize(
    ("wrong", "requirement", "status", "message"),
    [
        (ByFrameworkDefault, "INIT-XAVIER", "deviates", "W_q is 1/sqrt(3) of it, torch.nn.Linear's default"),
        (Packed, "INIT-XAVIER", "deviates", "W_q is 1/sqrt(2) of it, the fan of a packed 3d x d matrix"),
        (Normal, "INIT-XAVIER", "deviates", "W_q has Xavier's variance and another distribution"),
        (Lopsided, "INIT-XAVIER", "deviates", "W_q has Xavier's variance and another distribution"),
        (
            OneHeadForAll,
            "INIT-DISTINCT",
            "fail",
            "head 0 of W_q and head 1 of W_q start",
        ),
        (KeyAsQuery, "INIT-DISTINCT", "fail", "W_q and W_k start with the same numbers"),
        (KeyMadeOfQuery, "INIT-DISTINCT", "fail", "W_q and W_k start with a correlation of -1"),
        (Biased, "INIT-BIAS", "deviates", "biases that do not start at zero: b_v (up to 0.1)"),
    ],
)
def test_a_wrong_one_is_caught(wrong, requirement, status, message):
    verdict = verdict_on(wrong, requirement)
    assert verdict.status == status, verdict.message
    assert message in verdict.message


def test_what_was_measured_is_recorded():
    measured = verdict_on(ByFrameworkDefault, "INIT-XAVIER").measured
    assert measured["W_o, size over Xavier's"] == pytest.approx(1 / sqrt(3.0), rel=0.04)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("tied", "message"),
    [
        ("weight", "W_k and W_v start with the same numbers"),
        ("bias", "b_k and b_v share their storage: what is put into one is read from both"),
    ],
)
def test_shared_storage_is_the_implementations_fault_and_not_the_adapters(tied, message):
    pytest.importorskip("torch")
    reference = pytest.importorskip("headcheck.reference.on_torch").MultiHeadAttention

    class Tied(reference):
        """Keeps one array for keys and values."""

        def __init__(self, d_model, num_heads, *, bias=True, dropout=0.0):
            super().__init__(d_model, num_heads, bias=bias, dropout=dropout)
            setattr(self.W_v, tied, getattr(self.W_k, tied))

    verdict = verdict_on(Tied, "INIT-DISTINCT")
    assert verdict.status == "fail", verdict.message
    assert verdict.message == message


def test_the_lawful_distance_from_uniform_is_kept_by_chance():
    n, e = 400, 0.08  # P(distance > e) <= 2 exp(-2 n e^2) = 0.012
    random = np.random.default_rng(0)
    distances = [initialisation.from_uniform(random.uniform(-1, 1, n)) for _ in range(2000)]
    assert np.mean(np.array(distances) > e) <= 1.5 * 2 * exp(-2 * n * e**2)
    assert initialisation.from_uniform(np.array([-1.0, 1.0])) == 0.5
