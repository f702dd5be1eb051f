"""`headcheck run`: judge subjects, print the verdict, write the reports."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .settings import settings
from .usage import Misuse, Seconds, UsageCommand, say, show

if TYPE_CHECKING:
    from ..campaign import Plan
    from ..cases import Case
    from ..known_failures import Baseline
    from ..session import Session
    from ..verdicts import Run

PREFIX = "HEADCHECK"  # of environment variables
DEFAULT_REPORT = "headcheck-report.html"
PROFILES = ("smoke", "standard", "deep")


class RunCommand(UsageCommand):
    """Takes what the command line does not say from the environment, and then from the settings file."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the settings file before the arguments."""
        known = [parameter for parameter in self.params if parameter.name != "case_text"]
        from_file = {"default_map": settings(Path.cwd(), known), "auto_envvar_prefix": PREFIX}
        return super().make_context(*args, **(kwargs | from_file))


@click.command(name="run", cls=RunCommand)
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...", envvar=f"{PREFIX}_SUBJECTS")
@click.option("--profile", type=click.Choice(PROFILES), default="standard", show_default=True,
              help="How many cases to try; `smoke` cannot say conformant.")  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="GLOB", help="Judge only requirements that match, e.g. `'MASK-*'`."
)
@click.option("--skip", multiple=True, metavar="GLOB", help="Leave out requirements that match.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True,
              help="The seed from which cases and weights are drawn.")  # fmt: skip
@click.option(
    "--case", "case_text", metavar="JSON", help="Judge on this case first; a failure prints its own."
)
@click.option("--strict", is_flag=True, help="A deviation from a SHOULD fails the run.")
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="F", help="The list of known failures (TOML)."
)
@click.option(
    "--json",
    "json_",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Write the results file, which the other commands read.",
)
@click.option("--html", type=click.Path(path_type=Path), metavar="F",
              help=f"Where to write the report.  [default: {DEFAULT_REPORT}]")  # fmt: skip
