"""The registry in memory: what is told of a digest, and the tags of a repository."""

from __future__ import annotations

from collections.abc import Sequence

from core.image_manifest import ImageFacts, RegistryTag
from handlers.gateways.errors import GatewayError


class FakeImages:
    """See the Images protocol; what is public besides is how a test arranges the world."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], ImageFacts] = {}
        self.tagged: dict[str, list[RegistryTag]] = {}
        self.failing: GatewayError | None = None
        self.asked: list[str] = []

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        self.asked.append(digest)
        if self.failing is not None:
            raise self.failing
        return self.known.get((repository, digest))

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        if self.failing is not None:
            raise self.failing
        return sorted(self.tagged.get(repository, []), key=lambda one: one.pushed_at, reverse=True)
