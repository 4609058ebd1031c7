"""What a person says, as a ledger write and a queue message; the app does the rest under its own lease."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.intake import user_commands as decide
from core.intake.events import DesiredUpdate, runtime_hash
from core.model import Agent, Push, Version
from core.reasons import Reason
from core.release.inputs import may_serve
from core.state.desired import Cause, DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import STORAGE, PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

COMMON = {"cause": Cause.PERSON.value, "step": "person"}
Word = Callable[[DesiredState, datetime], DesiredUpdate]


async def approve(agent: str, by: str, gateways: Gateways, version: str | None = None) -> DesiredUpdate:
    """Let the version that waits go live; raises TransientError or PermanentError, as all of these do."""
    release = await gateways.state_store.get_release(agent)
    return await _say(agent, lambda desired, now: decide.approve(desired, release, version, by, now), gateways)


async def hold(
    agent: str, why: str, by: str, gateways: Gateways, digest: str | None = None, until: datetime | None = None
) -> DesiredUpdate:
    """Keep an image from going live."""
    return await _say(agent, lambda desired, now: decide.hold(desired, digest, why, by, until, now), gateways)


async def unhold(agent: str, by: str, gateways: Gateways, digest: str | None = None) -> DesiredUpdate:
    """End holds."""
    release = await gateways.state_store.get_release(agent)
    return await _say(agent, lambda desired, now: decide.unhold(desired, release, digest, by, now), gateways)


async def pause(
    agents: tuple[str, ...], why: str, by: str, gateways: Gateways, until: datetime | None = None
) -> tuple[DesiredUpdate, ...]:
    """Stop one agent, or each of several."""
    return tuple(
        [await _say(one, lambda desired, now: decide.pause(desired, why, by, until, now), gateways) for one in agents]
    )


async def unpause(agents: tuple[str, ...], by: str, gateways: Gateways) -> tuple[DesiredUpdate, ...]:
    """Go on with one agent, or each of several."""
    return tuple([await _say(one, lambda desired, _: decide.unpause(desired, by), gateways) for one in agents])


async def request_release(agent: str, by: str, gateways: Gateways, push: Push | None = None) -> DesiredUpdate:
    """Release a push, or what is wanted once more."""
    release: ReleaseState = await gateways.state_store.get_release(agent)
    return await _say(agent, lambda desired, now: decide.request_release(desired, release, push, by, now), gateways)


async def request_rollback(agent: str, why: str, by: str, gateways: Gateways, to: str | None = None) -> DesiredUpdate:
    """Have an earlier version serve again; the one that was good before, where none is named."""
    reads = gather_two(gateways.foundry.get_agent(agent), gateways.foundry.list_versions(agent))
    (told, versions), release = await gather_two(reads, gateways.state_store.get_release(agent))
    way = decide.rollback_target(release, told, versions, to)
    if isinstance(way, decide.NoRollback):
        none = way.detail
        return await _say(agent, lambda desired, _: DesiredUpdate(desired, Reason.NO_ROLLBACK_VERSION, none), gateways)
    # its own read is the only one whose status can be trusted
    back = await gateways.foundry.get_version(agent, way.number)
    if back is None or not may_serve(back):
        gone = f"version {way.number} is {back.status if back else 'gone'}"
        return await _say(agent, lambda desired, _: DesiredUpdate(desired, Reason.NO_ROLLBACK_VERSION, gone), gateways)
    serves = next((one for one in versions if told is not None and one.number == told.live), None)
    return await _say(
        agent, lambda desired, now: decide.request_rollback(desired, back, serves, why, by, now), gateways
    )


async def adopt(
    spec: AgentSpec, told: Agent, serves: Version, push: Push, by: str, gateways: Gateways
) -> DesiredUpdate:
    """Write the first records of an agent that ran before; raises PermanentError where it has records, or a lease."""
    lease = await gateways.state_store.acquire_lease(spec.name)
    if lease is None or lease.state != ReleaseState():
        if lease is not None:
            await lease.release()
        raise PermanentError(STORAGE, "ALREADY_KNOWN", f"release/{spec.name}.json is there: Slipway follows it already")
    desired, release = decide.adopt(told, serves, push, runtime_hash(spec), by, gateways.clock.now())
    try:
        if not await lease.write(release):
            raise TransientError(STORAGE, "lost", f"write release/{spec.name}.json: somebody else did")
    finally:
        await lease.release()
    detail = f"version {serves.number} by {by}"

    def first(before: DesiredState, _: datetime) -> DesiredUpdate:
        return DesiredUpdate(desired if before == DesiredState() else before, Reason.AGENT_ADOPTED, detail)

    return await _say(spec.name, first, gateways)


async def _say(agent: str, word: Word, gateways: Gateways) -> DesiredUpdate:
    decisions = DecisionLog(gateways.journal, gateways.clock, {"agent": agent, **COMMON})
    noted = await update_and_enqueue(agent, word, gateways)
    decisions.record(noted.reason, noted.detail, generation=noted.desired.generation)
    await decisions.flush()
    return noted
