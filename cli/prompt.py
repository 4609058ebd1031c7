"""Asks for confirmation before a command does what no other command can undo."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from cli.exit_codes import UsageError

if TYPE_CHECKING:
    from cli.output import Progress


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """The options of a command that asks first."""

    dry_run: bool
    yes: bool
    as_json: bool


def can_ask(options: PromptOptions) -> bool:
    """True if a user can answer."""
    return not options.as_json and sys.stdin.isatty()


def confirm(options: PromptOptions, progress: Progress, plan: str, question: str) -> bool:
    """Show the plan and ask; return True at once for ``--yes``. Raise UsageError if no user can answer."""
    from cli.output import join_lines, print_text

    if options.yes:
        return True
    if not can_ask(options):
        raise UsageError("this needs a confirmation: add --yes, or see what would be done with --dry-run")
    # asyncio's own handler would only run after the answer
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        progress.pause()
        print_text(plan)
        return typer.confirm(join_lines(question))
    except KeyboardInterrupt:  # in a task, asyncio would stop the loop and lose the exit code
        raise typer.Abort from None
    finally:
        signal.signal(signal.SIGINT, previous)
