"""The results file: round trip, schema, and what is said of files that cannot be used."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from headcheck import record
from headcheck.record import RecordError
from headcheck.verdicts import Evidence, Level, RequirementInfo, Run, Status, SubjectRecord, Verdict
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from tests.runs import EVERY_STATUS, HOSTILE, PASSING, any_run, evidence, hostile, run, verdict


def strictly(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not strict JSON")

    return json.loads(text, parse_constant=refuse)


def refused(text: str) -> str:
    with pytest.raises(RecordError) as caught:
        record.loads(text, "r.json")
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


@settings(deadline=None, max_examples=150)
@given(any_run())
def test_reading_what_was_written_gives_the_same_run(some: Run) -> None:
    text = record.dumps(some)
    Draft202012Validator(record.schema()).validate(strictly(text))
    again = record.loads(text)
    assert repr(again) == repr(some)  # by repr, in which NaN equals NaN
    assert record.dumps(again) == text


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_is_kept_whole(name: str) -> None:
    text = record.dumps(hostile(HOSTILE[name]))
    assert text.isascii()
    readable = HOSTILE[name].replace("\ud800", r"\ud800").replace("\udfff", r"\udfff")
    assert record.loads(text) == hostile(readable)
    assert strictly(text)["profile"] == readable


def test_numbers_that_are_not_finite_are_words_and_words_stay_words() -> None:
    proof = evidence(
        case={"special": "nan", "value": math.inf}, actual=[math.nan, -math.inf], worst_ratio=math.inf
    )
    one = verdict("MASK-ZERO", Status.FAIL, evidence=proof, measured={"scale": math.nan})
    written = strictly(record.dumps(run(one)))["verdicts"][0]
    assert written["evidence"]["actual"] == ["nan", "-inf"]
    assert written["evidence"]["worst_ratio"] == "inf"
    assert written["evidence"]["case"] == {"special": "nan", "value": {"number": "inf"}}
    assert written["measured"] == {"scale": {"number": "nan"}}
    back = record.loads(record.dumps(run(one))).verdicts[0].evidence
    assert back is not None
    assert back.case == {"special": "nan", "value": math.inf}


def test_arrays_of_a_library_are_recorded_as_lists() -> None:
    numpy = pytest.importorskip("numpy")
    proof = evidence(case={"sizes": numpy.array([1, 2])}, actual=numpy.array([[0.5, numpy.inf]]))
    back = record.loads(record.dumps(run(verdict("MASK-ZERO", Status.FAIL, evidence=proof))))
    assert back.verdicts[0].evidence == evidence(case={"sizes": [1, 2]}, actual=[[0.5, math.inf]])


def test_every_verdict_has_a_line_of_its_own() -> None:
    lines = record.dumps(EVERY_STATUS).splitlines()
    for one in EVERY_STATUS.verdicts:
        assert sum(f'"requirement": "{one.requirement}"' in line for line in lines) == 1


# The schema -------------------------------------------------------------------------------------------


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(record.schema())


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("requirement", RequirementInfo),
        ("subject", SubjectRecord),
        ("verdict", Verdict),
        ("evidence", Evidence),
    ],
)
def test_the_schema_has_the_fields_of_the_model(where: str, kind: type) -> None:
    described = record.schema()["$defs"][where]
    assert list(described["properties"]) == [field.name for field in fields(kind)]
    mandatory = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    assert described["required"] == mandatory
    assert described["additionalProperties"] is False


def test_the_schema_has_the_fields_of_a_run() -> None:
    described = record.schema()["properties"]
    footer = described["footer"]["properties"]
    written = {"format", "format_version", "footer"} ^ (set(described) | set(footer) - {"verdicts"})
    assert written == {field.name for field in fields(Run)}
    definitions = record.schema()["$defs"]
    assert definitions["verdict"]["properties"]["status"]["enum"] == [status.value for status in Status]
    assert definitions["requirement"]["properties"]["level"]["enum"] == [level.value for level in Level]


def test_every_property_of_the_schema_is_described() -> None:
    def undescribed(node: Any, path: str = "") -> list[str]:
        found = []
        if isinstance(node, dict):
            for name, property in node.get("properties", {}).items():
                found += [] if property.get("description") else [f"{path}.{name}"]
            for key, value in node.items():
                found += undescribed(value, f"{path}/{key}")
        return found

    assert undescribed(record.schema()) == []


# Files that cannot be used ----------------------------------------------------------------------------

WHOLE = record.dumps(EVERY_STATUS)


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(WHOLE), **changes})


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = record.dumps(PASSING)
    for length in range(len(whole.rstrip())):
        with pytest.raises(RecordError):
            record.loads(whole[:length])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_told_from_a_damaged_one(share: float) -> None:
    assert "cut short" in refused(WHOLE[: int(len(WHOLE) * share)])
    assert "damaged" in refused(WHOLE.replace('"verdicts": [', '"verdicts" [', 1))


def test_a_file_that_lost_verdicts_is_refused() -> None:
    fewer = json.loads(WHOLE)["verdicts"][:-1]
    assert "holds 10 verdicts, but its footer counts 11" in refused(edited(verdicts=fewer))
    headless = json.loads(WHOLE)
    del headless["footer"]
    assert "no footer" in refused(json.dumps(headless))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("<html>", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("1" * 10_000, "is not JSON"),
        ('{"x": NaN}', "NaN is not JSON"),
        ("[]", "is a JSON list"),
        ("3", "is a JSON value"),
        ("{}", "a JSON object with nothing in it"),
        ('{"created": 1, "summary": {}}', "a JSON object with 'created', 'summary'"),
        ('{"format": "other"}', "is \"format\": 'other'"),
        ('{"\\u001b[31m": 1}', r"'\x1b[31m'"),
    ],
)
def test_foreign_files_are_named_for_what_they_are(text: str, words: str) -> None:
    message = refused(text)
    assert words in message
    assert message.startswith("r.json")
    assert "headcheck run --json" in message


def test_a_newer_version_asks_for_an_upgrade() -> None:
    message = refused(edited(format_version=2, headcheck="9.0", unheard_of=1))
    assert "format_version 2" in message
    assert "'9.0'" in message
    assert "upgrade" in message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("seed",), "7", "seed is '7', not of type integer"),
        (("colour",), "red", "the document has 'colour', which is unknown"),
        (("verdicts", 3, "status"), "passed", "verdicts[3].status is 'passed', none of pass, fail,"),
        (("verdicts", 3, "examples"), -1, "verdicts[3].examples is -1, against minimum 0"),
        (("verdicts", 1, "evidence", "actual"), [["x"]], "verdicts[1].evidence.actual[0][0] is 'x'"),
        (("verdicts", 1, "evidence", "case"), [], "verdicts[1].evidence.case is [], not of type object"),
        (("subjects", 0), {"framework": "torch"}, "subjects[0] lacks 'name'"),
        (("format_version",), 0, "format_version is 0"),
    ],
)
def test_what_is_against_the_schema_is_named(path: tuple[Any, ...], value: Any, words: str) -> None:
    document = json.loads(WHOLE)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert words in refused(json.dumps(document))


def test_a_file_that_contradicts_itself_is_refused() -> None:
    document = json.loads(WHOLE)
    document["verdicts"][0]["subject"] = "other"
    assert "a verdict is on 'other', which is none of its subjects" in refused(json.dumps(document))
    document = json.loads(WHOLE)
    document["verdicts"][0]["requirement"] = "NO-SUCH"
    assert "'NO-SUCH', which is none of its requirements" in refused(json.dumps(document))
    document = json.loads(WHOLE)
    document["verdicts"][0] = document["verdicts"][1]
    assert "judged twice" in refused(json.dumps(document))


def test_fields_left_out_have_the_defaults_of_the_model() -> None:
    document = json.loads(record.dumps(PASSING))
    document["verdicts"] = [
        {key: one[key] for key in ("subject", "requirement", "level", "status")}
        for one in document["verdicts"]
    ]
    back = record.loads(json.dumps(document))
    assert back.verdicts[0] == Verdict(PASSING.verdicts[0].subject, "SHAPE-OUTPUT", Level.MUST, Status.PASS)


def test_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text(WHOLE, encoding="utf-8")
    assert record.read(good) == EVERY_STATUS
    good.write_text("\ufeff" + WHOLE, encoding="utf-8")
    assert record.read(str(good)) == EVERY_STATUS
    bad = tmp_path / "bad.json"
    bad.write_bytes(WHOLE.encode("utf-16"))
    for path, words in (
        (bad, "not UTF-8"),
        (tmp_path / "none.json", "No such file"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(RecordError, match=words) as caught:
            record.read(path)
        assert str(path) in str(caught.value)
    with pytest.raises(RecordError, match="cannot read"):
        record.read("nul\0byte")


def test_an_interrupted_run_is_told_from_a_whole_one() -> None:
    assert record.loads(record.dumps(replace(PASSING, complete=False))).complete is False
    assert record.loads(record.dumps(PASSING)).complete is True
