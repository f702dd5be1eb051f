from __future__ import annotations

from dataclasses import replace

import pytest
from headcheck.reports.implementations import Convention, conventions, lacking
from headcheck.reports.words import Standing, standings
from headcheck.verdicts import Status

from .sample import RIGHT, sample
from .test_words import only


def right(**changes: object) -> Standing:
    run = only(sample(), RIGHT)
    subject = replace(run.subjects[0], **changes)  # type: ignore[arg-type]
    [standing] = standings(replace(run, subjects=(subject,)))
    return standing


def only_convention(standing: Standing) -> Convention:
    [convention] = conventions(standing)
    return convention


@pytest.mark.parametrize(
    ("declared", "seen", "sign"),
    [
        ("unknown", "uniform", ""),
        ("uniform", "uniform", "pass"),
        ("zeros", "uniform", "deviates"),
        ("zeros", "", ""),
    ],
)
def test_a_convention_deviates_only_from_what_is_declared(declared: str, seen: str, sign: str) -> None:
    name = "row with no key"
    found = only_convention(right(declared={name: declared}, verified={name: seen} if seen else {}))
    assert (found.sign, found.declared) == (sign, "" if declared == "unknown" else declared)


def test_what_the_requirements_hold_against_an_implementation_is_said_to_be_verified_by_them() -> None:
    standing = right(declared={"mask": "True means attend"}, verified={})
    assert only_convention(standing).held_by == "the mask requirements"
    failed = tuple(
        replace(v, status=Status.FAIL) if v.requirement == "MASK-ZERO" else v for v in standing.verdicts
    )
    assert only_convention(replace(standing, verdicts=failed)).held_by == ""
    lacking = tuple(
        replace(v, status=Status.NOT_APPLICABLE) if v.requirement == "MASK-CAUSAL" else v
        for v in standing.verdicts
    )
    assert only_convention(replace(standing, verdicts=lacking)).held_by == "the mask requirements"
    causal = right(declared={"causal alignment": "top-left"}, verified={})
    assert only_convention(causal).held_by == "MASK-CAUSAL"
    assert only_convention(replace(causal, verdicts=lacking)).held_by == ""


def test_shapes_of_masks_have_their_commas() -> None:
    found = only_convention(right(declared={"mask shapes": "(n_q n_k), (B 1 n_q n_k)"}, verified={}))
    assert found.declared == "(n_q, n_k), (B, 1, n_q, n_k)"


def test_an_implementation_lacks_only_what_made_a_requirement_not_applicable() -> None:
    standing = right()
    assert lacking(standing)["scale"] == ["SCALE-USER"]
    assert set(lacking(standing)) == {"scale", "dropout"}
    passed = tuple(replace(verdict, status=Status.PASS) for verdict in standing.verdicts)
    assert lacking(replace(standing, verdicts=passed)) == {}


def test_more_than_one_path_offers_paths() -> None:
    run = only(sample(), RIGHT)
    needy = tuple(
        replace(info, needs=("paths",) if info.id == "PATH-AGREE" else ()) for info in run.requirements
    )
    [standing] = standings(replace(run, requirements=needy))
    verdicts = tuple(
        replace(v, status=Status.NOT_APPLICABLE) for v in standing.verdicts if v.requirement == "PATH-AGREE"
    )
    assert lacking(replace(standing, verdicts=verdicts)) == {"paths": ["PATH-AGREE"]}
    two = replace(standing.record, variants=("eval", "train"))
    assert lacking(replace(standing, verdicts=verdicts, record=two)) == {}
