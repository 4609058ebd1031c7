"""``slipway wait``: for the pipeline that pushed an image, until the image is live or will not be."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from cli.durations import parse_duration
from cli.exit_codes import BAD_RESULT, DONE, UsageError
from cli.options import Agent, AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print

POLL_SECONDS = 2.0


def wait(
    agent: Agent,
    digest: Annotated[str, typer.Option(help="The pushed image, sha256:….")],
    within: Annotated[str, typer.Option(help="How long its event may take to arrive: 30m, 2h.")] = "30m",
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Wait until a pushed image is live. Exits with 1 if it fails, or if a newer push replaces it."""
    arrives_within = parse_duration(within)
    run_and_print(local, as_json, lambda context: wait_for_image(context, agent, digest, arrives_within, as_json))


async def wait_for_image(
    context: CommandContext, agent: str, digest: str, within: timedelta, as_json: bool
) -> CommandResult:
    """Return how the release of this image ended; raise UsageError for an unknown agent or a malformed digest."""
    from cli.commands.watch import watch
    from core.image_reference import DIGEST

    context.spec_of(agent)
    if not DIGEST.fullmatch(digest):
        raise UsageError(f"{digest} is not a digest; write sha256: and 64 hex digits")
    store, clock = context.gateways.state_store, context.gateways.clock
    context.progress.activity = f"waiting for the event of {digest[:15]}"
    ends = clock.now() + within
    while True:
        desired = await store.get_desired(agent)
        if desired.push is not None and desired.push.digest == digest:
            break
        if clock.now() >= ends:
            text = f"{agent}: {digest} is not its desired image: `slipway why {digest}` lists what was decided"
            return CommandResult(text, {agent: None}, BAD_RESULT)
        await clock.sleep(POLL_SECONDS)
    result = await watch(context, {agent: desired.generation}, desired.push.pushed_at, as_json)
    released = (await store.get_release(agent)).push
    if result.exit_code == DONE and released is not None and released.digest != digest:
        text = f"{agent}: a newer push replaced it, {released.reference} ({released.digest})"
        return CommandResult(text, {agent: "SUPERSEDED"}, BAD_RESULT)
    return result
