"""`headcheck selftest`: the suite against its own faults."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .usage import Misuse, UsageCommand

FRAMEWORKS = ("numpy", "torch", "jax")
PROFILE_NAMES = ("smoke", "standard", "deep")


@click.command(name="selftest", cls=UsageCommand)
@click.option("--framework", "frameworks", type=click.Choice(FRAMEWORKS), multiple=True,
              help="The framework to try; may be repeated.  [default: those installed]")  # fmt: skip
@click.option("--profile", type=click.Choice(PROFILE_NAMES), default="standard",
              show_default=True, help="How many cases to try.")  # fmt: skip
@click.option("--only", multiple=True, metavar="GLOB", help="Try only faults and styles whose names match.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True,
              help="How many seeds to judge a right style on.")  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Write the matrix as a page.")
@click.option("--others", type=click.Choice(("none", *PROFILE_NAMES)), default="smoke", show_default=True,
              help="How much the other requirements try on a fault that its own has caught.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print only what is wrong with the suite.")
def command(
    frameworks: tuple[str, ...],
    profile: str,
    only: tuple[str, ...],
    seeds: int,
    html: Path | None,
    others: str,
    quiet: bool,
) -> int:
    """Judge the suite itself, by planted faults and right styles.

    A planted fault is an implementation that is wrong in one known way.  A right style is a right
    implementation, written in an unusual way.  Prints what catches each fault, and which right style fails.

    Exit status: 0 where every fault is caught by the requirement meant for it and no right style fails,
    1 where not, 4 usage.
    """
    import warnings
    from fnmatch import fnmatchcase
    from importlib.util import find_spec

    from .. import selftest
    from ..pool import PROFILES
    from ..specification import specification

    beside = PROFILES.get(others)
    chosen = frameworks or tuple(name for name in FRAMEWORKS if find_spec(name))
    requirements = tuple(one for one in specification() if not one.deep)
    candidates = [
        candidate
        for candidate in selftest.candidates(chosen)
        if not only or any(fnmatchcase(candidate.name, glob) for glob in only)
    ]
    if not candidates:
        raise Misuse(f"no fault or style matches {', '.join(only)} on {', '.join(chosen)}")
    trials = []
    for candidate in candidates:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what NumPy says of a fault is not news
            trial = selftest.tried(candidate, requirements, PROFILES[profile], range(seeds), others=beside)
        trials.append(trial)
        if not quiet or not trial.good:
            more = [one for one in trial.caught_by if one != trial.meant]
            also = f"; also {', '.join(more)}" if trial.meant and more else ""
            what = f"meant for {trial.meant}" if trial.meant else trial.says
            click.echo(f"{trial.framework:5} {trial.name:36} {trial.verdict:17} {what}{also}")
    holes = selftest.holes(trials, requirements if not only else ())
    counts = Counter(trial.verdict for trial in trials)
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    for hole in holes:
        click.echo(f"hole: {hole}")
    if html:
        from headcheck.reports.kill_matrix import render

        infos = [one.info for one in requirements]
        page = render(trials, infos, profile, others=dict.fromkeys(chosen, others))
        html.write_text(page, encoding="utf-8")
        click.echo(f"Matrix: {html}")
    return 1 if holes else 0
