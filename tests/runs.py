"""Runs to draw reports from: one of each status, hostile ones, and any run at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headcheck.verdicts import (
    Evidence,
    Level,
    RequirementInfo,
    Run,
    Status,
    SubjectRecord,
    Verdict,
)
from hypothesis import strategies as st

SUBJECT = "attention.py:Attention"

# What a name or a message can hold that some output would act on instead of showing it.
HOSTILE: Mapping[str, str] = {
    "markup": "<script>alert(1)</script>&amp;<img src=x onerror=alert(1)>",
    "cdata": "]]><!--<![CDATA[ -->",
    "ansi": "\x1b[31mred\x1b[0m\x1b]8;;http://e.example\x07link\x1b]8;;\x07\x9b2J",
    "bidi": "user\u202e\u2066// admin\u2069 \u2066\u200b\ufeff",
    "command": "::error file=x::owned\n::set-output name=a::b\r\n::stop-commands::x\n##[error]%0A::error::y",
    "markdown": "``` `` [a](javascript:x) ![i](http://e.example/i) | a | b |\n\n# h\n- [x] <b>@team</b> ~~~",
    "fences": "`a` <b>x</b>\n```\n<i>y</i> [l](javascript:z)\n~~~\n````\n`",
    "rich": "[bold red]x[/] [link=http://e.example]y[/link]",
    "illegal": "nul \x00 \x01\x08\x0b\x0c\x1f\x7f\x85\ufffe\uffff\ud800\udfff end",
    "toml": "\"\"\" ''' \\ \" ' # = [x] \r\n\t\u0000\u007f",
    "braces": "{{ 7 * 7 }} {% raw %} ${{ secrets.X }} $(touch x) `touch x`; rm -rf ~",
    "long": "word " * 200_000,
}

REQUIREMENTS = tuple(
    RequirementInfo(id, family, level, statement, r"QK^\top", "Because it went wrong before.", "1.0")
    for id, family, level, statement in (
        ("SHAPE-OUTPUT", "shapes", Level.MUST, "The output is (B, n_q, d)"),
        ("MASK-ZERO", "masks", Level.MUST, "Blocked positions get weight 0"),
        ("MASK-EMPTY-ROW", "masks", Level.MUST, "A row with no key allowed gives the declared answer"),
        ("MASK-CAUSAL", "masks", Level.MUST, "Causal means the declared alignment"),
        ("PATH-AGREE", "paths", Level.MUST, "Every path gives one answer"),
        ("SCALE-DK", "scale", Level.MUST, "The effective scale is 1/sqrt(d_k)"),
        ("NUM-NAN", "numbers", Level.SHOULD, "A NaN at an allowed position shows in the result"),
        ("MASK-POISON", "masks", Level.INFO, "NaN at a blocked value position stays there"),
        ("DROPOUT-EVAL", "dropout", Level.MUST, "Dropout is off in eval"),
        ("GRAD-ORACLE", "gradients", Level.MUST, "Gradients match the oracle"),
        ("COST-QUADRATIC", "cost", Level.MUST, "The cost is 4 n_q n_k d and 8 n d^2"),
    )
)
LEVELS = {requirement.id: requirement.level for requirement in REQUIREMENTS}


def evidence(variant: str = "", dtype: str = "float32", **changes: Any) -> Evidence:
    whole: dict[str, Any] = {
        "case": {"batch": 1, "n_q": 1, "n_k": 2, "num_heads": 1, "d_k": 2, "mask": "keys", "dtype": dtype},
        "case_text": "B=1, n_q=1, n_k=2, d_model=2, num_heads=1; mask: padding",
        "quantity": "attention weights",
        "expected": [[[[1.0, 0.0]]]],
        "actual": [[[[0.75, 0.25]]]],
        "bound": [[[[1e-7, 1e-7]]]],
        "worst_index": (0, 0, 0, 0),
        "worst_error": 0.25,
        "worst_ratio": 2.5e6,
        "script": "import torch\nassert False",
        "replay": "headcheck replay headcheck-results.json MASK-ZERO",
        "grounds": ("oracle", "property"),
        "variant": variant,
    }
    return Evidence(**(whole | changes))


def verdict(requirement: str, status: Status, subject: str = SUBJECT, **changes: Any) -> Verdict:
    message = "" if status is Status.PASS else f"{status}: {requirement} on the smallest case"
    proof = evidence() if status in {Status.FAIL, Status.DEVIATES, Status.CRASH, Status.TIMEOUT} else None
    whole: dict[str, Any] = {
        "subject": subject,
        "requirement": requirement,
        "level": LEVELS[requirement],
        "status": status,
        "message": message,
        "examples": 40,
        "seed": 7,
        "seconds": 0.25,
        "evidence": proof,
    }
    return Verdict(**(whole | changes))


def run(*verdicts: Verdict, **changes: Any) -> Run:
    names = dict.fromkeys(v.subject for v in verdicts) or {SUBJECT: None}
    subjects = tuple(
        SubjectRecord(name, framework="torch", versions={"torch": "2.13.0"}, source="src/attention.py:12")
        for name in names
    )
    whole: dict[str, Any] = {
        "headcheck": "0.1.0",
        "spec": "1.0",
        "profile": "standard",
        "seed": 7,
        "started": "2026-01-02T03:04:05Z",
        "environment": {"python": "3.11.9", "platform": "Linux"},
        "requirements": REQUIREMENTS,
        "subjects": subjects,
        "verdicts": verdicts,
    }
    return Run(**(whole | changes))


EVERY_STATUS = run(
    verdict("SHAPE-OUTPUT", Status.PASS),
    verdict("MASK-ZERO", Status.FAIL),
    verdict(
        "MASK-EMPTY-ROW",
        Status.KNOWN_FAILURE,
        evidence=evidence("weights"),
        reason="NaN since 1.5",
        link="https://example.org/41508",
        kind="fail",
    ),
    verdict("MASK-CAUSAL", Status.CRASH),
    verdict("PATH-AGREE", Status.TIMEOUT),
    verdict("SCALE-DK", Status.UNEXPECTED_PASS),
    verdict("NUM-NAN", Status.DEVIATES),
    verdict("MASK-POISON", Status.INCONCLUSIVE),
    verdict("DROPOUT-EVAL", Status.NOT_APPLICABLE),
    verdict("GRAD-ORACLE", Status.BLOCKED),
    verdict("COST-QUADRATIC", Status.HARNESS_ERROR),
)
PASSING = run(verdict("SHAPE-OUTPUT", Status.PASS), verdict("MASK-ZERO", Status.PASS))


def hostile(text: str) -> Run:
    """A run in which every piece of foreign text is `text`."""
    proof = evidence(
        variant=text,
        case={"dtype": text, text: [text, {text: None}]},
        case_text=text,
        quantity=text,
        script=text,
        replay=text,
        grounds=(text,),
        matches=(text,),
    )
    requirement = RequirementInfo(text, text, Level.MUST, text, text, text, text, (text,), (text,))
    subject = SubjectRecord(
        name=text,
        framework=text,
        versions={text: text},
        source=f"{text}:3",
        capabilities=(text,),
        dtypes=(text,),
        declared={text: text},
        verified={text: text},
        variants=(text,),
        found={text: text},
        notes=(text,),
        ratios={text: (1.0,)},
    )
    refused = replace(subject, name=f"second {text}", error=text)
    failing = Verdict(text, text, Level.MUST, Status.FAIL, text, evidence=proof, measured={text: text})
    known = Verdict("plain", text, Level.MUST, Status.KNOWN_FAILURE, text, reason=text, link=text)
    return Run(
        headcheck=text,
        spec=text,
        profile=text,
        seed=0,
        started=text,
        environment={text: text},
        requirements=(requirement,),
        subjects=(subject, refused, replace(subject, name="plain")),
        verdicts=(failing, known),
        problems=(text,),
        complete=False,
    )


# Any run at all, as the verdict model allows it.
texts = st.text(max_size=12)
numbers = st.floats() | st.integers(-9, 9)
arrays = st.none() | st.recursive(numbers, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
free = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts | st.sampled_from(["nan", "inf"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
tables = st.dictionaries(texts, texts, max_size=3)
lists = st.lists(texts, max_size=3).map(tuple)
levels, statuses = st.sampled_from(Level), st.sampled_from(Status)
proofs = st.builds(
    Evidence,
    case=st.dictionaries(texts, free, max_size=4),
    case_text=texts,
    quantity=texts,
    expected=arrays,
    actual=arrays,
    bound=arrays,
    worst_index=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    worst_error=st.none() | st.floats(),
    worst_ratio=st.none() | st.floats(),
    script=texts,
    replay=texts,
    grounds=lists,
    matches=lists,
    variant=texts,
)
subject_records = st.builds(
    SubjectRecord,
    name=texts,
    framework=texts,
    versions=tables,
    source=texts,
    capabilities=lists,
    dtypes=lists,
    declared=tables,
    verified=tables,
    variants=lists,
    found=tables,
    notes=lists,
    ratios=st.dictionaries(texts, st.lists(st.floats(), max_size=3).map(tuple), max_size=2),
    error=texts,
    subject_seconds=st.floats(0, 9),
    headcheck_seconds=st.floats(0, 9),
)
infos = st.builds(
    RequirementInfo,
    id=texts,
    family=texts,
    level=levels,
    statement=texts,
    formula=texts,
    why=texts,
    since=texts,
    needs=lists,
    depends_on=lists,
)


@st.composite
def any_run(draw: st.DrawFn) -> Run:
    subjects = tuple(draw(st.lists(subject_records, max_size=3, unique_by=lambda s: s.name)))
    requirements = tuple(draw(st.lists(infos, max_size=3, unique_by=lambda r: r.id)))
    pairs = [(subject.name, info.id) for subject in subjects for info in requirements]
    verdicts = st.builds(
        Verdict,
        subject=texts,
        requirement=texts,
        level=levels,
        status=statuses,
        message=texts,
        examples=st.integers(0, 99),
        seed=st.integers(),
        worst_ratio=st.none() | st.floats(),
        seconds=st.floats(0, 9),
        evidence=st.none() | proofs,
        situations=st.dictionaries(texts, st.integers(0, 9), max_size=2),
        measured=st.dictionaries(texts, free, max_size=3),
        reason=texts,
        link=texts,
        kind=st.sampled_from(["", "fail", "crash", "timeout", "deviates"]),
    )
    judged = tuple(
        replace(draw(verdicts), subject=subject, requirement=requirement)
        for subject, requirement in pairs
        if draw(st.booleans())
    )
    return Run(
        headcheck=draw(texts),
        spec=draw(texts),
        profile=draw(texts),
        seed=draw(st.integers()),
        started=draw(texts),
        environment=draw(tables),
        requirements=requirements,
        subjects=subjects,
        verdicts=judged,
        full=draw(st.booleans()),
        complete=draw(st.booleans()),
        strict=draw(st.booleans()),
        timeout=draw(st.floats(0.1, 600.0)),
        problems=draw(lists),
    )
