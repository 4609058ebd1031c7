"""The registry in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.image_manifest import ImageFacts, RegistryTag
from handlers.gateways.errors import GatewayError


class InMemoryRegistry:
    """See the Registry protocol."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, str], ImageFacts] = {}
        """By repository and digest."""
        self.children: dict[str, list[str]] = {}
        """Of an index, by its digest."""
        self.tags: dict[str, list[RegistryTag]] = {}
        """By repository."""
        self.error: GatewayError | None = None
        """What every call raises."""
        self.inspected: list[str] = []
        """The digests that were asked for."""

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        self.inspected.append(digest)
        if self.error is not None:
            raise self.error
        return self.images.get((repository, digest))

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        if self.error is not None:
            raise self.error
        return self.children.get(digest, [])

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        if self.error is not None:
            raise self.error
        return sorted(self.tags.get(repository, []), key=lambda tag: tag.pushed_at, reverse=True)
