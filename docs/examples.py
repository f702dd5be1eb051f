"""What the site shows of headcheck at work: drawn from runs that are made when it is built.

All of it runs on NumPy, so that the site is built without a framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import headcheck
import numpy as np
from headcheck.adapters.protocol import DType
from headcheck.cases import RECIPES, Recipe
from headcheck.observation import Measured
from headcheck.pool import ALPHABET
from headcheck.record import read
from headcheck.reference.cost_model import operations
from headcheck.reference.faults.catalogue import FAULTS
from headcheck.reports.charts import Law, distribution, loglog
from headcheck.reports.document import part
from headcheck.reports.heatmap import compare
from headcheck.reports.measured import measured
from headcheck.verdicts import Run, Verdict

from benchmarks import bound

from . import transcript
from .catalogue import prose, table

WRONG = "attention.py"  # of how-to/pytest.md: its scale is wrong
SHOWN, SCALE = "PROJ-ORACLE", "SCALE-DK"
RIGHT = "numpy"
CLOSE: Mapping[DType, tuple[float, float]] = {  # the defaults of torch.testing.assert_close
    "float64": (1e-7, 1e-7),
    "float32": (1.3e-6, 1e-5),
    "float16": (1e-3, 1e-5),
}
LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
WIDTH = 64


def drawn(folder: Path) -> Mapping[str, str]:
    """Run what is shown, put whole pages into a folder, and return the figures by name."""
    folder.mkdir(exist_ok=True)
    wrong = judged(folder)
    right = headcheck.check(RIGHT, raises=False)
    return {
        "report": report(),
        "heatmap": heatmap(verdict(wrong, SHOWN)),
        "scale_axis": scale(verdict(wrong, SCALE)),
        "ratios": ratios(right, wrong),
        "power": power(),
        "costs": costs(),
        "cost_plot": cost_plot(),
    }


def judged(folder: Path) -> Run:
    """Judge the wrong class of a how-to page with the command that a reader would use; keep its report."""
    page = Path(__file__).with_name("how-to") / "pytest.md"
    [text] = [one.text for one in transcript.blocks(page.read_text("utf-8")) if one.file == WRONG]
    with TemporaryDirectory() as project:
        Path(project, WRONG).write_text(text, "utf-8")
        command = f"headcheck run {WRONG}:Attention --html report.html --json results.json"
        said, status = transcript.run(command, Path(project))
        if status != 1:
            raise RuntimeError(f"`{command}` ended with status {status}, expected 1:\n{said}")
        (folder / "report.html").write_bytes(Path(project, "report.html").read_bytes())
        return read(Path(project, "results.json"))


def verdict(run: Run, requirement: str) -> Verdict:
    """Return the verdict of a run on one requirement."""
    [found] = [one for one in run.verdicts if one.requirement == requirement]
    return found


def report() -> str:
    """Return the report of the wrong class, in a frame; for a page at the top of the site."""
    frame = '<iframe src="report.html" title="a report of headcheck" loading="lazy"></iframe>'
    return figure(frame, "The report of the same mistake made in NumPy, from a run when this page was built.")


def heatmap(failed: Verdict) -> str:
    """Return expected, actual and difference of a failure."""
    assert failed.evidence is not None
    comparison = compare(failed.evidence)
    assert comparison is not None
    words = f"{failed.requirement}: {failed.message}, on {failed.evidence.case_text}"
    return figure(part("panels", comparison), words)


def scale(found: Verdict) -> str:
    """Return the measured scale among its near misses."""
    axis = measured(found).scale
    assert axis is not None
    return figure(axis.axis, f"{found.requirement}, at {axis.size}: {found.message}")


def ratios(right: Run, wrong: Run) -> str:
    """Return how errors are distributed over their bounds, of a right implementation and a wrong one."""
    rows = [
        f"<tr><th>{words}</th><td>{dtype}</td><td>{len(values)}</td><td>{max(values):.2g}</td>"
        f"<td>{distribution(values)}</td></tr>"
        for words, run in (("the reference", right), ("scaled by 1/√d_model", wrong))
        for dtype, values in run.subjects[0].ratios.items()
    ]
    head = "".join(f"<th>{name}</th>" for name in ("", "dtype", "comparisons", "worst", "error over bound"))
    return f'<table class="ratios"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def power() -> str:
    """Return how many examples give a fault away, by the bound and by the tolerances of torch.testing."""
    recipes = tuple(recipe for recipe in RECIPES if recipe != "ramp")
    rows = [(f"right, in {dtype}", *_found(RIGHT, recipes, dtype)) for dtype in CLOSE]
    rows += [(f"{prose(words)}", *_found(fault, ("normal",))) for words, fault in bound.FAULTS.items()]
    return "\n".join(table(("implementation", "examples", "by the bound", "by assert_close"), rows))


def _found(subject: str | type, recipes: Sequence[Recipe], dtype: DType = "float32") -> tuple[str, str, str]:
    attend = bound.opened(subject)
    shapes = [shape for shape in ALPHABET[:14] if shape.n_k >= 3]
    cases = [
        replace(shapes[seed % len(shapes)], dtype=dtype, recipe=recipe, mask="none", seed=seed)
        for recipe in recipes
        for seed in range(bound.EXAMPLES)
    ]
    seen = list(attend(*(case.call for case in cases)))
    relative, absolute = CLOSE[dtype]

    def close(quantity: Measured) -> bool:
        return np.allclose(quantity.values, quantity.exact(), rtol=relative, atol=absolute)

    beyond = sum(bound.ratio(one) > 1.0 for one in seen)
    apart = sum(not (close(one.output) and close(one.weights)) for one in seen)
    return str(len(seen)), str(beyond), str(apart)


def costs() -> str:
    """Return the laws that were counted: of the reference, and of the faults of cost."""
    rows = [("the reference", *_law(RIGHT))] + [
        (f"{prose(fault.lie)}", *_law(fault.subject("numpy")))
        for fault in FAULTS
        if fault.family == "cost" and "numpy" in fault.frameworks
    ]
    return "\n".join(table(("implementation", "operations counted", "verdict"), rows))


def _law(subject: str) -> tuple[str, str]:
    run = headcheck.check(subject, only=["COST-QUADRATIC", "COST-HEADS"], raises=False)
    law = str(verdict(run, "COST-QUADRATIC").measured["polynomial"])
    broken = [one.requirement for one in run.verdicts if run.breaks(one)]
    return f"${law}$", " ".join(f"[{name}](../requirements/{name}.md)" for name in broken) or "as it must be"


def cost_plot() -> str:
    """Return exactly counted operations against the length, with the power law that fits them best."""
    counted = np.array([operations(n, n, WIDTH) for n in LENGTHS], dtype=float)
    exponent, logarithm = np.polyfit(np.log(LENGTHS), np.log(counted), 1)
    points = [(float(n), float(value)) for n, value in zip(LENGTHS, counted, strict=True)]
    law = Law(float(np.exp(logarithm)), float(exponent))
    chart = loglog(points, law, "length n", f"operations at d = {WIDTH}")
    return figure(chart, f"4 n² d + 8 n d² at d = {WIDTH}, and the power law that fits it best (dashed)")


def figure(drawing: str, caption: str) -> str:
    """Return a drawing with its caption, in one block of HTML."""
    lines: Iterator[str] | Sequence[str] = (line for line in str(drawing).splitlines() if line.strip())
    return f'<figure class="drawn">{"".join(lines)}<figcaption>{escape(caption)}</figcaption></figure>'
