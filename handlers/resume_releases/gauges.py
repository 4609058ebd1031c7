"""Sets the gauges of a timer run: unfinished releases, waiting approvals, holds, and the length of each queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime

from core import release_outcome
from core.release_outcome import seconds_since
from core.state import holds
from handlers.agent_states import AgentState, AgentStates
from handlers.concurrency import gather_all, gather_limited, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.poison_queues import POISON_QUEUES
from handlers.telemetry import metrics

MAX_CONCURRENT = 16
QUEUES = ("releases", "events", "commit-statuses", *POISON_QUEUES)


async def record_gauges(agents: Collection[str], states: AgentStates, gateways: Gateways) -> Mapping[str, int]:
    """Set all gauges and return the length of each queue; the next run retries reads that fail."""
    now = gateways.clock.now()

    async def age(agent: str) -> float:
        with suppress(GatewayError):
            return _record_agent(agent, await states.get(agent), now)
        return 0.0

    depths = dict[str, int]()

    async def depth(queue: str) -> None:
        with suppress(GatewayError):
            depths[queue] = await gateways.release_queue.count_messages(queue)
            metrics.queue_depth(queue, depths[queue])

    ages, _ = await gather_two(gather_limited(MAX_CONCURRENT, map(age, agents)), gather_all(map(depth, QUEUES)))
    metrics.oldest_unfinished(max(ages, default=0.0))
    return depths


def _record_agent(agent: str, state: AgentState, now: datetime) -> float:
    """Returns the seconds since when the agent's release should have ended."""
    desired, release = state
    waiting = seconds_since(release.started_at, now) if release_outcome.awaits_approval(release) else None
    metrics.holds_and_approval(agent, len(holds.active(desired, release, now)), waiting or 0.0)
    return seconds_since(release_outcome.unfinished_since(desired, release, now), now) or 0.0
