"""Finds what changed on an agent since its release; drift is reported once and never corrected."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from core.definition import changed_parts
from core.model import Agent, Status, Version
from core.state.release import ReleaseState
from core.timing import CONSISTENCY_LAG

AGENT_GONE, ROUTING = "agent gone", "routing"
"""The name of the difference where the agent is gone, and the first word of that of a moved traffic."""
DISABLED = "disabled"
IMAGE = "image"
"""The first word of the name of a difference in the registry, which is looked for once a day."""


def is_watched(release: ReleaseState, now: datetime) -> bool:
    """True if Slipway made the agent live, no release is under way, and reads no longer lag behind our own write."""
    consistent = release.routed_at is None or abs(now - release.routed_at) >= CONSISTENCY_LAG
    return release.last_good is not None and not release.is_open and release.pending_write is None and consistent


def find_drift(release: ReleaseState, agent: Agent | None, live: Version | None) -> dict[str, str]:
    """Each difference under a name that stays the same while the difference lasts.

    ``live`` is the last good version, from its own read.
    """
    moved = find_moved_traffic(release, agent)
    if agent is None:
        return moved
    drift = {**moved, **_version_drift(release, live)}
    if release.identity and agent.identity and agent.identity != release.identity:
        drift[f"identity {agent.identity}"] = "the agent runs as another identity, without the roles of the earlier one"
    if not agent.enabled:
        drift[DISABLED] = "the agent is disabled"
    return drift


def find_moved_traffic(release: ReleaseState, agent: Agent | None) -> dict[str, str]:
    """The differences, named as above, after which the last good version does not serve as Slipway left it."""
    return {AGENT_GONE: "the agent does not exist any more"} if agent is None else _routing_drift(release, agent)


def serves_another(release: ReleaseState) -> bool:
    """True where Slipway accepted, or left, a routing that does not send the traffic to the last good version.

    A release accepts the routing that it finds when it begins. After it failed, that routing does not count as drift.
    """
    routing = release.routing_at_start if release.is_open else release.expected_routing
    if release.last_good is None or routing is None or routing.follows_latest:
        return False
    return routing.pinned != release.last_good.version


def find_gone_images(release: ReleaseState, gone: Collection[str]) -> dict[str, str]:
    """The images of the live and the previous good version whose digests are gone, under names as above.

    IMAGE_GONE of a push says the same before its release.
    """
    good = {version.push.digest: version for version in (release.previous_good, release.last_good) if version}
    return {
        f"{IMAGE} {digest}": f"IMAGE_GONE: the registry does not have the image of version {version.version} any more, "
        f"{version.push.repository}@{digest}; it can start no new session"
        for digest, version in good.items()
        if digest in gone
    }


def images_to_look_for(release: ReleaseState) -> tuple[tuple[str, str], ...]:
    """Repository and digest of the live and the previous good image that the registry once had."""
    good = [version.push for version in (release.last_good, release.previous_good) if version]
    return tuple(dict.fromkeys((push.repository, push.digest) for push in good if push.digest in release.image_facts))


def _routing_drift(release: ReleaseState, agent: Agent) -> dict[str, str]:
    if release.expected_routing is None or agent.routing == release.expected_routing:
        return {}
    actual = ", ".join(f"{rule.version} at {rule.percent} %" for rule in agent.routing.rules) or "the newest version"
    expected = release.expected_routing.pinned or "the newest version"
    return {f"{ROUTING} {actual}": f"the traffic goes to {actual}; Slipway sent it to {expected}"}


def _version_drift(release: ReleaseState, live: Version | None) -> dict[str, str]:
    number = release.last_good.version if release.last_good else ""
    status = "gone" if live is None else str(live.status)
    if live is None or status != Status.ACTIVE:
        return {f"version {number} {status}": f"version {number}, which was live, is {status}"}
    changed = ", ".join(changed_parts(live, dict(release.last_good.parts) if release.last_good else {}))
    return {f"definition {changed}": f"version {number} is not as Slipway released it: {changed}"} if changed else {}
