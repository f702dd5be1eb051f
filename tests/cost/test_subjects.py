"""The counters and the judge on real subjects: every right one acquitted, every planted fault named."""

import pytest
from headcheck.adapters.subjects import load
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.families.cost import finding
from headcheck.session import InProcess

FAULTS = {
    "ScoresOfFullWidth": ("2 n^2 d h", "h times the attention"),
    "ContextOfFullWidth": ("2 n^2 d h", "h times the attention"),
    "HeadsOfFullWidth": ("4 n^2 d h + 8 n d^2 h", "h times the attention"),
    "OutputHeadByHead": ("2 n d^2 h", "h times the projections"),
    "ProjectedHeadByHead": ("6 n d^2 h", "h times the projections"),
    "MultipliedByIdentity": ("2 n^3 h", "cubic in the length"),
    "KeysProjectedForEachQuery": ("2 n^2 d^2", "done again for every pair"),
    "ScoresTwice": ("6 n^2 d", "1.5 times the work on pairs"),
    "OutputTwice": ("10 n d^2", "5 products with a d x d matrix"),
    "ValuesCopiedForEachQuery": ("2 n^2 d^2 / h", "for every pair"),
    "MultipliedByIdentityUnderAMask": ("2 n^3 h", "with a mask, costs"),
    "ExamplesWithEachOther": ("2 examples in one call", "examples are multiplied with each other"),
}
RIGHT = {
    "torch": ["torch", "torch.nn:MultiheadAttention", "torch.nn.functional:scaled_dot_product_attention"],
    "jax": ["jax", "jax.nn:dot_product_attention"],
    "flax": ["flax.linen:MultiHeadDotProductAttention", "flax.nnx:MultiHeadAttention"],
    "numpy": ["numpy"],
}


def found(reference):
    session = InProcess(load(reference))
    declaration = session.declare()
    return finding(Attend(session, declaration, declaration.conventions), Case().fitted(declaration))


@pytest.mark.parametrize(("framework", "reference"), [(f, r) for f, names in RIGHT.items() for r in names])
def test_a_right_implementation_costs_exactly_what_the_formula_says(framework, reference):
    pytest.importorskip(framework)
    judged = found(reference)
    assert (judged.verdict, str(judged.polynomial)) == ("holds", "4 n^2 d + 8 n d^2")
    assert str(judged.cross) == "4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2"


@pytest.mark.parametrize(
    ("framework", "name"),
    [(framework, name) for framework in ("torch", "numpy") for name in FAULTS]
    + [
        ("jax", name)
        for name in (
            "ScoresOfFullWidth",
            "ScoresTwice",
            "MultipliedByIdentityUnderAMask",
            "ExamplesWithEachOther",
        )
    ],
)
def test_a_planted_fault_is_named_by_its_term(framework, name):
    pytest.importorskip(framework)
    judged = found(f"headcheck.reference.faults.on_{framework}:{name}")
    term, words = FAULTS[name]
    assert judged.verdict == "broken"
    assert term in judged.message
    assert words in judged.message
    assert bool(judged.heads) == ("d h" in term or "d^2 h" in term)
