"""Once a day: reports agents whose live or previous good image is gone from the registry, each image once."""

from __future__ import annotations

from collections.abc import Sequence

from core.drift import IMAGE, find_gone_images, images_to_look_for, is_watched
from core.reasons import Reason
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.images_in_use import is_gone
from handlers.resume_releases.daily import is_due
from handlers.resume_releases.drift_report import store_reported_drift
from handlers.telemetry.decision_log import DecisionLog

MARKER = "images-check"
"""When the last check of all agents began, and in a second line the agents that it has still to check."""
MAX_AGENTS = 200
"""Of one run, with at most four reads each: ACR's smallest tier takes 1,000 reads a minute."""
MAX_CONCURRENT = 4
"""Agents at a time."""


async def report_gone_images(
    agents: Sequence[str], states: AgentStates, decisions: DecisionLog, gateways: Gateways
) -> None:
    """Check the agents without a release under way that are due, some in each run.

    The next day's check retries reads that fail. Raises TransientError or PermanentError for the marker.
    """
    store, now = gateways.state_store, gateways.clock.now()
    last, _, left = (await store.read_marker(MARKER)).partition("\n")
    begins = is_due(last, now)
    due = list(agents) if begins else [agent for agent in left.split() if agent in agents]
    if not due:
        return

    async def check(agent: str) -> None:
        try:
            await _check(agent, states, decisions, gateways)
        except GatewayError as error:
            decisions.record(Reason.DRIFT_UNKNOWN, str(error), agent=agent)

    await gather_limited(MAX_CONCURRENT, map(check, due[:MAX_AGENTS]))
    began = now.isoformat() if begins else last
    await store.write_marker(MARKER, "\n".join([began, " ".join(due[MAX_AGENTS:])]))


async def _check(agent: str, states: AgentStates, decisions: DecisionLog, gateways: Gateways) -> None:
    release = (await states.get(agent)).release
    if not is_watched(release, gateways.clock.now()):
        return
    images = images_to_look_for(release)
    gone = {digest for repository, digest in images if await is_gone(repository, digest, gateways.registry)}
    found = find_gone_images(release, gone)
    others = tuple(name for name in release.reported_drift if not name.startswith(f"{IMAGE} "))
    drift = (*others, *found)
    if drift != release.reported_drift and await store_reported_drift(agent, release, drift, gateways):
        states.forget(agent)
        for name, detail in found.items():
            if name not in release.reported_drift:
                decisions.record(Reason.DRIFT, detail, agent=agent)
