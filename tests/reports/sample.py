"""A run that no implementation gave: every status, failures with proof, and a subject that means harm."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from headcheck.verdicts import Evidence, Level, RequirementInfo, Run, Status, SubjectRecord, Verdict

HOSTILE = "evil.py:<script>alert(1)</script>\"'onclick=alert(2)\x1b[31m\u202egnp.\x00\x9b{{ 7*7 }}"
HOSTILE_TEXT = "</style></script><img src=x onerror=alert(3)>\x1b]0;title\x07\u2066'\"&amp;" + "A" * 5000
RIGHT, TORCH, MINE = (
    "headcheck.reference.on_numpy:MultiHeadAttention",
    "torch.nn:MultiheadAttention",
    "models/my_attention.py:MyMultiHeadAttention",
)
NAN = float("nan")
_NEEDS = {
    "SHAPE-WEIGHTS": ("weights",),
    "SCALE-DK": ("parameters", "weights"),
    "SCALE-USER": ("scale",),
    "MASK-CAUSAL": ("causal",),
}
_FAMILY_NEEDS = {"masks": ("mask",), "gradients": ("gradients",), "dropout": ("dropout",), "cost": ("cost",)}
_WHY = (
    "A module that breaks this trains, converges a little worse than it should, and nobody looks here: "
    "the fault shipped in a released version and was found two years later by a reader of the paper."
)


def _catalogue() -> tuple[RequirementInfo, ...]:
    """Requirements in realistic number and length; what counts is the specification's own."""
    family, infos = "", []
    for line in Path(__file__).with_name("catalogue.txt").read_text(encoding="utf-8").splitlines():
        if " | " not in line:
            family = line
            continue
        name, level, statement, latex = line.split(" | ", 3)
        needs = _NEEDS.get(name, _FAMILY_NEEDS.get(family, ()))
        depends = () if family in {"divisibility", "shapes"} else ("SHAPE-OUTPUT",)
        infos.append(
            RequirementInfo(name, family, Level(level), statement, latex, _WHY, "1.0", needs, depends)
        )
    return tuple(infos)


REQUIREMENTS = _catalogue()

_SCRIPT = """\
# {0}: {1}.
import numpy as np
import torch

module = torch.nn.MultiheadAttention(4, 2, batch_first=True).double().eval()
query = torch.tensor([[[1.0, 0.0, -1.0, 2.0], [0.5, 1.0, 0.0, 1.0]]], dtype=torch.float64)
key = value = torch.tensor([[[1.0, 2.0, 0.0, 0.0], [0.0, -1.0, 1.0, 0.0]]], dtype=torch.float64)
blocked = torch.tensor([[[True, True], [False, False]], [[True, True], [False, False]]])
output, weights = module(query, key, value, attn_mask=blocked, average_attn_weights=False)
expected = np.array([[[[0.5, 0.5], [0.25, 0.75]], [[0.5, 0.5], [0.25, 0.75]]]])
difference = np.abs(weights.detach().numpy() - expected).max()
assert difference <= 3.1e-14, f"{{difference:.3g}} apart, at most 3.1e-14 is lawful"\
"""


def evidence(info: RequirementInfo, subject: str, **changes: Any) -> Evidence:
    """Return the proof of a wrong scale on two heads of two queries and three keys."""
    expected = [[[[0.25, 0.5, 0.25], [0.1, 0.2, 0.7]], [[1 / 3, 1 / 3, 1 / 3], [0.8, 0.1, 0.1]]]]
    actual = [[[[0.30, 0.4, 0.30], [0.1, 0.2, 0.7]], [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.2, 0.2]]]]
    proof = Evidence(
        case={"batch": 1, "n_q": 2, "n_k": 3, "num_heads": 2, "d_k": 2, "seed": 4},
        case_text="B=1, n_q=2, n_k=3, d_model=4, num_heads=2, float64; integers, seed 4; mask: last key",
        quantity="attention weights",
        expected=expected,
        actual=actual,
        bound=3.1e-14,
        worst_index=(0, 1, 1, 0),
        worst_error=0.2,
        worst_ratio=0.2 / 3.1e-14,
        script=_SCRIPT.format(info.id, info.statement),
        replay=f"headcheck run {subject} --only {info.id} --case 'B=1,n_q=2,n_k=3,h=2,d_k=2,seed=4'",
        grounds=("oracle", "property"),
        variant="weights returned",
    )
    return replace(proof, **changes)


