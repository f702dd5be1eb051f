import re

import pytest
from headcheck.adapters.protocol import Conventions
from headcheck.adapters.subjects import adapt
from headcheck.attend import Attend
from headcheck.cases import Case
from headcheck.families import numbers
from headcheck.session import InProcess

from .verdicts import verdict_on

torch = pytest.importorskip("torch")
MultiHeadAttention = pytest.importorskip("headcheck.reference.on_torch").MultiHeadAttention

REQUIREMENTS = ["NUM-BOUND", "NUM-DTYPE", "NUM-NAN"]


class ScoresInTf32(MultiHeadAttention):
    """Rounds queries and keys to the ten bits behind the point that tensor cores keep."""

    def scores(self, Q, K):
        if Q.dtype != torch.float32:
            return super().scores(Q, K)
        q, k = (((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32) for x in (Q, K))
        return super().scores(q, k)


class SumInHalf(MultiHeadAttention):
    """Adds the context up in float16, whatever came in."""

    def attend(self, weights, V):
        return super().attend(weights.half(), V.half()).to(V.dtype)


class ProjectedInSingle(MultiHeadAttention):
    """Hands float64 back, and projects the output in float32."""

    def project_output(self, combined):
        if combined.dtype != torch.float64:
            return super().project_output(combined)
        W, b = self.W_o.weight.float(), None if self.W_o.bias is None else self.W_o.bias.float()
        return torch.nn.functional.linear(combined.float(), W, b).double()


class Promoted(MultiHeadAttention):
    """Multiplies with a scale of float64, which promotes everything behind it."""

    def project_output(self, combined):
        return super().project_output(combined) * torch.ones(1, dtype=torch.float64)


class Cleaned(MultiHeadAttention):
    """Makes zeros of NaN where a row might be empty."""

    def softmax(self, scores, allowed):
        return torch.nan_to_num(super().softmax(scores, allowed))

    def attend(self, weights, V):
        return super().attend(weights, torch.nan_to_num(V))


@pytest.mark.parametrize("requirement", REQUIREMENTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_reference_passes(requirement, seed):
    verdict = verdict_on(MultiHeadAttention, requirement, profile="standard", seed=seed)
    assert verdict.status == "pass", verdict.message


@pytest.mark.parametrize(
    ("wrong", "requirement", "status", "message"),
    [
        (ScoresInTf32, "NUM-BOUND", "fail", "in float32 the error is .* times the bound"),
        (SumInHalf, "NUM-BOUND", "fail", "in float(64|32) the error is .* times the bound"),
        (ProjectedInSingle, "NUM-DTYPE", "fail", "a float64 result has the errors of float32"),
        (Promoted, "NUM-DTYPE", "fail", "(float|bfloat)[0-9]+ went in and float64 came out"),
        (Cleaned, "NUM-NAN", "deviates", "a NaN in the query of position .* does not show"),
    ],
)
def test_a_wrong_one_is_caught(wrong, requirement, status, message):
    verdict = verdict_on(wrong, requirement)
    assert verdict.status == status, verdict.message
    assert re.search(message, verdict.message)


def test_every_dtype_is_judged_and_the_worst_ratio_recorded():
    verdict = verdict_on(MultiHeadAttention, "NUM-BOUND")
    assert {"float64", "float32", "bfloat16", "float16"} <= set(verdict.situations)
    assert 0 < verdict.measured["worst ratio"] == verdict.worst_ratio < 1


def test_a_failure_names_the_dtype_it_was_found_in():
    verdict = verdict_on(ScoresInTf32, "NUM-BOUND")
    assert verdict.evidence.case["dtype"] == "float32"


def test_a_softmax_declared_in_float32_excuses_no_projection_in_float32():
    adapter = adapt(ProjectedInSingle)
    attend = Attend(InProcess(adapter), adapter.declare(), Conventions(softmax_dtype="float32"))
    failure = numbers.keeps_dtype(attend, Case(dtype="float64"))
    assert "computed through it" in failure.message
