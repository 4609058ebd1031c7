"""Records the images of agents that agents.yaml does not name: what runs must stay in the registry."""

from __future__ import annotations

from collections.abc import Collection

from core.definition import FINGERPRINT
from core.model import Version
from core.reasons import Reason
from handlers.concurrency import gather_limited, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.images_in_use import ImagesInUse, known_agents, record_images
from handlers.telemetry.decision_log import DecisionLog

MARKER = "not-managed"
MAX_CONCURRENT = 4


async def report_unmanaged(
    managed: Collection[str], gateways: Gateways, in_use: ImagesInUse, decisions: DecisionLog
) -> None:
    """Record their images, and once a day AGENT_NOT_MANAGED for each that serves and that Slipway released once.

    Where a project cannot be listed, the agents that Slipway has a state of are recorded all the same.
    """
    known, refusal = await known_agents(gateways)
    names = [name for name in known if name not in managed]
    today = gateways.clock.now().date().isoformat()
    is_first = bool(names) and await gateways.state_store.read_marker(MARKER) != today

    async def report(name: str) -> bool:
        try:
            agent, versions = await gather_two(gateways.foundry.get_agent(name), gateways.foundry.list_versions(name))
            images = await in_use.of_agent(name, versions, gateways)
        except GatewayError as error:
            decisions.record(Reason.IMAGES_IN_USE_UNKNOWN, str(error), agent=name)
            return False
        record_images(decisions, images, agent=name, versions=len(versions))
        live = agent.live if agent else None
        if is_first and live is not None and _is_ours(versions):
            decisions.record(Reason.AGENT_NOT_MANAGED, f"version {live} serves", agent=name, version=live)
        return True

    if all(await gather_limited(MAX_CONCURRENT, map(report, names))) and is_first and not refusal:
        await gateways.state_store.write_marker(MARKER, today)
    if refusal:
        decisions.record(Reason.IMAGES_IN_USE_UNKNOWN, str(refusal))


def _is_ours(versions: Collection[Version]) -> bool:
    return any(FINGERPRINT in version.metadata for version in versions)
