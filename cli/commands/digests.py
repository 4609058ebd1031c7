"""``slipway digests``: lists the images that must stay in the registry."""

from __future__ import annotations

from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print


def digests(local: Local = False, as_json: AsJson = False) -> None:
    """List the images that a registry purge must keep."""
    run_and_print(local, as_json, list_digests)


async def list_digests(context: CommandContext) -> CommandResult:
    """Return one image per line."""
    from cli.concurrency import read_each, reading
    from cli.output import join_lines

    names = context.select_agents(None)
    context.progress.activity = reading(names)
    lists = await read_each(names, context.gateways.foundry.list_versions)
    images = sorted({version.image for versions in lists for version in versions if version.image})
    return CommandResult(join_lines(*images), images, is_exact=True)
