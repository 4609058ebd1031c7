"""Agents that somebody changed since their release: each change is told once, and nothing is put right."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.drift import find_drift, is_watched
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

FEW, A_SECOND = 20, 1.0
"""More agents than that are looked at one a second: two requests each, of the few that Foundry may take."""
AT_ONCE = 4
"""Agents looked at side by side: Foundry's rate limit is per token, and azd keeps to four as well."""


async def report_drift(agents: tuple[str, ...], decisions: DecisionLog, gateways: Gateways) -> None:
    """Look at every agent that is at rest; what cannot be read now is read by the next run."""
    turns = asyncio.Semaphore(AT_ONCE)
    pause = AT_ONCE / A_SECOND if len(agents) > FEW else 0.0

    async def look(agent: str) -> None:
        async with turns:
            await _look(agent, decisions, gateways)
            await gateways.clock.sleep(pause)

    await asyncio.gather(*(look(agent) for agent in agents))


async def _look(agent: str, decisions: DecisionLog, gateways: Gateways) -> None:
    try:
        release = await gateways.state_store.get_release(agent)
        if not is_watched(release, gateways.clock.now()):
            return
        found = await _drift(agent, release, gateways)
        new = [name for name in found if name not in release.reported_drift]
        if tuple(found) != release.reported_drift and await _remember(agent, release, tuple(found), gateways):
            for name in new:
                decisions.record(
                    Reason.DRIFT, found[name], agent=agent, version=release.last_good and release.last_good.version
                )
    except GatewayError as error:
        decisions.record(Reason.DRIFT_UNKNOWN, str(error), agent=agent)


async def _drift(agent: str, release: ReleaseState, gateways: Gateways) -> dict[str, str]:
    number = release.last_good.version if release.last_good else ""
    told, live = await gather_two(gateways.foundry.get_agent(agent), gateways.foundry.get_version(agent, number))
    return find_drift(release, told, live)


async def _remember(agent: str, seen: ReleaseState, found: tuple[str, ...], gateways: Gateways) -> bool:
    """Note what is told; False where a release is at the agent, or changed its record since."""
    lease = await gateways.state_store.acquire_lease(agent)
    if lease is None:
        return False
    try:
        return lease.state == seen and await lease.write(replace(seen, reported_drift=found))
    finally:
        await lease.release()
