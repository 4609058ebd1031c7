"""Reports agents that somebody changed since their release: each change once, and without correcting it."""

from __future__ import annotations

from dataclasses import replace

from core.drift import IMAGE, find_drift, is_watched
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers.concurrency import gather_limited, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

MAX_CONCURRENT = 4
"""Agents at a time: Foundry's rate limit is per token, and azd uses four as well."""
MAX_AT_FULL_SPEED, AGENTS_PER_SECOND = 20, 1.0
"""More agents than that are read one a second: two requests each, of the few that Foundry may take."""


async def report_drift(agents: tuple[str, ...], decisions: DecisionLog, gateways: Gateways) -> None:
    """Check every agent without a release under way; the next run retries reads that fail."""
    pause = MAX_CONCURRENT / AGENTS_PER_SECOND if len(agents) > MAX_AT_FULL_SPEED else 0.0

    async def check(agent: str) -> None:
        try:
            await _check(agent, decisions, gateways)
        except GatewayError as error:
            decisions.record(Reason.DRIFT_UNKNOWN, str(error), agent=agent)
        await gateways.clock.sleep(pause)

    await gather_limited(MAX_CONCURRENT, map(check, agents))


async def _check(agent: str, decisions: DecisionLog, gateways: Gateways) -> None:
    release = await gateways.state_store.get_release(agent)
    if not is_watched(release, gateways.clock.now()):
        return
    number = release.last_good.version if release.last_good else ""
    existing, live = await gather_two(gateways.foundry.get_agent(agent), gateways.foundry.get_version(agent, number))
    drift = find_drift(release, existing, live)
    gone_images = tuple(name for name in release.reported_drift if name.startswith(f"{IMAGE} "))
    names = (*drift, *gone_images)
    if names != release.reported_drift and await store_reported_drift(agent, release, names, gateways):
        for name, detail in drift.items():
            if name not in release.reported_drift:
                decisions.record(Reason.DRIFT, detail, agent=agent, version=number or None)


async def store_reported_drift(agent: str, release: ReleaseState, drift: tuple[str, ...], gateways: Gateways) -> bool:
    """Store what is reported; False where a release is under way, or has changed the state since."""
    lease = await gateways.state_store.acquire_lease(agent)
    if lease is None:
        return False
    try:
        stored = lease.state == release and await lease.write(replace(release, reported_drift=drift))
    finally:
        await lease.release()
    desired = await gateways.state_store.get_desired(agent)
    if desired.generation > lease.state.observed_generation:  # its message may have found the lease taken
        await gateways.release_queue.enqueue(agent, traceparent=desired.traceparent or otel.current_traceparent())
    return stored
