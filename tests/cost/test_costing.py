from headcheck.adapters.counting import Count
from headcheck.costing import backward_law, judge_batch, judge_cost

MATMUL, ELEMENTWISE = "matmul", "elementwise"


def product(n_q, n_k, d):
    return 4 * n_q * n_k * d + 4 * (n_q + n_k) * d * d


def honest(n_q, n_k, d, h):
    return Count({MATMUL: product(n_q, n_k, d), ELEMENTWISE: 4 * n_q * n_k * h})


def changed(**kinds):
    return lambda *sizes: Count({kind: law(*sizes) for kind, law in kinds.items()})


def test_the_law_holds_for_self_and_cross_attention():
    finding = judge_cost(honest)
    assert (finding.verdict, str(finding.polynomial)) == ("holds", "4 n^2 d + 8 n d^2")
    assert str(finding.cross) == "4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2"
    assert str(finding.elementwise) == "4 n^2 h"


def test_what_a_subject_does_not_offer_is_not_asked_of_it():
    def only_itself(n_q, n_k, d, h):
        assert n_q == n_k
        return honest(n_q, n_k, d, h)

    assert judge_cost(only_itself, cross=False).verdict == "holds"


def test_full_width_heads_break_it_and_are_named_for_what_they_do():
    finding = judge_cost(changed(matmul=lambda n, m, d, h: 4 * n * m * d * h + 8 * n * d * d))
    assert finding.verdict == "broken"
    assert finding.message == (
        "costs 4 n^2 d h + 8 n d^2, not 4 n^2 d + 8 n d^2: "
        "4 n^2 d h: each of the h heads does full-width work: h times the attention"
    )
    assert "h times the attention" in finding.heads


def test_a_cubic_product_is_no_matter_of_heads():
    finding = judge_cost(changed(matmul=lambda n, m, d, h: product(n, m, d) + 2 * n**3 * h))
    assert (finding.verdict, finding.heads) == ("broken", "")
    assert "cubic" in finding.message


def test_work_of_every_head_with_every_other_is_named():
    finding = judge_cost(changed(matmul=lambda n, m, d, h: product(n, m, d) + 2 * n * m * h * h))
    assert finding.verdict == "broken"
    assert "2 n^2 h^2: each of the h heads meets every other" in finding.message


def test_the_third_power_is_found_beyond_the_first_grid():
    finding = judge_cost(changed(matmul=lambda n, m, d, h: product(n, m, d) + 2 * d**3 + n**3 * d))
    assert finding.message == (
        "costs n^3 d + 4 n^2 d + 8 n d^2 + 2 d^3, not 4 n^2 d + 8 n d^2: "
        "n^3 d: attention between all pairs done again for every position: cubic in the length; "
        "2 d^3: matrices of weights multiplied with each other in every call"
    )


def test_a_batch_costs_at_most_what_its_examples_cost():
    def of_two(per_pair):
        return changed(matmul=lambda n, m, d, h: 2 * product(n, m, d) + per_pair * n * m * d)

    finding = judge_cost(honest)
    assert judge_batch(of_two(0), finding, 2) is finding
    crowded = judge_batch(of_two(4), finding, 2)
    assert crowded.verdict == "broken"
    assert "examples are multiplied with each other" in crowded.message
    weights_once = judge_cost(changed(matmul=lambda n, m, d, h: product(n, m, d) + 6 * d * d))
    assert weights_once.verdict == "holds"
    assert judge_batch(of_two(0), weights_once, 2) is weights_once


def test_a_cost_that_shows_only_with_other_keys_than_queries():
    finding = judge_cost(
        changed(matmul=lambda n, m, d, h: product(n, m, d) + (4 * m * d * d if n != m else 0))
    )
    assert finding.verdict == "broken"
    assert finding.message.startswith(
        "with other keys than queries, costs 4 n_q n_k d + 4 n_q d^2 + 8 n_k d^2"
    )
    assert "8 n_k d^2: expected 4" in finding.message
    assert str(finding.polynomial) == "4 n^2 d + 8 n d^2"


