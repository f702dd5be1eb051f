"""The baseline file: round trip, form, and what is said of files that cannot be used."""

from __future__ import annotations

import string
import tomllib
from datetime import date
from pathlib import Path

import pytest
from headcheck import baseline
from headcheck.baseline import Baseline, BaselineError, Entry
from headcheck.known_failures import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs import HOSTILE

words = st.text(min_size=1, max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
entries = st.builds(
    Entry,
    subject=words,
    requirement=words,
    kind=st.sampled_from(KINDS),
    variant=st.none() | st.text(max_size=8),
    when=st.dictionaries(st.sampled_from(["dtype", "device"]), st.text(max_size=8)),
    reason=st.text(),
    link=st.text(),
    expires=st.none() | st.dates(),
    case=st.dictionaries(words, values, max_size=4),
)
A = Entry("a.py:A", "MASK-ZERO", variant="", when={"dtype": "float32"}, case={"n_q": 1, "mask": "keys"})
B = Entry("a.py:A", "SCALE-DK", "crash", reason="slow", link="https://e.org/1", expires=date(2027, 1, 31))


@settings(deadline=None)
@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.key))
def test_reading_what_was_written_gives_the_same_list(some: list[Entry]) -> None:
    listed = Baseline(tuple(sorted(some, key=lambda entry: entry.key)))
    text = baseline.dumps(listed)
    assert baseline.loads(text) == listed
    assert baseline.dumps(baseline.loads(text)) == text


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_is_kept_and_does_nothing(name: str) -> None:
    text = HOSTILE[name]
    listed = Baseline((Entry(text, text, reason=text, variant=text, case={text: text}),))
    read = baseline.loads(baseline.dumps(listed).encode().decode())
    readable = text.encode("utf-8", "backslashreplace").decode()
    assert read.entries == (
        Entry(readable, readable, reason=readable, variant=readable, case={readable: readable}),
    )


def test_the_file_is_sorted_and_has_a_table_an_entry() -> None:
    text = baseline.dumps(Baseline((B, A)))
    assert text == baseline.dumps(Baseline((A, B)))
    tables = tomllib.loads(text)["failure"]
    assert [table["requirement"] for table in tables] == ["MASK-ZERO", "SCALE-DK"]
    assert tables[1]["expires"] == date(2027, 1, 31)
    written = text.split("[[failure]]\n")[1].strip().splitlines()
    assert written == [
        'subject = "a.py:A"',
        'requirement = "MASK-ZERO"',
        'variant = ""',
        'when = {dtype = "float32"}',
        'kind = "fail"',
        'reason = ""',
        'link = ""',
        'case = {n_q = 1, mask = "keys"}',
    ]


def test_branches_that_add_different_failures_touch_different_lines() -> None:
    middle = Entry("a.py:A", "PATH-AGREE")
    before, after = baseline.dumps(Baseline((A, B))), baseline.dumps(Baseline((A, middle, B)))
    added = baseline.dumps(Baseline((middle,))).split("[[failure]]")[1]
    assert after.replace(f"[[failure]]{added.rstrip()}\n\n", "", 1) == before


def test_what_is_none_in_a_case_is_left_out() -> None:
    listed = Baseline((Entry("s", "R", case={"mask": None, "n_q": 1}),))
    assert baseline.loads(baseline.dumps(listed)).entries[0].case == {"n_q": 1}


WHOLE = baseline.dumps(Baseline((A, B)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "b.toml is not TOML"),
        ("a = " + "[" * 5000, "b.toml is not TOML"),
        ("", 'b.toml has no format = "headcheck-baseline"'),
        ("[tool.x]\ny = 1", 'b.toml has no format = "headcheck-baseline"'),
        (
            WHOLE.replace("format_version = 1", "format_version = 2"),
            "format_version 2, and this headcheck reads 1",
        ),
        (WHOLE.replace("format_version = 1", "format_version = true"), "has no format"),
        (WHOLE.replace("[[failure]]", "[[failures]]"), "unknown key 'failures'; expected tables [[failure]]"),
        (WHOLE.split("[[")[0] + "failure = 3", "failure is no list of tables"),
        (
            WHOLE.replace("reason =", "raeson =", 1),
            "unknown key 'raeson'; did you mean reason?",
        ),
        (WHOLE.replace("reason =", "zzz =", 1), "expected subject, requirement, variant,"),
        (
            WHOLE.replace('kind = "crash"', 'kind = "broken"'),
            "kind is 'broken'; expected one of fail,",
        ),
        (WHOLE.replace('kind = "crash"\n', ""), "failure 2 has no kind"),
        (WHOLE.replace("2027-01-31", '"2027-01-31"'), "expires is '2027-01-31'; expected a date like"),
        (WHOLE.replace("2027-01-31", "2027-01-31T00:00:00"), "expected a date like 2027-01-31"),
        (WHOLE.replace('variant = ""', "variant = 1"), "failure 1: variant is 1; expected text"),
        (WHOLE.replace("{dtype", "{dtpe"), "failure 1: when has dtpe = 'float32'; expected dtype or device"),
        (
            WHOLE + "\n[[failure]]" + WHOLE.split("[[failure]]")[2],
            "failures 2 and 3 are on the same SCALE-DK",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_explained_in_a_line(text: str, words: str) -> None:
    with pytest.raises(BaselineError) as caught:
        baseline.loads(text, "b.toml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path, said in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory"), (binary, "UTF-8")):
        with pytest.raises(BaselineError, match=said) as caught:
            baseline.read(path)
        assert str(path) in str(caught.value)
    good = tmp_path / "good.toml"
    good.write_text(WHOLE, encoding="utf-8")
    assert baseline.read(good) == Baseline((A, B), str(good))


@given(st.text(string.printable, max_size=80))
def test_no_text_at_all_raises_anything_else(text: str) -> None:
    with pytest.raises(BaselineError):
        baseline.loads(text)
