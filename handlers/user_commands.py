"""A user's command, as an update of the desired state and a queue message; the app does the rest under its own lease.

Each function raises TransientError or PermanentError.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, push_of_version
from core.intake import user_commands as decide
from core.intake.events import DesiredUpdate, runtime_hash
from core.intake.user_commands import NoRollback
from core.model import Agent, Push, Version
from core.reasons import Reason
from core.release.inputs import may_serve
from core.state.desired import Cause, DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import STORAGE, GatewayError, PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.images_in_use import is_gone
from handlers.telemetry.decision_log import DecisionLog


async def approve(
    agent: str, by: str, gateways: Gateways, version: str | None = None, digest: str | None = None
) -> DesiredUpdate:
    """Let the waiting version go live, if it is the one that is named."""
    release = await gateways.state_store.get_release(agent)
    return await _update(
        agent, lambda desired, now: decide.approve(desired, release, version, by, now, digest), gateways
    )


async def hold(
    agent: str, why: str, by: str, gateways: Gateways, digest: str | None = None, until: datetime | None = None
) -> DesiredUpdate:
    """Keep an image from going live."""
    return await _update(agent, lambda desired, now: decide.hold(desired, digest, why, by, until, now), gateways)


async def unhold(agent: str, by: str, gateways: Gateways, digest: str | None = None) -> DesiredUpdate:
    """Remove holds."""
    release = await gateways.state_store.get_release(agent)
    return await _update(agent, lambda desired, now: decide.unhold(desired, release, digest, by, now), gateways)


async def pause(
    agents: tuple[str, ...], why: str, by: str, gateways: Gateways, until: datetime | None = None
) -> list[DesiredUpdate]:
    """Pause the agents."""
    return [
        await _update(agent, lambda desired, now: decide.pause(desired, why, by, until, now), gateways)
        for agent in agents
    ]


async def unpause(agents: tuple[str, ...], by: str, gateways: Gateways) -> list[DesiredUpdate]:
    """Resume the agents."""
    return [await _update(agent, lambda desired, _: decide.unpause(desired, by), gateways) for agent in agents]


async def request_release(
    spec: AgentSpec, by: str, gateways: Gateways, push: Push | None = None, stage: str = ""
) -> DesiredUpdate:
    """Release a push, by default the desired one again; ``stage`` says why it may go past the stage before."""
    release = await gateways.state_store.get_release(spec.name)

    def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return decide.request_release(desired, release, push, by, now, stage, spec.place.upstream)

    return await _update(spec.name, change, gateways)


async def request_rollback(
    agent: str, why: str, by: str, gateways: Gateways, to: str | None = None, *, force: bool = False
) -> DesiredUpdate:
    """Make an earlier version live again, by default the previous good one.

    Not where the registry does not have its image any more, unless ``force`` is given: it would start no session.
    """
    foundry = gateways.foundry
    reads = gather_two(foundry.get_agent(agent), foundry.list_versions(agent))
    (existing, versions), release = await gather_two(reads, gateways.state_store.get_release(agent))
    target = decide.rollback_target(release, existing, versions, to)
    if isinstance(target, Version):
        number, found = target.number, await foundry.get_version(agent, target.number)  # a list's status may be wrong
        gone = NoRollback(f"version {number} is {found.status if found else 'gone'}")
        target = found if found is not None and may_serve(found) else gone
    gone_image = "" if force or isinstance(target, NoRollback) else await _gone_image(target, release, gateways)
    live = next((version for version in versions if existing is not None and version.number == existing.live), None)

    def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
        if isinstance(target, NoRollback):
            return DesiredUpdate(desired, Reason.NO_ROLLBACK_VERSION, target.detail)
        if gone_image:
            detail = f"{gone_image} of version {target.number}; --force rolls back all the same"
            return DesiredUpdate(desired, Reason.IMAGE_GONE, detail)
        return decide.request_rollback(desired, target, live, why, by, now, release)

    return await _update(agent, change, gateways)


async def _gone_image(version: Version, release: ReleaseState, gateways: Gateways) -> str:
    """The image of a version that Slipway made, where the registry says that it is gone; else an empty text.

    The image of another registry is not asked for, and a registry that does not answer proves nothing.
    """
    push, host = push_of_version(version), version.image.partition("/")[0]
    ours = FINGERPRINT in version.metadata and host in (version.image, release.image.partition("/")[0])
    if push is None or not ours:
        return ""
    try:
        return version.image if await is_gone(push.repository, version.image, gateways.registry) else ""
    except GatewayError:
        return ""


async def adopt(
    spec: AgentSpec, existing: Agent, live: Version, push: Push, by: str, gateways: Gateways
) -> DesiredUpdate:
    """Write the first state of an agent that existed before; raises PermanentError where it has a state or a lease."""
    name = spec.name
    lease = await gateways.state_store.acquire_lease(name)
    if lease is None or lease.state != ReleaseState():
        if lease is not None:
            await lease.release()
        raise PermanentError(STORAGE, "ALREADY_KNOWN", f"release/{name}.json exists: Slipway manages the agent already")
    adopted, release = decide.adopt(existing, live, push, runtime_hash(spec), by, gateways.clock.now())
    try:
        if not await lease.write(release):
            raise TransientError(STORAGE, "lost", f"write release/{name}.json: another writer came first")
    finally:
        await lease.release()

    def change(desired: DesiredState, _: datetime) -> DesiredUpdate:
        first = desired == DesiredState()
        return DesiredUpdate(adopted if first else desired, Reason.AGENT_ADOPTED, f"version {live.number} by {by}")

    return await _update(name, change, gateways)


async def _update(
    agent: str, change: Callable[[DesiredState, datetime], DesiredUpdate], gateways: Gateways
) -> DesiredUpdate:
    common = {"agent": agent, "cause": Cause.PERSON.value, "step": "person"}
    decisions = DecisionLog(gateways.journal, gateways.clock, common)
    update = await update_and_enqueue(agent, change, gateways)
    decisions.record(update.reason, update.detail, generation=update.desired.generation)
    await decisions.flush()
    return update