@click.option("--no-html", is_flag=True, help="Write no report.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="F", help="Write JUnit XML.")
@click.option("--output", multiple=True, metavar="FORMAT=FILE",
              help="Write json, html, junit, sarif, github, summary, gitlab, badge or badge-svg; "
              "may be repeated.")  # fmt: skip
@click.option("--timeout", type=Seconds(), metavar="SECONDS", default=60.0, show_default=True,
              help="The longest that one call may take.")  # fmt: skip
@click.option("--isolate/--no-isolate", default=True, show_default=True,
              help="Run each subject in a process of its own, so a crash ends nothing else.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print one line per subject.")
def command(**options: Any) -> int:
    """Judge implementations of multi-head attention.

    A SUBJECT is package.module:Name, path/to/file.py:Name (a glob such as `file.py:My*` takes every
    class it matches), or a built-in name (`headcheck list`).  With none: the bundled NumPy reference
    and every built-in whose framework is installed.

    Options can also be set in [tool.headcheck] of pyproject.toml or in headcheck.toml, and by
    environment variables like HEADCHECK_PROFILE, which win over the file.

    Exit status: 0 conformant, or no failure found (`--profile smoke`, `--only`, `--skip`);
    1 not conformant; 2 interrupted; 3 an error of headcheck's own; 4 usage; 5 nothing judged.
    """
    outputs = _outputs(options)
    known = _known_failures(options["baseline"])
    sessions = Sessions(options["timeout"], isolate=options["isolate"])
    names, unusable = sessions.expanded(options["subjects"])
    sessions.prefetch(names)  # imports its framework while the modules that judge are loaded here
    try:
        plan = planned(options, names, unusable, known)
        ready([form for form, _ in outputs])
        run = carried_out(plan, sessions, quiet=options["quiet"])
    finally:
        sessions.close()
    if known is not None:
        run = _judged_against(known, run)
    return _report(run, outputs, options)


def _outputs(options: dict[str, Any]) -> list[tuple[str, Path]]:
    """Return what is to be written where; Misuse where that cannot be, said before anything is judged."""
    from headcheck.reports.outputs import OutputError, requested

    outputs = []
    if not options["no_html"]:
        outputs.append(("html", options["html"] or Path(DEFAULT_REPORT)))
    outputs += [(form, options[key]) for form, key in (("json", "json_"), ("junit", "junit")) if options[key]]
    try:
        outputs += [requested(text) for text in options["output"]]
    except OutputError as error:
        raise Misuse(str(error)) from None
    for number, (form, path) in enumerate(outputs):
        reason = unwritable(path)
        if reason:
            hint = "; give --html FILE or --no-html" if form == "html" else ""
            raise Misuse(f"cannot write {path}: {reason}{hint}")
        for other, same in outputs[:number]:
            if same == path and other != form:
                raise Misuse(f"{path} is given for {other} and for {form}; expected a file for each")
    return outputs


def unwritable(path: Path) -> str:
    """Return why a file cannot be written, "" where it can; nothing is left of the attempt."""
    if str(path) == "-":
        return "expected the name of a file, or /dev/stdout"
    there = path.exists()
    if there and not (path.is_file() or path.is_dir()):
        return ""  # a pipe or a device, which would take the attempt for the text
    try:
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        return f"there is no folder {path.parent}" if not path.parent.is_dir() else str(error.strerror)
    return ""


class Sessions:
    """Opens a session for each subject, the first of them before anything else is done."""

    def __init__(self, timeout: float, *, isolate: bool):
        self._timeout, self._isolate = timeout, isolate
        self._ready: dict[str, Session] = {}

    def expanded(self, references: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Return the concrete subjects, and why a reference names none."""
        from headcheck.adapters.built_in import installed
        from headcheck.adapters.errors import SubjectError

        from ..session import in_a_process
        from ..worker import Crashed, TimedOut

        names: list[str] = []
        unusable: dict[str, str] = {}
        for reference in references or installed():
            try:
                if "*" in reference or "?" in reference or "[" in reference:
                    names += in_a_process("headcheck.adapters.subjects:expand", reference)
                else:
                    names.append(reference)
            except SubjectError as error:
                names.append(reference)
                unusable[reference] = str(error).removeprefix(f"{reference}: ")
            except (Crashed, TimedOut) as death:
                names.append(reference)
                unusable[reference] = f"{death} while it was imported."
        return list(dict.fromkeys(names)), unusable

    def prefetch(self, names: Sequence[str]) -> None:
        """Start the first subject's process."""
        if self._isolate and names:
            self._ready[names[0]] = self._open(names[0])

    def __call__(self, name: str) -> Session:
        """Return a subject's session."""
        return self._ready.pop(name, None) or self._open(name)

    def _open(self, name: str) -> Session:
        from ..session import InProcess, Isolated

        if self._isolate:
            return Isolated(name, timeout=self._timeout)
        from headcheck.adapters.subjects import load

        return InProcess(load(name))

    def close(self) -> None:
        """End what was started and never asked for."""
        for session in self._ready.values():
            session.close()


def planned(
    options: Mapping[str, Any], names: list[str], unusable: dict[str, str], known: Baseline | None
) -> Plan:
    """Return what these options ask for; Misuse where a glob or a case names nothing."""
    from .. import baseline
    from ..campaign import Plan
    from ..cases import Case
    from ..pool import PROFILES as KNOWN
    from ..specification import select, specification

    profile = KNOWN[options["profile"]]
    for glob in (*options["only"], *options["skip"]):
        if not select(only=[glob]):
            raise Misuse(f"no requirement matches {glob!r}{nearest(glob, [r.id for r in specification()])}")
    requirements = tuple(
        requirement
        for requirement in select(options["only"], options["skip"])
        if profile.deep or options["only"] or not requirement.deep
    )
    replayed: dict[tuple[str, str], tuple[Case, ...]] = {}
    if known is not None:  # what is known to fail is tried first
        try:
            replayed |= baseline.cases(known)
        except baseline.BaselineError as error:
            raise Misuse(str(error)) from None
    if options["case_text"]:
        try:
            record = json.loads(options["case_text"])
        except ValueError as error:
            raise Misuse(f"--case is not JSON: {error}; expected a case as a failure prints it") from None
        try:
            case = Case.from_record(record)
        except ValueError as error:
            raise Misuse(f"--case: {error}") from None
        replayed |= {(name, requirement.id): (case,) for name in names for requirement in requirements}
    return Plan(
        tuple(names), requirements, profile, options["seed"], options["strict"], options["timeout"],
        unusable=unusable, replayed=replayed,
    )  # fmt: skip


def nearest(glob: str, known: Sequence[str]) -> str:
    """Return the end of a message on what is unknown: which requirements were probably meant."""
    from difflib import get_close_matches

    near = get_close_matches(glob.upper(), known, n=3)
    return f"; did you mean {', '.join(near)}?" if near else "; `headcheck spec` lists them"


def carried_out(plan: Plan, sessions: Sessions, *, quiet: bool) -> Run:
    """Judge, with a bar where a person is looking."""
    from ..campaign import carry_out
    from .progress import progress

    # Without a process of its own, what a subject prints is kept out of the results at least.
    with (
        redirect_stdout(sys.stderr),
        progress(len(plan.subjects), [one.id for one in plan.requirements], quiet=quiet) as on_event,
    ):
        return carry_out(plan, sessions, on_event)


def _known_failures(path: Path | None) -> Baseline | None:
    if path is None:
        return None
    from .. import baseline

    try:
        return baseline.read(path)
    except baseline.BaselineError as error:
        raise Misuse(str(error)) from None


def _judged_against(known: Baseline, run: Run) -> Run:
    from datetime import UTC, datetime

    from ..baseline import apply

    return apply(run, known, datetime.now(UTC).date())


def ready(forms: Sequence[str]) -> None:
    """Load what prints and writes the results, while the first subject's framework loads in its process."""
    from headcheck.reports import terminal
    from headcheck.reports.outputs import renderer
    from rich import console

    _ = terminal, console, [renderer(form) for form in forms]


def _report(run: Run, outputs: list[tuple[str, Path]], options: dict[str, Any]) -> int:
    from headcheck.reports.outputs import render

    from ..campaign import exit_status

    unwritten = []
    for form, path in outputs:  # before anything is printed: who reads that may stop before its end
        try:
            path.write_text(render(form, run), encoding="utf-8")
        except OSError as error:
            unwritten.append(f"headcheck: cannot write {path}: {error.strerror}")
    try:
        show(run, quiet=options["quiet"])
        if not (options["no_html"] or options["quiet"] or unwritten):
            scripts = any(verdict.evidence and verdict.evidence.script for verdict in run.verdicts)
            words = f"Report{', with a script for each failure' if scripts else ''}"
            say(f"{words}: {options['html'] or DEFAULT_REPORT}")
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # `| head` has seen enough, and rich ends; the result is the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for line in unwritten:
        say(line, to_stderr=True)
    return 3 if unwritten else exit_status(run)
