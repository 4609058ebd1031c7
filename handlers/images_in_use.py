"""Which images must stay in the registry, with every manifest that an index names, and whether one is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core.definition import push_of_version
from core.image_reference import DIGEST
from core.model import Push, Version
from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.agent_states import read_state
from handlers.concurrency import gather_limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, Registry
from handlers.telemetry.decision_log import DecisionLog

MAX_CONCURRENT = 8
IMAGES_PER_LINE = 40
"""Telemetry cuts values at 8,192 characters."""


async def known_agents(gateways: Gateways) -> tuple[list[str], GatewayError | None]:
    """The agents that Slipway has a state of, and those that Foundry lists; with the error where one list failed."""
    names = set[str]()
    try:
        names.update(await gateways.state_store.list_agents())
        names.update(await gateways.foundry.list_agents())
    except GatewayError as error:
        return sorted(names), error
    return sorted(names), None


def record_images(decisions: DecisionLog, images: Sequence[str], **fields: Any) -> None:
    """Record the images of an agent, for jobs that purge the registry."""
    for start in range(0, len(images), IMAGES_PER_LINE):
        names = " ".join(images[start : start + IMAGES_PER_LINE])
        decisions.record(Reason.IMAGES_IN_USE, images=names, **fields)


async def is_gone(repository: str, image: str, registry: Registry) -> bool:
    """True where the registry lacks the digest of an image, or the manifest of an index that Foundry would run.

    ``image`` ends with the digest. Raises TransientError or PermanentError.
    """
    digest = image.rpartition("@")[2]
    facts = await registry.inspect(repository, digest)
    if facts is None or not facts.amd64 or facts.amd64 == digest:
        return facts is None
    return await registry.inspect(repository, facts.amd64) is None


class ImagesInUse:
    """Reads each digest once: its children never change."""

    def __init__(self, registry: Registry, login_server: str) -> None:
        self._registry = registry
        self._login_server = login_server
        self._children: dict[str, list[str]] = {}

    async def read(self, versions: Sequence[Version], pushes: Iterable[Push | None] = ()) -> list[str]:
        """The images of versions and pushes, the index that each came from, and all children, sorted.

        Without a child an index does not start, and a purge of untagged manifests deletes exactly the children.
        Raises TransientError or PermanentError: half a list would let a purge delete the rest.
        """
        ours = [version for version in versions if version.image.startswith(f"{self._login_server}/")]
        sources = [*map(push_of_version, ours), *pushes]
        images = {f"{self._login_server}/{push.repository}@{push.digest}" for push in sources if push}
        images |= {version.image for version in versions if version.image}
        children = await gather_limited(MAX_CONCURRENT, map(self._list_children, sorted(images)))
        return sorted(images.union(*children))

    async def of_agent(self, name: str, versions: Sequence[Version], gateways: Gateways) -> list[str]:
        """The images of an agent's versions, and of the pushes that it runs or will run."""
        return await self.read(versions, pushes_in_use(*await read_state(name, gateways.state_store)))

    async def _list_children(self, image: str) -> list[str]:
        """The children of an image of our registry; an image of another registry has none that we could read."""
        host, _, path = image.partition("/")
        repository, _, digest = path.partition("@")
        if host != self._login_server or not DIGEST.fullmatch(digest):
            return []
        if image not in self._children:
            found = await self._registry.list_children(repository, digest)
            self._children[image] = [f"{host}/{repository}@{child}" for child in found]
        return self._children[image]


def pushes_in_use(desired: DesiredState, release: ReleaseState) -> list[Push | None]:
    """The pushes that an agent runs, or will run once they are old enough."""
    return [desired.push, release.push, *(waiting.push for waiting in desired.waiting)]