def sample(subjects: int = 4, failures: int = 0) -> Run:
    """Return the sample run, with as many more subjects and failures as a test of size asks for."""
    draw = random.Random(0)
    records = [_record(name, draw) for name in (RIGHT, TORCH, MINE, HOSTILE)[:subjects]]
    records += [_record(f"zoo.attention_{n}:MultiHeadAttention{n}", draw) for n in range(subjects - 4)]
    extra = [(record.name, info.id) for record in records[4:] for info in REQUIREMENTS]
    draw.shuffle(extra)
    broken = set(extra[:failures])
    return Run(
        headcheck="0.1.0",
        spec="1.0",
        profile="standard",
        seed=20260214,
        started="2026-02-14T09:26:53Z",
        environment={"python": "3.11.9", "platform": "Linux x86-64", "numpy": "2.4.6", "cpu": "2 cores"},
        requirements=REQUIREMENTS,
        subjects=tuple(records),
        verdicts=tuple(
            _verdict(record.name, info, (record.name, info.id) in broken, draw)
            for record in records
            for info in REQUIREMENTS
        ),
    )


def _record(name: str, draw: random.Random) -> SubjectRecord:
    ratios = {
        dtype: tuple(min(0.67, draw.lognormvariate(-3.2, 1.1)) for _ in range(240))
        for dtype in ("float64", "float32", "bfloat16")
    }
    if name == MINE:
        ratios["float32"] += tuple(draw.lognormvariate(6, 2) for _ in range(30))
    everything = (
        "parameters",
        "read",
        "weights",
        "cross",
        "mask",
        "bias",
        "gradients",
        "indivisible",
        "cost",
    )
    return SubjectRecord(
        name=name,
        framework="numpy" if name == RIGHT else "torch",
        versions={"numpy": "2.4.6"} if name == RIGHT else {"torch": "2.13.0"},
        source="" if name == TORCH else f"{name.partition(':')[0]}:31",
        capabilities=everything if name == RIGHT else (*everything, "dropout"),
        dtypes=("float64", "float32", "bfloat16"),
        declared={
            "mask true": "block" if name == TORCH else "attend",
            "empty row": "uniform",
            "layout": "batch first",
        },
        verified={
            "mask true": "block" if name == TORCH else "attend",
            "empty row": "NaN" if name == TORCH else "uniform",
        },
        variants=("default",)
        if name == RIGHT
        else ("weights returned", "no weights", "gradients off", "fast path"),
        found={"W_q": "in_proj_weight[:d]", "num_heads": "num_heads"} if name == TORCH else {},
        notes=(HOSTILE_TEXT,) if name == HOSTILE else (),
        ratios=ratios,
        subject_seconds=1.25,
        headcheck_seconds=3.5,
    )


_MINE = {
    "DIV-MESSAGE": (Status.DEVIATES, "refusing d_model=10 with num_heads=4, AssertionError says: nothing"),
    "SHAPE-PIPELINE": (Status.HARNESS_ERROR, "KeyError: 'split' while judging; please report this"),
    "PROJ-ORACLE": (Status.FAIL, "attention weights are 0.2 from the oracle's where 3.1e-14 is lawful"),
    "SCALE-DK": (Status.FAIL, "measured scale 0.25 is 1/sqrt(d_model); expected 1/sqrt(d_k) = 0.5"),
    "SCALE-ANCHOR": (Status.BLOCKED, "SCALE-DK failed"),
    "SOFTMAX-STABLE": (Status.INCONCLUSIVE, "no case reached logits above 88 in float32"),
    "MASK-CAUSAL": (Status.CRASH, "the process ended with signal 11 (segmentation fault) during the call"),
    "MASK-BROADCAST": (Status.TIMEOUT, "no answer within 10 s"),
    "NUM-NAN": (Status.KNOWN_FAILURE, "NaN in the query gave a finite row"),
    "INIT-BIAS": (Status.UNEXPECTED_PASS, "held, but the baseline lists it as a known failure"),
}
_TORCH = {
    "MASK-EMPTY-ROW": (
        Status.FAIL,
        "a row with no key allowed gives NaN where weights are returned, zeros where not",
    ),
    "PATH-AGREE": (Status.FAIL, "weights returned and no weights disagree on a row with no key allowed"),
    "NUM-NAN": (Status.DEVIATES, "a NaN at a blocked key reaches every row on the fast path"),
}
_MEASURED: dict[str, dict[str, Any]] = {
    "SCALE-DK": {
        "scale": [
            {"d_k": d_k, "num_heads": h, "measured": d_k**-0.5, "expected": d_k**-0.5, "error": 1e-9}
            for d_k, h in ((3, 4), (6, 2), (5, 1), (64, 2), (16, 4))
        ]
    },
    "COST-QUADRATIC": {
        "polynomial": "4 n^2 d + 8 n d^2",
        "cross-attention": "4 n_q n_k d + 4 n_q d^2 + 4 n_k d^2",
        "gradients": "unknown: a while loop without a bound",
        "table": {
            "columns": ["", "parameters", "operations"],
            "rows": [
                ["one head of width d", 1_048_576, 21_176_320],
                ["h heads of width d / h", 1_048_576, 21_176_320],
                ["h heads of width d", 8_388_608, 169_410_560],
            ],
        },
    },
    "COST-TIME": {
        "plots": [
            {
                "title": "Time against n, d_model = 64",
                "x": "n",
                "y": "seconds",
                "points": [[256, 0.0011], [512, 0.0031], [1024, 0.0108], [2048, 0.0405], [4096, 0.162]],
                "law": [9.8e-9, 2.0],
                "interval": [1.91, 2.08],
            }
        ]
    },
    "PROJ-COUNT": {"weights": 1_048_576, "biases": 2048},
}


