"""``slipway digests``: lists the images that must stay in the registry."""

from __future__ import annotations

from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print


def digests(local: Local = False, as_json: AsJson = False) -> None:
    """List the images that a registry purge must keep."""
    run_and_print(local, as_json, list_digests)


async def list_digests(context: CommandContext) -> CommandResult:
    """Return one image per line, also of agents that agents.yaml does not name; fail if one cannot be read."""
    from cli.concurrency import read_agents
    from cli.output import join_lines
    from handlers.images_in_use import ImagesInUse, known_agents

    gateways, settings = context.gateways, context.settings
    known, refusal = await known_agents(gateways)
    if refusal is not None:
        raise refusal
    names = sorted({*context.select_agents(None), *known})
    in_use = ImagesInUse(gateways.registry, settings.registry_login_server)

    async def read(name: str) -> list[str]:
        return await in_use.of_agent(name, await gateways.foundry.list_versions(name), gateways)

    reads = await read_agents(context, names, read)
    if reads.unread:  # a purge by a list that lacks an agent would delete what it runs
        raise next(iter(reads.unread.values()))
    images = sorted({image for found in reads.found.values() for image in found})
    return CommandResult(join_lines(*images), images, is_exact=True)
