from dataclasses import replace

import pytest
from headcheck.adapters.counting import Count, Tally
from headcheck.adapters.protocol import Adapter, Declaration, Result, Variant
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.families import cost
from headcheck.observation import NotMet
from headcheck.session import InProcess


class Counted(Adapter):
    """Says what it costs; computes nothing."""

    declaration = Declaration("fake", frozenset({"cost", "cross", "parameters"}), ("float32",))

    def __init__(self, law, **changes):
        self.law = law
        self.declaration = replace(self.declaration, **changes)
        self.counted = 0

    def declare(self):
        return self.declaration

    def build(self, build):
        return build

    def write(self, module, parameters):
        return module

    def call(self, module, call):
        return Result(output=call.query)

    def count(self, module, call):
        self.counted += 1
        n_q, n_k = call.query.shape[1], call.key.shape[1]
        products = self.law(n_q, n_k, module.d_model, module.num_heads, call.variant)
        return products.to_mapping() if isinstance(products, Count) else {"matmul": products}


def lawful(n_q, n_k, d, h, path):
    return 4 * n_q * n_k * d + 4 * (n_q + n_k) * d * d


def asked(adapter):
    declaration = adapter.declare()
    attend = Attend(InProcess(adapter), declaration, declaration.conventions)
    return attend, replace(Case(), mask="none").fitted(declaration)


def test_the_law_is_found_and_recorded():
    attend, case = asked(Counted(lawful))
    assert cost.quadratic(attend, case) is None
    assert attend.measured["polynomial"] == "4 n^2 d + 8 n d^2"
    assert attend.measured["cross-attention"] == "4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2"


@pytest.mark.parametrize(
    ("weights_path", "bare_path", "fused", "lawful_after_all"),
    [(1, 0, True, True), (1, 0, False, False), (1, 1, True, False), (2, 0, True, False)],
)
def test_weights_may_be_recomputed_once_beside_a_fused_kernel(
    weights_path, bare_path, fused, lawful_after_all
):
    def law(n_q, n_k, d, h, path):
        pairs = 2 * n_q * n_k * d
        counted = Tally()
        counted.add("fused attention" if fused else "matmul", 2 * pairs)
        counted.add("matmul", 4 * (n_q + n_k) * d * d + pairs * (bare_path if path else weights_path))
        return counted.count()

    variants = (Variant("eval"), Variant("eval, no weights", weights=False))
    attend, case = asked(Counted(law, variants=variants))
    failure = cost.quadratic(attend, case)
    assert (failure is None) == lawful_after_all
    assert ("weights recomputed for show" in attend.measured) == lawful_after_all
    assert failure is None or "n^2 d" in failure.message


def test_both_requirements_share_one_count():
    adapter = Counted(lawful)
    attend, case = asked(adapter)
    cost.quadratic(attend, case)
    once = adapter.counted
    assert cost.heads(attend, case) is None
    assert adapter.counted == once


def test_the_article_s_comparison_stands_beside_what_was_counted():
    attend, case = asked(Counted(lambda n, m, d, h, path: lawful(n, m, d, h, path) * h))
    cost.heads(attend, case)
    *article, counted = attend.measured["table"]["rows"]
    assert [row[0] for row in article] == ["one head of 512", "8 heads of 64", "8 heads of 512"]
    assert article[0][1:] == article[1][1:]
    assert counted[2] == article[2][2] == 8 * article[0][2]
    assert [row[3] for row in (*article, counted)] == ["1", "1", "8", "8"]


def test_full_width_heads_fail_both_requirements():
    attend, case = asked(Counted(lambda n, m, d, h, path: lawful(n, m, d, h, path) + 4 * n * m * d * (h - 1)))
    assert "4 n^2 d h" in cost.quadratic(attend, case).message
    assert "h times the attention" in cost.heads(attend, case).message


def test_a_cubic_product_is_no_fault_of_the_heads():
    attend, case = asked(Counted(lambda n, m, d, h, path: lawful(n, m, d, h, path) + n**3))
    assert "cubic" in cost.quadratic(attend, case).message
    assert cost.heads(attend, case) is None


def test_another_path_is_held_to_the_same_law():
    def law(n, m, d, h, path):
        return lawful(n, m, d, h, path) + (n**3 if path == "slow" else 0)

    attend, case = asked(Counted(law, variants=(Variant("fast"), Variant("slow"))))
    assert "on the path 'slow'" in cost.quadratic(attend, case).message


def test_another_path_that_cannot_be_counted_is_not_passed_either():
    def law(*sizes):
        return Count({"matmul": lawful(*sizes)}, ("a kernel",) * (sizes[-1] == "fast"))

    attend, case = asked(Counted(law, variants=(Variant("plain"), Variant("fast"))))
    with pytest.raises(NotMet, match="on the path 'fast', not all can be counted: a kernel"):
        cost.quadratic(attend, case)
    assert attend.measured["polynomial"] == "4 n^2 d + 8 n d^2"


def test_what_a_transformation_of_the_caller_s_makes_of_it_is_not_its_own_cost():
    def law(n, m, d, h, path):
        return lawful(n, m, d, h, path) * (2 if path == "mapped" else 1)

    attend, case = asked(Counted(law, variants=(Variant("jit"), Variant("mapped", eager=True))))
    assert cost.quadratic(attend, case) is None


class Masked(Counted):
    """Costs n^3 more where there is a mask."""

    def count(self, module, call):
        extra = 0 if call.mask is None else call.query.shape[1] ** 3
        return {"matmul": super().count(module, call)["matmul"] + extra}


def test_a_mask_that_lets_everything_through_changes_no_cost():
    capabilities = frozenset({"cost", "cross", "mask", "parameters"})
    attend, case = asked(Masked(lawful, capabilities=capabilities))
    assert "with a mask, costs n^3 + 4 n^2 d + 8 n d^2" in cost.quadratic(attend, case).message


def test_what_cannot_be_counted_is_not_passed():
    attend, case = asked(Counted(lambda *sizes: Count({"matmul": lawful(*sizes)}, ("a while loop",))))
    for judge in (cost.quadratic, cost.heads):
        with pytest.raises(NotMet, match="a while loop"):
            judge(attend, case)


def test_too_low_a_count_is_believed_where_the_output_is_wrong():
    attend, case = asked(Counted(lambda n, m, d, h, path: 4 * (n + m) * d * d))
    assert "no query is compared with every key" in cost.quadratic(attend, case).message


def test_too_low_a_count_is_blindness_where_nothing_is_known_of_the_output():
    adapter = Counted(lambda n, m, d, h, path: 4 * (n + m) * d * d, capabilities=frozenset({"cost", "cross"}))
    attend, case = asked(adapter)
    with pytest.raises(NotMet, match="blind"):
        cost.quadratic(attend, case)


def test_an_exception_while_counting_is_said_and_does_not_condemn():
    def refuses(*sizes):
        raise RuntimeError("float32 only")

    attend, case = asked(Counted(refuses))
    with pytest.raises(NotMet, match="float32 only"):
        cost.quadratic(attend, case)


def test_head_widths_are_noted_for_the_sizes_that_are_declared():
    attend, case = asked(Counted(lawful, sizes=((512, 8), (1024, 4))))
    assert cost.head_width(attend, case) is None
    assert "within" in attend.measured["d_model=512, num_heads=8"]
    assert "8 or 16" in attend.measured["d_model=1024, num_heads=4"]


def test_time_needs_a_subject_that_another_process_can_load():
    attend, case = asked(Counted(lawful))
    with pytest.raises(NotMet, match="process of its own"):
        cost.time(attend, case)
