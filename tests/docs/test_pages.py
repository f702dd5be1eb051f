"""What a page says a command prints is what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.transcript import blocks, changed, commands, played, settled

DOCS = Path(__file__).parents[2] / "docs"
PLAYED = {
    "tutorial.md": "torch",
    "how-to/adapter.md": "numpy",
    "how-to/pytest.md": "numpy",
    "explanation/cost.md": "numpy",
}


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=getattr(pytest.mark, where)) for page, where in PLAYED.items()]
)
def test_every_command_prints_what_the_page_shows(page: str, tmp_path: Path) -> None:
    if PLAYED[page] == "torch":
        pytest.importorskip("torch")
    done = [one for _, ran in played((DOCS / page).read_text("utf-8"), tmp_path) for one in ran]
    assert done
    wrong = [one for one in done if not one.same]
    told = "\n\n".join(f"$ {one.command}\nshown:\n{one.shown}\nprinted:\n{one.came}" for one in wrong)
    assert not wrong, f"`python docs/transcript.py docs/{page}` writes what is printed now:\n{told}"


def test_no_page_with_commands_is_left_out() -> None:
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "requirements" not in path.parts}
    with_commands = {page for page in pages if any(b.language == "console" for b in _blocks(page))}
    assert with_commands == set(PLAYED)


def _blocks(page: str) -> list:
    return list(blocks((DOCS / page).read_text("utf-8")))


def test_another_output_is_noticed(tmp_path: Path) -> None:
    page = "```console\n$ echo right\nwrong\n$ echo same 12\nsame 13\n$ echo $?\n1\n```\n"
    [(_, done)] = played(page, tmp_path)
    assert [one.same for one in done] == [False, True, False]


def test_files_are_written_and_changed(tmp_path: Path) -> None:
    page = (
        "```{code-block} python\n:caption: one.py\n\nprint(1)\n```\n"
        "```{code-block} diff\n:caption: one.py\n\n-print(1)\n+print(2)\n```\n"
        "```console\n$ cat one.py\nprint(2)\n```\n"
    )
    *_, (_, [command]) = played(page, tmp_path)
    assert command.came == "print(2)\n"
    with pytest.raises(ValueError, match="found 0 times"):
        changed("print(3)\n", "-print(1)\n+print(2)\n")


def test_a_command_may_go_on_over_lines() -> None:
    assert list(commands("$ a \\\nb\nout\n$ c\n")) == [("a \\\nb", "out\n"), ("c", "")]


def test_what_may_differ_between_runs_is_not_compared() -> None:
    shown = "  ✗ SCALE-DK  is 0.5\n    case      B=1, n_q=2\n              float64\n    message\n"
    came = "  ✗ SCALE-DK  is 0.7\n    case      B=3\n    message\n"
    assert settled(shown) == settled(came) != settled(came.replace("message", "another"))
    assert settled("breaks 13 of the 60\n requirements, 0.1 s") == settled(
        "breaks 13 of the 60 requirements, 2.3 s"
    )
    assert settled("breaks 13 of the 60 requirements") != settled("breaks 3 of the 60 requirements")
