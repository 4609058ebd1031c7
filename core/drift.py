"""What is no longer as a release left it: told once, and never touched."""

from __future__ import annotations

from datetime import datetime

from core.model import Agent, Status, Version
from core.state.release import ReleaseState
from core.timing import CONSISTENCY_LAG


def is_watched(release: ReleaseState, now: datetime) -> bool:
    """True for an agent that is live by our doing and that no release is at now; not while reads may lag behind us."""
    settled = release.routed_at is None or abs(now - release.routed_at) >= CONSISTENCY_LAG
    return release.last_good is not None and not release.is_open and release.pending_write is None and settled


def find_drift(release: ReleaseState, agent: Agent | None, live: Version | None) -> dict[str, str]:
    """What changed behind our back: a name that stays the same while the change does, and a sentence for each.

    ``live`` is the version that was last good, as its own read tells it.
    """
    if agent is None:
        return {"agent gone": "the agent is gone"}
    found = {**_routing(release, agent), **_live(release, live)}
    if release.identity and agent.identity and agent.identity != release.identity:
        found[f"identity {agent.identity}"] = "the agent runs as another identity: roles that it had are gone"
    if not agent.enabled:
        found["disabled"] = "the agent is disabled"
    return found


def _routing(release: ReleaseState, agent: Agent) -> dict[str, str]:
    if release.expected_routing is None or agent.routing == release.expected_routing:
        return {}
    told = ", ".join(f"{rule.version} at {rule.percent} %" for rule in agent.routing.rules) or "the newest version"
    left = release.expected_routing.pinned or "the newest version"
    return {f"routing {told}": f"the traffic goes to {told}; we left it at {left}"}


def _live(release: ReleaseState, live: Version | None) -> dict[str, str]:
    good = release.last_good.version if release.last_good else ""
    status = "gone" if live is None else str(live.status)
    if live is not None and live.status is Status.ACTIVE:
        return {}
    return {f"version {good} {status}": f"version {good}, which was live, is {status}"}
