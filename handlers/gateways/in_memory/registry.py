"""The registry in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.image_manifest import ImageFacts, RegistryTag
from core.image_reference import DIGEST
from core.signatures import SignatureBundle
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import EndsListing

PAGE_SIZE = 50
"""Tags of a page, and those that ``recent_tags`` returns."""


class InMemoryRegistry:
    """See the Registry protocol. An empty registry has every digest: most tests are about something else."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, str], ImageFacts] = {}
        """By repository and digest."""
        self.children: dict[str, list[str]] = {}
        """Of an index, by its digest."""
        self.tags: dict[str, list[RegistryTag]] = {}
        """By repository."""
        self.signatures: dict[str, list[SignatureBundle]] = {}
        """Of an image, by its digest."""
        self.signatures_asked = 0
        self.lists_referrers = True
        self.error: GatewayError | None = None
        """What every call raises."""
        self.tag_error: GatewayError | None = None
        """What calls about tags raise."""
        self.inspected: list[str] = []
        """The digests that were asked for."""

    def push(self, repository: str, tag: str, digest: str, at: datetime, facts: ImageFacts | None = None) -> None:
        """Store an image, by default one that runs on linux/amd64, and let the tag name it."""
        self.images.setdefault((repository, digest), facts or ImageFacts(amd64=digest))
        others = [item for item in self.tags.get(repository, []) if item.tag != tag]
        self.tags[repository] = [*others, RegistryTag(tag, digest, at)]

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        self.inspected.append(digest)
        if self.error is not None:
            raise self.error
        if not self.images and not self.tags and DIGEST.fullmatch(digest):
            return ImageFacts(amd64=digest)
        return self.images.get((repository, digest))

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        if self.error is not None:
            raise self.error
        return self.children.get(digest, [])

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        if error := self.error or self.tag_error:
            raise error
        tags = sorted(self.tags.get(repository, []), key=lambda tag: tag.pushed_at, reverse=True)
        ends = (start for start in range(0, len(tags), PAGE_SIZE) if is_enough and is_enough(tags[start:][:PAGE_SIZE]))
        end = next(ends, None)
        return tags if end is None else tags[: end + PAGE_SIZE]

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        tags = await self.list_tags(repository)
        return [*tags[:PAGE_SIZE], *(item for item in tags[PAGE_SIZE:] if item.tag == tag)]

    async def list_signatures(self, repository: str, digest: str) -> Sequence[SignatureBundle]:
        self.signatures_asked += 1
        if self.error is not None:
            raise self.error
        return self.signatures.get(digest, [])

    async def has_referrers_api(self, repository: str, digest: str) -> bool:
        if self.error is not None:
            raise self.error
        return self.lists_referrers
