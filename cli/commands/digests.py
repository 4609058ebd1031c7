"""``slipway digests``: lists the images that must stay in the registry."""

from __future__ import annotations

from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print


def digests(local: Local = False, as_json: AsJson = False) -> None:
    """List the images that a registry purge must keep."""
    run_and_print(local, as_json, list_digests)


async def list_digests(context: CommandContext) -> CommandResult:
    """Return one image per line, also of agents that are no longer in agents.yaml; fail if one cannot be read."""
    from cli.concurrency import read_agents
    from cli.output import join_lines
    from handlers.concurrency import gather_two
    from handlers.images_in_use import ImagesInUse

    gateways, settings = context.gateways, context.settings
    known = await gateways.state_store.list_agents(frozenset({"open", "due", "ended"}))
    names = sorted({*context.select_agents(None), *known})
    in_use = ImagesInUse(gateways.registry, settings.registry_login_server)

    async def read(name: str) -> list[str]:
        states = gather_two(gateways.state_store.get_desired(name), gateways.state_store.get_release(name))
        versions, (desired, release) = await gather_two(gateways.foundry.list_versions(name), states)
        return await in_use.read(versions, [desired.push, release.push])

    reads = await read_agents(context, names, read)
    if reads.unread:  # a purge by a list that lacks an agent would delete what it runs
        raise next(iter(reads.unread.values()))
    images = sorted({image for found in reads.found.values() for image in found})
    return CommandResult(join_lines(*images), images, is_exact=True)
