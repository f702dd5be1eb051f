"""`headcheck list`, `spec` and `explain`: what can be judged, and by what."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..verdicts import RequirementInfo
from .usage import Misuse, UsageCommand


@click.command(name="list", cls=UsageCommand)
def subjects() -> None:
    """List the built-in subjects, and whether their frameworks are installed."""
    from headcheck.adapters.subjects import BUILT_IN, installed

    here = set(installed())
    width = max(map(len, BUILT_IN))
    for name, entry in BUILT_IN.items():
        note = "" if name in here else f"  ({entry.module} is not installed)"
        click.echo(f"{name:{width}}  {entry.description}{note}")


@click.command(name="spec", cls=UsageCommand)
@click.option("--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table",
              show_default=True, help="How to print.")  # fmt: skip
@click.option("--only", multiple=True, metavar="GLOB", help="Print only requirements that match.")
def table(form: str, only: tuple[str, ...]) -> None:
    """Print the specification: every requirement in one sentence."""
    from ..specification import SPEC_VERSION, select

    infos = [requirement.info for requirement in select(only)]
    if not infos:
        raise Misuse(f"no requirement matches {', '.join(map(repr, only))}; `headcheck spec` lists them")
    if form == "json":
        click.echo(
            json.dumps({"spec": SPEC_VERSION, "requirements": [asdict(info) for info in infos]}, indent=2)
        )
    elif form == "markdown":
        click.echo("| ID | level | statement | needs |\n|---|---|---|---|")
        for info in infos:
            click.echo(f"| {info.id} | {info.level} | {info.statement} | {', '.join(info.needs)} |")
    else:
        _print_table(infos)


def _print_table(infos: list[RequirementInfo]) -> None:
    from rich.console import Console
    from rich.table import Table

    family = ""
    console = Console(highlight=False)
    grid = Table.grid(padding=(0, 2))
    for info in infos:
        if info.family != family:
            family = info.family
            grid.add_row("")
            grid.add_row(f"[bold]{family.capitalize()}[/bold]")
        grid.add_row(info.id, str(info.level), info.statement)
    console.print(grid)


@click.command(name="explain", cls=UsageCommand)
@click.argument("id")
def explain(id: str) -> None:
    """Explain one requirement: what it says and why it matters."""
    from headcheck.reports.capabilities import applies
    from headcheck.reports.plain_math import formula
    from headcheck.reports.terminal import encodable
    from rich.console import Console
    from rich.markup import escape
    from rich.text import Text

    from ..specification import named, specification

    try:
        info = named(id.upper()).info
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(id.upper(), [requirement.id for requirement in specification()], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`headcheck spec` lists them"
        raise Misuse(f"no requirement {id!r}; {hint}") from None
    console = Console(highlight=False)
    console.print(f"[bold]{info.id}[/bold]  {info.level}, {info.family}, since {info.since}")
    console.print(f"\n{escape(info.statement)}.\n", soft_wrap=False)
    for line in encodable(Text(formula(info.formula)), console).wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text("  ") + line)
    console.print(f"\n{escape(info.why)}")
    console.print(f"\nIt {applies(info.needs)}.")
    if info.depends_on:
        console.print(f"Judged only where these hold: {', '.join(info.depends_on)}")
