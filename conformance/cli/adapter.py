"""`headcheck adapter new`: a stub to start from."""

from __future__ import annotations

import click

from .usage import Group, Misuse, UsageCommand


@click.group(name="adapter", cls=Group)
def group() -> None:
    """Start an adapter, for a class that headcheck cannot drive by itself."""


@group.command(name="new", cls=UsageCommand)
@click.argument("subject")
def new(subject: str) -> None:
    """Print a class to start from, called Adapted, that drives SUBJECT.

    What could be matched is filled in; each line to complete stands below a TODO.
    """
    from headcheck.adapters.protocol import SubjectError
    from headcheck.adapters.stub import stub

    try:
        click.echo(stub(subject))
    except SubjectError as error:
        raise Misuse(str(error)) from None
