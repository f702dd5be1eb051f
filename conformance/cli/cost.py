"""`headcheck cost`: what a subject's operations amount to, counted and, with a picture, timed."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from .tables import table
from .usage import Misuse, Seconds, UsageCommand

if TYPE_CHECKING:
    from ..attend import Attend
    from ..cases import Case
    from ..costing import CostFinding
    from ..timing import Measurement

WRONG, UNDECIDED = 1, 5
_SAYS = {
    "holds": "costs what multi-head attention has to cost",
    "broken": "does not cost what multi-head attention has to cost",
    "inconclusive": "undecided",
}
_INDENTED: dict[str, Any] = {"initial_indent": "  ", "subsequent_indent": "    ", "break_on_hyphens": False}


@click.command(name="cost", cls=UsageCommand)
@click.argument("subject")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="F",
              help="Measure time and memory too, and draw both as SVG (a minute or less).")  # fmt: skip
@click.option("--d-model", type=click.IntRange(min=1), metavar="N", default=512, show_default=True,
              help="Width of the model in the table.")  # fmt: skip
@click.option("--num-heads", type=click.IntRange(min=1), metavar="N", default=8, show_default=True,
              help="Number of heads in the table.")  # fmt: skip
@click.option("--seq-len", type=click.IntRange(min=1), metavar="N", default=10, show_default=True,
              help="Sequence length in the table.")  # fmt: skip
@click.option("--timeout", type=Seconds(), metavar="SECONDS", default=60.0, show_default=True,
              help="The longest that one call may take.")  # fmt: skip
@click.pass_context
def command(
    context: click.Context,
    subject: str,
    plot: Path | None,
    d_model: int,
    num_heads: int,
    seq_len: int,
    timeout: float,
) -> None:
    """Count the operations of SUBJECT, and find the polynomial that they follow.

    A table shows them beside those of one head and of full-width heads.

    Exit status: 0 where it is 4 n^2 d + 8 n d^2, 1 where it is not, 4 usage, 5 where it cannot be told.
    """
    if d_model % num_heads:
        raise Misuse(f"--num-heads {num_heads} does not divide --d-model {d_model}")
    if plot and plot.suffix.lower() != ".svg":
        raise Misuse(f"--plot draws SVG: give it a name that ends in .svg, not {plot.name}")
    if plot and not plot.parent.is_dir():
        raise Misuse(f"cannot write {plot}: there is no folder {plot.parent}")

    from headcheck.adapters.protocol import SubjectError

    from ..attend import Attend
    from ..cases import Case
    from ..families.cost import finding
    from ..session import Isolated
    from ..worker import Crashed, TimedOut

    try:
        with Isolated(subject, timeout=timeout) as session:
            declaration = session.declare()
            attend = Attend(session, declaration, declaration.conventions)
            case = Case().fitted(declaration)
            if not attend.offers("cost"):
                click.echo(f"{subject}: its operations cannot be counted")
                context.exit(UNDECIDED)
            found = finding(attend, case)
            click.echo("\n".join(_lines(attend, case, found, (d_model, num_heads, seq_len))))
    except SubjectError as error:
        raise Misuse(str(error)) from None
    except (Crashed, TimedOut) as error:
        click.echo(f"{subject}: {error} while its operations were counted")
        context.exit(WRONG)
    if plot:
        _draw(subject, plot)
    context.exit({"holds": 0, "broken": WRONG}.get(found.verdict, UNDECIDED))


def _lines(attend: Attend, case: Case, found: CostFinding, sizes: tuple[int, int, int]) -> list[str]:
    from headcheck.adapters.protocol import Build

    from ..families.cost import comparison, record_finding

    record_finding(attend, case, found)
    laws = [f"{name:<24}{law}" for name, law in attend.measured.items() if law]
    d, h, n = sizes
    compared = comparison(attend, case, found, Build(d, h), n)
    rows = [[cell if isinstance(cell, str) else f"{cell:,}" for cell in row] for row in compared["rows"]]
    return [attend.reference, *_said(found), "", *laws, *[""] * bool(laws), *table(compared["columns"], rows)]


def _said(found: CostFinding) -> list[str]:
    """Return the verdict, and beneath it what was counted and each wrong term on a line of its own."""
    head, _, terms = found.message.partition(": ")
    lines = [head, *(f"  {term}" for term in terms.split("; "))] if found.message else []
    return [_SAYS[found.verdict], *(part for line in lines for part in wrap(line, 78, **_INDENTED))]


def _draw(subject: str, file: Path) -> None:
    """Measure, print the exponents, write the picture."""
    from headcheck.reports.charts import Law, loglog
    from headcheck.reports.figure import figure

    from ..timing import Unmeasured, laws

    try:
        fitted = laws(_measured(subject))
    except Unmeasured as reason:
        click.echo(f"headcheck: {reason}", err=True)
        return
    click.echo("")
    charts = []
    for law in fitted:
        click.echo(f"{law.y_name} grows as {law}")
        drawn = Law(law.coefficient, law.exponent, law.interval)
        charts.append((law.title, loglog(law.points, drawn, law.x_name, law.y_name, law.unit)))
    file.write_text(figure(f"time and memory of {subject}", charts), encoding="utf-8")
    click.echo(f"Picture: {file}")


def _measured(subject: str) -> list[Measurement]:
    """Measure, with progress where a person is looking."""
    from ..timing import SIZES, measure

    if not sys.stderr.isatty():
        return list(measure(subject))
    size = 2 * sum(map(len, SIZES.values()))
    with click.progressbar(measure(subject), size, "measuring", file=sys.stderr) as measurements:
        return list(measurements)
