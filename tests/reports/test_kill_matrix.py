from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from headcheck.reports.kill_matrix import Kills, render

from .sample import REQUIREMENTS

OTHERS = {"numpy": "smoke", "torch": "smoke", "jax": "none"}


@dataclass(frozen=True)
class Tried:
    name: str
    framework: str
    meant: str
    says: str
    caught_by: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    error: str = ""

    @property
    def verdict(self) -> str:
        if self.error:
            return "not judged"
        if not self.meant:
            return "accused" if self.caught_by else "left in peace"
        if self.meant in self.caught_by:
            return "caught"
        return "caught by another" if self.caught_by else "missed"

    @property
    def good(self) -> bool:
        return self.verdict in {"caught", "left in peace"}


def trials() -> list[Tried]:
    """A fault for every requirement but one, caught; one missed, one not judged; one right style accused."""
    lie = "Scores are scaled by <b>1/sqrt(d_model)</b>"
    found = [
        Tried(
            f"Fault{place}", framework, info.id, lie, (info.id, "PROJ-ORACLE"), ("off by 0.2", "off by 0.3")
        )
        for place, info in enumerate(REQUIREMENTS[1:])
        for framework in ("numpy", "torch")
    ]
    return [
        *found,
        Tried("Silent", "numpy", "MASK-PURE", lie),
        Tried("Silent", "torch", "MASK-PURE", lie, ("MASK-ZERO",), ("not zero",)),
        Tried("Einsum", "numpy", "", "Contracts by einsum"),
        Tried("Packed", "torch", "", "One packed matrix", ("PROJ-COUNT",), ("counts 3 d^2",)),
        Tried("Broken", "jax", "NUM-NAN", lie, error="the module cannot be built"),
    ]


def test_what_is_wrong_with_the_suite_comes_first() -> None:
    holes = Kills(tuple(trials()), REQUIREMENTS, "standard", OTHERS).holes
    assert [(hole.verdict, hole.name, hole.framework, hole.what) for hole in holes] == [
        ("missed", "Silent", "numpy", "meant for MASK-PURE; nothing caught it"),
        ("caught by another", "Silent", "torch", "meant for MASK-PURE; caught by MASK-ZERO: not zero"),
        ("accused", "Packed", "torch", "PROJ-COUNT: counts 3 d^2"),
        ("not judged", "Broken", "jax", "the module cannot be built"),
        ("untried", "DIV-REFUSE", "everywhere", "no fault is planted for it"),
    ]


def test_power_counts_faults_not_trials() -> None:
    power = {
        info.id: counts for info, *counts in Kills(tuple(trials()), REQUIREMENTS, "standard", OTHERS).power
    }
    assert power["DIV-REFUSE"] == [0, 0]
    assert power["SCALE-DK"] == [1, 1]
    assert power["MASK-PURE"] == [2, 1]
    assert power["PROJ-ORACLE"] == [1, len(REQUIREMENTS) - 1]


def test_the_headline() -> None:
    all_tried = 2 * (len(REQUIREMENTS) - 1) + 3
    kills = Kills(tuple(trials()), REQUIREMENTS, "standard", OTHERS)
    assert kills.headline == (
        f"{all_tried - 3} of {all_tried} planted faults caught, 1 of 2 right implementations accused"
    )
    assert (
        Kills((), (), "smoke", {}).headline
        == "0 of 0 planted faults caught, none of 0 right implementations accused"
    )


def test_the_matrix_frames_what_is_meant_and_strikes_through_what_was_silent() -> None:
    page = render(trials(), REQUIREMENTS, "standard", others=OTHERS)
    rows = dict(re.findall(r'<a href="#fault-(\w+)">.*?</th>(.*?)</tr>', page, re.DOTALL))
    silent = re.findall(r"<td(?: class=\"([^\"]*)\")?>(.*?)</td>", rows["Silent"])
    assert len(silent) == len(REQUIREMENTS)
    columns = [info.id for info in REQUIREMENTS]
    assert silent[columns.index("MASK-ZERO")] == ("", "T")
    kind, text = silent[columns.index("MASK-PURE")]
    assert kind == "meant bad"
    assert re.sub("<[^>]*>", "", text).split() == ["N", "silentT", "silent"]
    fault = re.findall(r"<td(?: class=\"([^\"]*)\")?>(.*?)</td>", rows["Fault0"])
    assert fault[1] == ("meant", "NT")


def test_the_page_says_how_the_others_judged() -> None:
    page = render(trials(), REQUIREMENTS, "standard", others=OTHERS)
    assert "on numpy and torch by the others at smoke; on jax by that alone</p>" in page


def test_lies_are_escaped_and_links_have_their_targets() -> None:
    page = render(trials(), REQUIREMENTS, "standard", others=OTHERS)
    assert "<b>1/sqrt" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) - {"g-pass", "g-fail"} <= set(ids)


@pytest.mark.parametrize("profile", ["smoke", "standard"])
def test_nothing_tried_is_a_page_all_the_same(profile: str) -> None:
    assert f"Profile {profile}" in render([], REQUIREMENTS, profile, others={})
