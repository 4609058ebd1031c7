"""Once a day: reports agents whose live or previous good image is gone from the registry, each image once."""

from __future__ import annotations

from core.drift import IMAGE, find_gone_images, images_to_look_for, is_watched
from core.reasons import Reason
from handlers.concurrency import gather_limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.images_in_use import is_gone
from handlers.resume_releases.drift_report import store_reported_drift
from handlers.telemetry.decision_log import DecisionLog

MAX_CONCURRENT = 4
"""Agents at a time."""


async def report_gone_images(agents: tuple[str, ...], decisions: DecisionLog, gateways: Gateways) -> None:
    """Check every agent without a release under way; the next day's run retries reads that fail."""

    async def check(agent: str) -> None:
        try:
            await _check(agent, decisions, gateways)
        except GatewayError as error:
            decisions.record(Reason.DRIFT_UNKNOWN, str(error), agent=agent)

    await gather_limited(MAX_CONCURRENT, map(check, agents))


async def _check(agent: str, decisions: DecisionLog, gateways: Gateways) -> None:
    release = await gateways.state_store.get_release(agent)
    if not is_watched(release, gateways.clock.now()):
        return
    images = images_to_look_for(release)
    gone = {digest for repository, digest in images if await is_gone(repository, digest, gateways.registry)}
    found = find_gone_images(release, gone)
    others = tuple(name for name in release.reported_drift if not name.startswith(f"{IMAGE} "))
    drift = (*others, *found)
    if drift != release.reported_drift and await store_reported_drift(agent, release, drift, gateways):
        for name, detail in found.items():
            if name not in release.reported_drift:
                decisions.record(Reason.DRIFT, detail, agent=agent)