def _verdict(subject: str, info: RequirementInfo, broken: bool, draw: random.Random) -> Verdict:
    status, message = {TORCH: _TORCH, MINE: _MINE}.get(subject, {}).get(info.id, (Status.PASS, ""))
    if info.family == "dropout" and subject == RIGHT:
        status, message = Status.NOT_APPLICABLE, "needs dropout, which is not offered"
    if info.id == "SCALE-USER":
        status, message = Status.NOT_APPLICABLE, "needs scale, which is not offered"
    if subject == HOSTILE and info.id in {"MASK-ZERO", "HEADS-SUM"}:
        status, message = Status.FAIL, HOSTILE_TEXT
    if broken:
        status, message = Status.FAIL, "attention weights are 0.2 from the oracle's where 3.1e-14 is lawful"
    measured = dict(_MEASURED.get(info.id, {}))
    if subject == MINE and info.id == "SCALE-DK":
        measured["scale"] = [
            {**size, "measured": (size["d_k"] * size["num_heads"]) ** -0.5} for size in measured["scale"]
        ]
    if subject == TORCH and info.id == "INIT-XAVIER":
        measured["fan"] = "of W_q, W_k and W_v that of one matrix (3 d, d), 4 d; of W_o its own, 2 d; " * 2
    if subject == MINE and info.id == "COST-QUADRATIC":
        measured["polynomial"] = "4 n^2 d h + 8 n d^2 h"
    return Verdict(
        subject=subject,
        requirement=info.id,
        level=info.level,
        status=status,
        message=message,
        examples=0 if status in {Status.NOT_APPLICABLE, Status.BLOCKED} else 40,
        seed=20260214,
        worst_ratio=round(draw.uniform(0.05, 0.6), 3) if status is Status.PASS else None,
        seconds=0.03,
        evidence=_proof(subject, info) if status in {Status.FAIL, Status.CRASH, Status.TIMEOUT} else None,
        situations={}
        if status is Status.NOT_APPLICABLE
        else {"cross": 22, "mask: keys": 8, "float32": 31, "B = h": 4},
        measured=measured if status is not Status.NOT_APPLICABLE else {},
        reason="fixed by the next release" if status is Status.KNOWN_FAILURE else "",
        link="https://example.org/issues/7" if status is Status.KNOWN_FAILURE else "",
    )


def _proof(subject: str, info: RequirementInfo) -> Evidence:
    if info.id in {"MASK-CAUSAL", "MASK-BROADCAST"}:
        nothing = dict.fromkeys(("expected", "actual", "bound", "worst_error", "worst_ratio"))
        return evidence(info, subject, **nothing, worst_index=(), grounds=("property",))
    if info.id == "MASK-EMPTY-ROW":
        finite = [1.0, 0.5, -0.5, 0.25]
        return evidence(
            info,
            subject,
            quantity="output",
            expected=[[[0.5, -1.25, 0.0, 2.0], finite]],
            actual=[[[NAN, NAN, NAN, NAN], finite]],
            worst_index=(0, 0, 0),
            worst_error=NAN,
            worst_ratio=float("inf"),
        )
    if info.id == "PATH-AGREE":
        head = [[((7 * i * j) % 40) / 40 for j in range(40)] for i in range(40)]
        other = [[x + (i == 17 and j > 30) * 0.01 for j, x in enumerate(row)] for i, row in enumerate(head)]
        return evidence(
            info,
            subject,
            expected=[[head, head]],
            actual=[[head, other]],
            worst_index=(0, 1, 17, 35),
            worst_error=0.01,
        )
    if subject == MINE and info.id == "PROJ-ORACLE":
        return evidence(info, subject, matches=("The scores are divided by sqrt(d_model)",))
    if info.id == "SCALE-DK":
        return evidence(
            info,
            subject,
            matches=("The scores are divided by sqrt(d_model)", "The scores are divided by d_k"),
        )
    if subject == HOSTILE:
        texts = ("case_text", "quantity", "script", "replay", "variant")
        return evidence(
            info,
            subject,
            **dict.fromkeys(texts, HOSTILE_TEXT),
            matches=(HOSTILE_TEXT,),
            grounds=(HOSTILE_TEXT,),
            expected=None,
            actual=[[1.0, None]],
        )
    return evidence(info, subject)
