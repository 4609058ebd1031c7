"""Helpers of the command line's unit tests."""

from __future__ import annotations

import json
from typing import Any

from cli.commands import user_commands
from cli.output import Progress
from cli.prompt import PromptOptions
from cli.runner import CommandContext, CommandResult
from cli.sign_in import SignIn
from tests.support.app import AGENT, App
from tests.support.cli_schemas import validated

DRY_RUN = PromptOptions(dry_run=True, yes=False, as_json=True)
ASK = PromptOptions(dry_run=False, yes=False, as_json=True)
YES = PromptOptions(dry_run=False, yes=True, as_json=True)


class AnnSignsIn(SignIn):
    """A sign-in whose token names Ann."""

    async def identity(self) -> str:
        return "ann"


def context_of(app: App) -> CommandContext:
    return CommandContext(app.agents, app.settings, app.gateways, Progress(), AnnSignsIn(app.settings))


async def run(app: App, function: str, **arguments: Any) -> CommandResult:
    """Run a user command for the agent, as JSON and without --watch."""
    result = await user_commands.apply(context_of(app), function, AGENT, arguments, watch=False, as_json=True)
    validated("release", json.dumps(result.data))
    return result


async def make_live(app: App, *letters: str) -> None:
    """Push and release one image per letter."""
    for number, letter in enumerate(letters, 1):
        await app.pushed(f"v{number}", letter)
        assert await app.released() == "LIVE"
        app.clock.passed += 100
