"""A question before something is done that cannot be undone by the next command."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass

import typer

from cli.codes import Mistake
from cli.screen import Progress


@dataclass(frozen=True, slots=True)
class How:
    """How a command that acts was asked to."""

    dry_run: bool
    yes: bool
    as_json: bool


def sure(how: How, progress: Progress, plan: str, question: str) -> bool:
    """True where the person, or ``--yes``, says so; a script that cannot be asked must say it beforehand."""
    if how.yes:
        return True
    if how.as_json or not sys.stdin.isatty():
        raise Mistake("nobody can be asked here: say --yes, or look first with --dry-run")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's own would wait for the answer
    try:
        progress.pause()
        print(plan)
        return typer.confirm(question)
    except KeyboardInterrupt:  # before the answer is awaited: in a task of asyncio's it would stop the loop, not us
        raise typer.Abort from None
    finally:
        signal.signal(signal.SIGINT, before)
