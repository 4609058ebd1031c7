"""How things stand, looked at by the timer: what waits, what is held, and what the queues hold."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from core import release_outcome
from core.release_outcome import seconds_since
from core.state import holds
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import metrics

AT_ONCE = 4
QUEUES = ("releases", "events", "releases-poison", "events-poison")


async def record_gauges(agents: tuple[str, ...], gateways: Gateways) -> None:
    """Measure it; what cannot be read now is measured by the next run."""
    turns, now = asyncio.Semaphore(AT_ONCE), gateways.clock.now()

    async def age(agent: str) -> float:
        async with turns:
            with suppress(GatewayError):
                return await _agent(agent, now, gateways)
        return 0.0

    ages, _ = await gather_two(
        asyncio.gather(*(age(agent) for agent in agents)),
        asyncio.gather(*(_queue(name, gateways) for name in QUEUES)),
    )
    metrics.oldest_unfinished(max(ages, default=0.0))


async def _agent(agent: str, now: datetime, gateways: Gateways) -> float:
    """For how many seconds the agent's release should have ended."""
    desired, release = await gather_two(
        gateways.state_store.get_desired(agent), gateways.state_store.get_release(agent)
    )
    waits = seconds_since(release.started_at, now) if release_outcome.awaits_approval(release) else None
    metrics.holds_and_approval(agent, len(holds.active(desired, release, now)), waits or 0.0)
    return seconds_since(release_outcome.unfinished_since(desired, release, now), now) or 0.0


async def _queue(name: str, gateways: Gateways) -> None:
    with suppress(GatewayError):
        metrics.queue_depth(name, await gateways.release_queue.count_messages(name))
