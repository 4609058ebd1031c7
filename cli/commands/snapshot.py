"""``slipway snapshot``: prints the state that ``plan --snapshot`` reads."""

from __future__ import annotations

from cli.options import Local, OptionalAgent
from cli.runner import CommandContext, CommandResult, run_and_print


def snapshot(agent: OptionalAgent = None, local: Local = False) -> None:
    """Print the current state as JSON, for `plan --snapshot`."""
    run_and_print(local, True, lambda context: _take(context, agent))


async def _take(context: CommandContext, agent: str | None) -> CommandResult:
    from cli.plan.snapshot import take_snapshot

    return await take_snapshot(context, agent)
