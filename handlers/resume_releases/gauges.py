"""Sets the gauges of a timer run: unfinished releases, waiting approvals, holds, and the length of each queue."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from core import release_outcome
from core.release_outcome import seconds_since
from core.state import holds
from handlers.concurrency import gather_all, gather_limited, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import metrics

MAX_CONCURRENT = 4
QUEUES = ("releases", "events", "releases-poison", "events-poison")


async def record_gauges(agents: tuple[str, ...], gateways: Gateways) -> Mapping[str, int]:
    """Set all gauges and return the length of each queue; the next run retries reads that fail."""
    now = gateways.clock.now()

    async def age(agent: str) -> float:
        with suppress(GatewayError):
            return await _record_agent(agent, now, gateways)
        return 0.0

    depths = dict[str, int]()

    async def depth(queue: str) -> None:
        with suppress(GatewayError):
            depths[queue] = await gateways.release_queue.count_messages(queue)
            metrics.queue_depth(queue, depths[queue])

    ages, _ = await gather_two(gather_limited(MAX_CONCURRENT, map(age, agents)), gather_all(map(depth, QUEUES)))
    metrics.oldest_unfinished(max(ages, default=0.0))
    return depths


async def _record_agent(agent: str, now: datetime, gateways: Gateways) -> float:
    """Returns the seconds since when the agent's release should have ended."""
    state_store = gateways.state_store
    desired, release = await gather_two(state_store.get_desired(agent), state_store.get_release(agent))
    waiting = seconds_since(release.started_at, now) if release_outcome.awaits_approval(release) else None
    metrics.holds_and_approval(agent, len(holds.active(desired, release, now)), waiting or 0.0)
    return seconds_since(release_outcome.unfinished_since(desired, release, now), now) or 0.0
