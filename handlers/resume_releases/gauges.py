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


async def record_gauges(agents: tuple[str, ...], outside: Gateways) -> None:
    """Measure it; what cannot be read now is measured by the next run."""
    turns, now = asyncio.Semaphore(AT_ONCE), outside.clock.now()

    async def age(agent: str) -> float:
        async with turns:
            with suppress(GatewayError):
                return await _agent(agent, now, outside)
        return 0.0

    ages, _ = await gather_two(
        asyncio.gather(*(age(agent) for agent in agents)),
        asyncio.gather(*(_queue(name, outside) for name in QUEUES)),
    )
    metrics.unfinished(max(ages, default=0.0))


async def _agent(agent: str, now: datetime, outside: Gateways) -> float:
    """For how many seconds the agent's release should have ended."""
    wanted, record = await gather_two(outside.state_store.wanted(agent), outside.state_store.record(agent))
    waits = seconds_since(record.started_at, now) if release_outcome.awaits_approval(record) else None
    metrics.standing(agent, len(holds.active(wanted, record, now)), waits or 0.0)
    return seconds_since(release_outcome.unfinished_since(wanted, record, now), now) or 0.0


async def _queue(name: str, outside: Gateways) -> None:
    with suppress(GatewayError):
        metrics.queue(name, await outside.release_queue.depth(name))
