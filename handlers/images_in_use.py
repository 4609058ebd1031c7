"""Which images must stay in the registry, with every manifest that an index names, and whether one is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.definition import push_of_version
from core.image_manifest import DIGEST
from core.model import Push, Version
from handlers.concurrency import gather_limited
from handlers.gateways.interfaces import Registry

MAX_CONCURRENT = 8


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
