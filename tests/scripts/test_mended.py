"""The script of a class that is mended passes, in whichever lawful way that is done."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent, indent

import pytest

from .shell import pasted, run
from .test_scripts import script_of

RIGHT = {
    "numpy": """
        import numpy as np


        class Right:
            def __init__(self, d_model, num_heads):
                self.num_heads = num_heads
                rng = np.random.RandomState(0)
                self.W_q, self.W_k, self.W_v, self.W_o = rng.randn(4, d_model, d_model)

            def forward(self, Q, K, V):
                def split(x):
                    return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)

                q, k, v = split(Q @ self.W_q), split(K @ self.W_k), split(V @ self.W_v)
                scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
                powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
                weights = powers / powers.sum(axis=-1, keepdims=True)
                return (weights @ v).swapaxes(1, 2).reshape(Q.shape) @ self.W_o, weights
    """,
    "torch": """
        from torch import nn


        class Right(nn.Module):
            def __init__(self, d_model, num_heads):
                super().__init__()
                self.num_heads = num_heads
                self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model) for _ in range(4))

            def forward(self, Q, K, V):
                def split(x):
                    return x.unflatten(-1, (self.num_heads, -1)).swapaxes(1, 2)

                q, k, v = split(self.W_q(Q)), split(self.W_k(K)), split(self.W_v(V))
                weights = (q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
                return self.W_o((weights @ v).swapaxes(1, 2).flatten(2)), weights
    """,
    "jax": """
        import jax


        class Right:
            def __init__(self, d_model, num_heads, seed=0):
                self.num_heads = num_heads
                drawn = jax.random.normal(jax.random.key(seed), (4, d_model, d_model))
                self.W_q, self.W_k, self.W_v, self.W_o = drawn

            def forward(self, Q, K, V):
                def split(x):
                    return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)

                q, k, v = split(Q @ self.W_q), split(K @ self.W_k), split(V @ self.W_v)
                weights = jax.nn.softmax(q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5)
                return (weights @ v).swapaxes(1, 2).reshape(Q.shape) @ self.W_o, weights
    """,
}
WRONG = {
    "pass": "AssertionError: None came back",
    'return {"attention": weights}': "AssertionError: the output has shape (1, 1, 1, 1)",
    'return {"output": output[0]}': "AssertionError: the output has shape (1, 1)",
    'raise ValueError("not today")': "ValueError: not today",
    "return output[0], weights": "AssertionError: the output has shape (1, 1)",
    "return output[0]": "AssertionError: the output has shape (1, 1)",
}
MENDED = ("return output, weights", "return output", 'return {"output": output, "weights": weights}')


def returning(framework: str, statement: str) -> str:
    """Return the source of a class that ends its call in this way."""
    name = "forward(self, Q, K, V)"
    body = f"def {name}:\n    output, weights = super().forward(Q, K, V)\n    {statement}\n"
    return f"{dedent(RIGHT[framework])}\n\nclass Mine(Right):\n{indent(body, '    ')}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def outcome(script: str, file: Path, source: str) -> str:
    """Return what a script raises once the file has this source."""
    file.write_text(source, encoding="utf-8")
    sys.modules.pop(file.stem, None)
    raised = run(script)
    sys.modules.pop(file.stem, None)
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", False)
    return raised


@pytest.mark.parametrize("framework", RIGHT)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_result_that_is_mended(framework: str, wrong: str, folder: Path) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    file = folder / "of_this_test.py"
    file.write_text(returning(framework, wrong), encoding="utf-8")
    script = script_of(f"{file}:Mine", "SHAPE-OUTPUT")
    assert WRONG[wrong] in outcome(script, file, returning(framework, wrong)), script
    for mended in MENDED if "{" in wrong else MENDED[:2]:
        assert outcome(script, file, returning(framework, mended)) == "", script


ACCEPTS = """
    class Accepts(Right):
        def forward(self, Q, K, V):
            if K.shape[1] != V.shape[1]:
                {refusal}
            return super().forward(Q, K, V)
"""


@pytest.mark.parametrize("framework", RIGHT)
def test_what_is_accepted_without_a_result_is_not_refused(framework: str, folder: Path) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    file = folder / "of_this_test.py"

    def source(refusal: str) -> str:
        return dedent(RIGHT[framework]) + dedent(ACCEPTS).replace("{refusal}", refusal)

    file.write_text(source("return None"), encoding="utf-8")
    script = script_of(f"{file}:Accepts", "SHAPE-REFUSE")
    assert "was accepted" in outcome(script, file, source("return None")), script
    for refusal in ("raise ValueError('no')", "raise SystemExit('no')"):
        assert outcome(script, file, source(refusal)) == "", script


@pytest.mark.parametrize(
    "name", ["my-model.py", "2base.py", "class.py", "random.py", "numpy.py", "my.model.py", "pa-ck/model.py"]
)
def test_a_file_whose_name_no_import_statement_can_spell(name: str, folder: Path) -> None:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    if "/" in name:
        (file.parent / "__init__.py").touch()
    (folder / "beside_it.py").write_text("SCALE = 2.0\n")
    source = returning("numpy", "return output * SCALE, weights")
    file.write_text(f"from beside_it import SCALE\n{source}", encoding="utf-8")
    script = script_of(f"{file}:Mine", "PROJ-ORACLE")
    done = subprocess.run([sys.executable, "-c", script], cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("AssertionError: "), done.stderr
    file.write_text(source.replace("* SCALE", "").replace("import SCALE", ""), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", script], cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_script_is_pasted_into_the_prompt_that_comes_with_python(folder: Path) -> None:
    file = folder / "of_this_test.py"
    file.write_text(returning("numpy", "pass"), encoding="utf-8")
    script = script_of(f"{file}:Mine", "SHAPE-OUTPUT")
    done = subprocess.run([sys.executable, "-i"], input=script, cwd=folder, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if "Error" in line]
    assert len(errors) == 1, done.stderr
    assert "AssertionError: None came back" in errors[0]


def test_the_prompt_of_these_tests_takes_no_block_without_an_end() -> None:
    assert "SyntaxError" in pasted("try:\n    x = 1\nfinally:\n    y = 2\nx = y\n")
    assert pasted("def f():\n    return 1") == "waits for more"