def test_a_length_multiplied_with_itself_is_named():
    finding = judge_cost(
        changed(matmul=lambda n, m, d, h: product(n, m, d) + (2 * m * m * d if n != m else 0))
    )
    assert finding.verdict == "broken"
    assert "2 n_k^2 d: queries and keys are of different lengths" in finding.message


def test_what_cannot_be_counted_is_inconclusive_at_once():
    asked = []

    def count(*sizes):
        asked.append(sizes)
        return Count({MATMUL: product(*sizes[:3])}, unknown=("a while loop",))

    finding = judge_cost(count)
    assert (finding.verdict, finding.reason, len(asked)) == ("inconclusive", "uncounted", 1)
    assert "a while loop" in finding.message


def test_too_little_with_a_right_output_means_that_the_counter_is_blind():
    def half(n, m, d, h):
        return Count({MATMUL: product(n, m, d) // 2})

    assert judge_cost(half, right=lambda: True).reason == "blind"
    assert judge_cost(half, right=lambda: None).reason == "blind"
    assert judge_cost(half, right=lambda: False).verdict == "broken"


def test_linear_attention_is_named_where_its_output_is_wrong():
    finding = judge_cost(
        changed(matmul=lambda n, m, d, h: 8 * n * d * d + 4 * n * d * d // h), right=lambda: False
    )
    assert finding.verdict == "broken"
    assert "no query is compared with every key" in finding.message
    assert "running summary" in finding.message


def test_a_lawful_cost_in_tiles_is_found_at_sizes_that_fill_them():
    def padded(n, m, d, h):
        n, m = (-(-x // 64) * 64 for x in (n, m))
        return Count({MATMUL: product(n, m, d)})

    finding = judge_cost(padded, cross=False)
    assert (finding.verdict, str(finding.polynomial)) == ("holds", "4 n^2 d + 8 n d^2")


def test_a_cost_without_a_law_is_inconclusive():
    finding = judge_cost(changed(matmul=lambda n, m, d, h: product(n, m, d) + (n * m * 7919) % 101))
    assert (finding.verdict, finding.reason) == ("inconclusive", "lawless")


def test_products_done_by_hand_are_judged_with_the_rest():
    finding = judge_cost(changed(elementwise=lambda n, m, d, h: product(n, m, d) - n * m * h))
    assert (finding.verdict, str(finding.polynomial)) == ("holds", "4 n^2 d - n^2 h + 8 n d^2")
    more = judge_cost(changed(elementwise=lambda n, m, d, h: product(n, m, d) + n * m * d))
    assert (more.verdict, more.reason) == ("inconclusive", "by hand")
    full = judge_cost(changed(elementwise=lambda n, m, d, h: product(n, m, d) + 4 * n * m * d * h))
    assert full.verdict == "broken"


def test_elementwise_work_may_be_of_the_products_order_but_not_above_it():
    online = changed(matmul=lambda n, m, d, h: product(n, m, d), elementwise=lambda n, m, d, h: n * m * d)
    assert judge_cost(online).verdict == "holds"
    cubic = changed(matmul=lambda n, m, d, h: product(n, m, d), elementwise=lambda n, m, d, h: n * n * m)
    assert judge_cost(cubic).message == (
        "costs 4 n^2 d + 8 n d^2 and, element by element, n^3: "
        "n^3: a product over three positions at once: cubic in the length"
    )


def test_an_upper_bound_acquits_but_does_not_condemn():
    def bounded(law):
        return lambda n, m, d, h: Count({MATMUL: law(n, m, d)}, at_most=("a conditional",))

    assert judge_cost(bounded(product)).verdict == "holds"
    assert judge_cost(bounded(lambda n, m, d: 2 * product(n, m, d))).reason == "bounded"


def test_gradients_are_fitted_apart():
    def count(n, m, d, h):
        return Count({MATMUL: product(n, m, d)}, backward={MATMUL: 2 * product(n, m, d), ELEMENTWISE: 5})

    assert str(backward_law(count)) == "8 n^2 d + 16 n d^2"


def test_a_count_crosses_as_names_and_integers_and_comes_back():
    count = Count({MATMUL: 3}, ("a loop",), ("a conditional",), {MATMUL: 6})
    assert all(isinstance(n, int) for n in count.to_mapping().values())
    assert Count.from_mapping(count.to_mapping()) == count
