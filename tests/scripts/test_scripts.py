"""The script of a failure fails on the class that it is about, and passes on the right one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest
from headcheck.adapters.subjects import load
from headcheck.engine import Judgement, Subject
from headcheck.lines import in_sequence
from headcheck.pool import PROFILES
from headcheck.reference.faults.catalogue import fault_named
from headcheck.session import InProcess
from headcheck.specification import named

# One or two faults for each way in which a script shows what is wrong, with a word of what it then says.
EVERYWHERE = {
    "HeadsInterleaved": "apart",  # the definition's numbers
    "KeysEndAt128": "apart",  # ... at the worst place of a long sequence
    "OutputsShifted": "apart",  # two answers that contradict each other
    "EmptyRowSeesFirstKey": "allowed answers",
    "ScaleByModel": "expected 1/sqrt(d_k)",
    "EpsilonInDenominator": "a row sums to",
    "NaNTurnedIntoZero": "does not show",
    "InfinityCutOff": "does not show",
    "OutputLengthFirst": "has shape",
    "WeightsAveraged": "have shape",
    "SplitLate": "stage 'split'",
    "AlwaysSingle": "came out",
    "SinglePrecisionInside": "has the errors of float32",
    "WidthFloored": "was accepted",
    "NegativeHeadsAccepted": "was accepted",
    "NoHeadsDivideByZero": "ZeroDivisionError",
    "RefusedWithoutWords": "says: nothing",
    "BatchBroadcast": "was accepted",
    "MaskMustBeSquare": "ValueError: mask must be square",
    "NarrowHeadsRefused": "ValueError: heads must be wider",
    "EmptyRaises": "without a word",
    "OneKeyForAllHeads": "expected 256",
    "OutputStartsAtZero": "W_o is zero",
    "KeyStartsAsQuery": "the same numbers",
    "BiasesStartAtAHundredth": "do not start at zero",
    "ScoresTwice": "expected 4",
}
WRITABLE = {
    "KeysOfLastCall": "apart",  # calls one after the other
    "MaskSticks": "apart",
    "QueryScaledInPlace": "wrote to",
    "MaskWrittenTo": "wrote to",
    "AnswersInOneBuffer": "wrote to the output that",
    "WeightsInOneBuffer": "wrote to the attention weights that",
    "KeysKeptByIdentity": "apart",
    "MaskMemoryReadInOrder": "apart",
}
DIFFERENTIABLE = {
    "ValueBiasDetached": "apart",
    "QueriesDetached": "apart",
    "BlockedValuesGetGradients": "apart",
    "EmptyRowGradientIsNaN": "nan apart",
    "EvalScaledByRate": "apart",
    "DropoutNotRescaled": "expected 1/(1 - p)",
    "DropoutAlwaysTheSame": "dropped in",
    "OneDrawForAllHeads": "the same draw",
    "OneDrawForAllQueries": "the same draw",
    "DropoutDrawnAnewBackward": "not that of the draw",
    "ValuesOfAnotherDraw": "not that of the draw",
    "PercentAccepted": "was accepted",
}
SAMPLES = {
    "numpy": EVERYWHERE | WRITABLE,
    "torch": EVERYWHERE | WRITABLE | DIFFERENTIABLE | {"ScaledTwiceInTraining": "apart"},
    "jax": EVERYWHERE | DIFFERENTIABLE | {"CompiledScaleByModel": "apart"},
}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
CASES = [
    (framework, name)
    for framework, names in SAMPLES.items()
    for name in names
    if framework in fault_named(name).frameworks
]
WRONG_FILE = '''
    from math import sqrt

    import numpy as np


    class Attention:
        """Scaled by d_model."""

        def __init__(self, d_model, num_heads):
            self.num_heads = num_heads
            rng = np.random.RandomState(0)
            self.W_q, self.W_k, self.W_v, self.W_o = rng.randn(4, d_model, d_model)

        def forward(self, Q, K, V, mask=None):
            def split(x):
                return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)

            q, k, v = split(Q @ self.W_q), split(K @ self.W_k), split(V @ self.W_v)
            scores = q @ k.swapaxes(-1, -2) / sqrt(Q.shape[-1])
            if mask is not None:
                scores = np.where(mask == 0, -np.inf, scores)
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights = powers / powers.sum(axis=-1, keepdims=True)
            return (weights @ v).swapaxes(1, 2).reshape(Q.shape) @ self.W_o, weights
'''


class Shell:
    """Runs scripts in a process that judges nothing."""

    def __init__(self, framework: str):
        module = f"headcheck.reference.faults.on_{framework}"
        command = [sys.executable, str(Path(__file__).with_name("shell.py")), module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, script: str, how: str = "run") -> str:
        """Return what a script raises, run or "pasted"; "" where nothing."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([script, how]), file=self._process.stdin, flush=True)
        return str(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def shells() -> Iterator[dict[str, Shell]]:
    opened: dict[str, Shell] = {}
    yield opened
    for shell in opened.values():
        shell.close()


def script_of(subject: str, requirement: str) -> str:
    """Return the script of the failure of a requirement."""
    patient = replace(PROFILES["smoke"], shrink_seconds=60.0)  # as small a case on a slow machine as on any
    judgement = Judgement(Subject(subject, InProcess(load(subject))), patient)
    assert not judgement.prepare().error
    evidence = judgement.judge(named(requirement)).evidence
    assert evidence is not None, f"{requirement} found nothing"
    return evidence.script


@pytest.mark.parametrize(("framework", "name"), CASES)
def test_fails_on_the_wrong_class_and_passes_on_the_right_one(
    framework: str, name: str, shells: dict[str, Shell]
) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    fault = fault_named(name)
    script = script_of(fault.subject(framework), fault.caught_by)
    shell = shells.get(framework) or shells.setdefault(framework, Shell(framework))
    raised = shell(script)
    assert SAMPLES[framework][name] in raised, script
    assert shell(script, "pasted") == raised, script
    assert len(script.splitlines()) <= 100
    wrong = f"from headcheck.reference.faults.on_{framework} import {name}"
    assert wrong in script
    right = f"from headcheck.reference.on_{framework} import MultiHeadAttention as {name}"
    assert shell(script.replace(wrong, right)) == "", script


def test_a_class_of_a_file_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(dedent(WRONG_FILE), encoding="utf-8")
    script = script_of(f"{file}:Attention", "SCALE-ANCHOR")
    assert "headcheck" not in script
    block = "import sys\nsys.modules['headcheck'] = None\n"
    for wrong, code in (("sqrt(Q.shape[-1])", 1), ("sqrt(q.shape[-1])", 0)):
        file.write_text(dedent(WRONG_FILE).replace("sqrt(Q.shape[-1])", wrong), encoding="utf-8")
        # Of the same size and second as the file before, it would be taken for that one.
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", block + script],
            cwd=tmp_path.parent,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == code, done.stderr
        assert code == 0 or "AssertionError" in done.stderr


def test_in_a_sequence_what_is_made_of_another_query_is_made_anew() -> None:
    def script(query: int) -> list[str]:
        made = ["module = Attention()", f"query = {query}", "key = value = query"]
        return [*made, "output, weights = module(query, key, value)", "output = output.numpy()"]

    assert in_sequence([script(1), script(2)]) == [*script(1), *script(2)[1:]]
    assert in_sequence([script(1), script(1)]) == [*script(1), *script(1)[3:]]
