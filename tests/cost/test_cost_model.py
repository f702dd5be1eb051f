import pytest
from headcheck.reference.cost_model import CROSS_ATTENTION, SELF_ATTENTION, compare, cost, operations
from headcheck.reference.cost_terms import terms
from headcheck.reference.polynomial import Axis, grid, interpolate

AXES = (Axis("n", (2, 3, 5, 7)), Axis("d", (12, 24, 36, 48)), Axis("h", (2, 4, 6), lowest=-1))


def by_hand(n_q, n_k, d, h):
    """Multiplications and additions of the definition, one product of matrices after the other."""
    d_k = d // h
    project = 2 * n_q * d * d + 2 * n_k * d * d + 2 * n_k * d * d
    scores = h * 2 * n_q * n_k * d_k
    context = h * 2 * n_q * n_k * d_k
    return project + scores + context + 2 * n_q * d * d


@pytest.mark.parametrize(("n_q", "n_k", "d", "h"), [(10, 10, 512, 8), (3, 7, 12, 4), (1, 1, 1, 1)])
def test_the_model_counts_what_a_hand_counts(n_q, n_k, d, h):
    assert operations(n_q, n_k, d) == by_hand(n_q, n_k, d, h) == CROSS_ATTENTION(n_q, n_k, d)
    if n_q == n_k:
        assert SELF_ATTENTION(n_q, d, h) == by_hand(n_q, n_k, d, h)


def test_heads_of_d_over_h_cost_what_one_head_costs_and_full_width_heads_h_times_as_much():
    one, several, full = compare(512, 8, 10)
    assert (one.operations, one.weights) == (several.operations, several.weights) == (21_176_320, 4 * 512**2)
    assert full.operations == 8 * one.operations
    assert full.weights == 8 * one.weights
    assert [c.title for c in (one, several, full)] == ["one head of 512", "8 heads of 64", "8 heads of 512"]


def test_shared_keys_and_values_save_projections_but_no_attention():
    plain = cost("", 8, 64, 512, 10, 10)
    shared = cost("", 8, 64, 512, 10, 10, kv_heads=2)
    assert shared.attention == plain.attention
    assert plain.weights - shared.weights == 2 * 512 * (512 - 128)
    assert shared.title == "8 heads of 64, 2 for keys and values"


def read(law):
    polynomial = interpolate(AXES, {point: law(*point) for point in grid(AXES)})
    return [str(term) for term in terms(polynomial) if term.wrong]


def test_the_law_and_what_grows_more_slowly_is_lawful():
    assert read(lambda n, d, h: 4 * n * n * d + 8 * n * d * d) == []
    assert read(lambda n, d, h: 4 * n * n * d + 8 * n * d * d + 5 * n * n * h + 4 * n * d + d * d + 7) == []
    assert read(lambda n, d, h: 4 * n * n * d + 8 * n * d * d - n * n * h + n * d * h) == []


@pytest.mark.parametrize(
    ("law", "monomial", "words"),
    [
        (lambda n, d, h: 4 * n * n * d * h + 8 * n * d * d, "n^2 d h", "h times the attention"),
        (lambda n, d, h: 4 * n * n * d + 8 * n * d * d * h, "n d^2 h", "h times the projections"),
        (lambda n, d, h: 2 * n**3 * h + 4 * n * n * d + 8 * n * d * d, "n^3 h", "cubic"),
        (lambda n, d, h: 2 * n * n * d * d + 4 * n * n * d + 6 * n * d * d, "n^2 d^2", "every pair"),
        (lambda n, d, h: 8 * n * d * d + 4 * n * d * d // h, "n d^2 / h", "summary"),
        (lambda n, d, h: 8 * n * d * d, "n^2 d", "no query is compared with every key"),
        (lambda n, d, h: 4 * n * n * d + 10 * n * d * d, "n d^2", "5 products with a d x d matrix"),
        (lambda n, d, h: 6 * n * n * d + 8 * n * d * d, "n^2 d", "1.5 times"),
        (
            lambda n, d, h: 4 * n * n * d + 8 * n * d * d + 2 * d**3,
            "d^3",
            "weights multiplied with each other",
        ),
    ],
)
def test_a_term_that_should_not_be_there_is_named(law, monomial, words):
    found = [line for line in read(law) if line.split(" ", 1)[1].startswith(f"{monomial}:")]
    assert len(found) == 1
    assert words in found[0]
