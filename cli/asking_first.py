"""A question before something is done that cannot be undone by the next command."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import typer

from cli.codes import Mistake


@dataclass(frozen=True, slots=True)
class How:
    """How a command that acts was asked to."""

    dry_run: bool
    yes: bool
    as_json: bool


async def sure(how: How, plan: str, question: str) -> bool:
    """True where the person, or ``--yes``, says so; a script that cannot be asked must say it beforehand."""
    if how.yes:
        return True
    if how.as_json or not sys.stdin.isatty():
        raise Mistake("nobody can be asked here: say --yes, or look first with --dry-run")
    print(plan)
    return await asyncio.to_thread(typer.confirm, question)
