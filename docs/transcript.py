"""The commands of a page are run and their output is what the page shows.

A page tells of a folder: a block with a caption writes that file, a block of diff changes it, and in a block
of console each line after "$ " is a command, with its output below it.

    python docs/transcript.py docs/tutorial.md

runs a page in an empty folder and writes what came out of it into the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

BLOCK = re.compile(
    r"^```(?:\{code-block\} )?(?P<language>\w+)\n(?::caption: (?P<file>\S+)\n+)?(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PROJECT = "/home/you/project"  # what a page calls the folder
COLUMNS = "80"

# A case is shrunk by another library, whose next version may find another smallest one: the lines that hold
# it are not compared, and elsewhere no number is, but one that stands alone (an exit status) or that counts
# verdicts.
CASE = re.compile(
    r"^ *(case|expected|actual|error|matches|replay) .*\n(?: {14}.*\n)*|^(case|when) = .*\n", re.MULTILINE
)
COUNTED = (
    "of the|requirements?|new|known|failures?|deviations?|blocked|not applicable|x?failed|passed|skipped"
)
NUMBER = re.compile(rf"\d+(?:[.,-]\d+)*(?:e[+-]?\d+)?(?!\d| (?:{COUNTED}))")


@dataclass(frozen=True)
class Command:
    """One command of a page, what the page shows of it and what came."""

    command: str
    shown: str
    came: str

    @property
    def same(self) -> bool:
        """Whether the page shows what came, but for what may differ."""
        return settled(self.shown) == settled(self.came)


@dataclass(frozen=True)
class Block:
    """One block of a page: where its text stands, and what it is."""

    start: int
    end: int
    language: str
    file: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks that write files, change them, or run commands."""
    for match in BLOCK.finditer(page):
        language, file = match["language"], match["file"] or ""
        if language == "console" or file:
            yield Block(match.start("text"), match.end("text"), language, file, match["text"])


def changed(text: str, diff: str) -> str:
    """Return a text with the hunks of a diff applied; ValueError where one does not fit."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        if text.count(before) != 1:
            raise ValueError(f"found {text.count(before)} times, expected once:\n{before}")
        text = text.replace(before, after)
    return text


def settled(output: str) -> str:
    """Return an output without what may differ between two runs, in one line."""
    if output.strip().isdigit():
        return output.strip()
    return NUMBER.sub("#", " ".join(CASE.sub("", output).split()))


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block with their outputs as shown."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = f"{command}\n{more}"
        yield command, output


def played(page: str, folder: Path) -> Iterator[tuple[Block, list[Command]]]:
    """Do in a folder what a page says, block by block; yield each block with its commands."""
    status = 0
    for block in blocks(page):
        done: list[Command] = []
        if block.language == "console":
            for command, shown in commands(block.text):
                came, status = run(command, folder, status)
                done.append(Command(command, shown, came))
        else:
            file = folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            diff = block.language == "diff"
            file.write_text(changed(file.read_text("utf-8"), block.text) if diff else block.text, "utf-8")
        yield block, done


def run(command: str, folder: Path, status: int = 0) -> tuple[str, int]:
    """Run one command as a shell would after one of this status; return its output and its status."""
    done = subprocess.run(
        ["bash", "-c", f"(exit {status})\n{command}"],
        cwd=folder,
        env=environment(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    output = done.stdout.replace(str(folder.resolve()), PROJECT).replace(str(folder), PROJECT)
    return "".join(f"{line.rstrip()}\n" for line in output.splitlines()), done.returncode


def environment(of: Mapping[str, str]) -> dict[str, str]:
    """Return the variables in which a page's commands run: none of the reader's settings."""
    foreign = ("HEADCHECK_", "PYTEST_", "GIT_", "CI", "BUILD_NUMBER")  # in CI pytest prints at more length
    kept = {name: value for name, value in of.items() if not name.startswith(foreign)}
    path = os.pathsep.join([sysconfig.get_path("scripts"), of["PATH"]])
    return kept | {"PATH": path, "COLUMNS": COLUMNS, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def rewritten(page: str, folder: Path) -> str:
    """Return a page with the outputs that its commands give now."""
    parts, end = [], 0
    for block, done in played(page, folder):
        if done:
            text = "".join(f"$ {one.command}\n{one.came}" for one in done)
            parts += [page[end : block.start], text]
            end = block.end
    return "".join([*parts, page[end:]])


def main(paths: list[str]) -> None:
    """Write into each page what its commands give."""
    for path in map(Path, paths):
        with TemporaryDirectory() as folder:
            path.write_text(rewritten(path.read_text("utf-8"), Path(folder)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
