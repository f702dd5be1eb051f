from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from headcheck.adapters.protocol import SubjectError
from headcheck.adapters.stub import stub
from headcheck.adapters.subjects import load

from .attention import call, expected, perform

LONGEST = 25


def written(folder: Path, source: str) -> str:
    """Put a stub into a file and return the reference of its class."""
    path = folder / "adapted.py"
    path.write_text(source)
    return f"{path}:Adapted"


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_the_stub_of_a_class_of_the_tutorials_shape_runs_as_it_is(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    source = stub(f"headcheck.reference.on_{framework}:MultiHeadAttention")
    assert "TODO" not in source
    assert len(source.splitlines()) <= LONGEST
    adapter = load(written(tmp_path, source))
    assert {"mask", "cross", "weights", "parameters"} <= adapter.declare().capabilities
    mask = np.array([[True, False, True, True, False]] * 3)
    made = call(mask=mask, bias="bias" in adapter.declare().capabilities)
    np.testing.assert_allclose(perform(adapter, made).output, expected(made, mask)[0], atol=1e-12)


def marked(source: str) -> dict[str, str]:
    """Return the lines that a stub leaves to be completed, by what it says above each."""
    lines = [line.strip() for line in source.splitlines()]
    return {
        one.removeprefix("# TODO: "): next_one
        for one, next_one in pairwise(lines)
        if one.startswith("# TODO: ")
    }


ODD = """
import numpy as np

class Odd:
    def __init__(self, size, parts):
        self.parts = parts
        self.alpha, self.beta, self.gamma, self.delta = np.random.randn(4, size, size)

    def forward(self, asking, asked, answers):
        q, k, v = (
            (x @ W).reshape(*x.shape[:2], self.parts, -1).swapaxes(1, 2)
            for x, W in ((asking, self.alpha), (asked, self.beta), (answers, self.gamma))
        )
        s = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1])
        w = np.exp(s - s.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        return (w @ v).swapaxes(1, 2).reshape(asking.shape) @ self.delta
"""


def test_the_stub_of_anything_else_says_what_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    reference = f"{tmp_path / 'odd.py'}:Odd"
    with pytest.raises(SubjectError, match="headcheck adapter new"):
        load(reference)
    source = stub(reference)
    assert len(source.splitlines()) <= LONGEST
    assert "Complete the line below each TODO" in source.splitlines()[0]
    assert marked(source) == {
        "the arguments of Odd, which takes: size, parts": "self.inner = Odd(d_model, num_heads)",
        "on the right, the (in, out) arrays of the projections": "self.W_q, self.W_k, self.W_v, self.W_o = "
        "self.inner.W_q, self.inner.W_k, self.inner.W_v, self.inner.W_o",
        "on the left, the same names": "inner.W_q, inner.W_k, inner.W_v, inner.W_o = "
        "self.W_q, self.W_k, self.W_v, self.W_o",
        "the arguments of the call, which takes: asking, asked, answers": "returned = "
        "inner.forward(query, key, value, mask)",
    }
    for part, greek in zip("qkvo", ("alpha", "beta", "gamma", "delta"), strict=True):
        source = source.replace(f"inner.W_{part}", f"inner.{greek}")
    source = source.replace(", mask=None", "").replace(", mask)", ")")
    made = call(bias=False)
    np.testing.assert_allclose(
        perform(load(written(tmp_path, source)), made).output, expected(made)[0], atol=1e-12
    )


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("numpy", "needs no adapter"),
        ("nothing.py:Name", "no such file"),
        ("os:sep", "expected a class"),
        ("os:getcwd", "expected a class, or a function"),
    ],
)
def test_what_is_no_class(reference: str, words: str) -> None:
    with pytest.raises(SubjectError, match=words):
        stub(reference)


def test_a_stub_that_fails_is_not_told_to_write_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    source = stub(f"{tmp_path / 'odd.py'}:Odd")
    line = next(i for i, text in enumerate(source.splitlines(), 1) if "inner.W_q" in text)
    with pytest.raises(SubjectError) as caught:
        load(written(tmp_path, source)).declare()
    assert all(words in str(caught.value) for words in ("has no attribute 'W_q'", f"adapted.py:{line}"))
    assert "This is an adapter already" in str(caught.value)
    assert "adapter new" not in str(caught.value)
