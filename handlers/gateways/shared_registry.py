"""The registry, where the agents that follow one repository share the inspection of an image."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.image_manifest import ImageFacts, RegistryTag
from core.signatures import SignatureBundle
from handlers.gateways.clock import Clock
from handlers.gateways.interfaces import EndsListing, Registry

REMEMBERED_SECONDS = 60.0
"""What a digest names never changes; that the image still exists is known for so long."""


@dataclass(frozen=True, slots=True)
class _Inspection:
    began_at: float
    task: asyncio.Future[ImageFacts | None]


class SharedRegistry:
    """See the Registry protocol; a failed inspection, and a missing image, are not remembered."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._inspections: dict[tuple[str, str], _Inspection] = {}

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        now, key = self._clock.monotonic(), (repository, digest)
        recent = {key: item for key, item in self._inspections.items() if now - item.began_at < REMEMBERED_SECONDS}
        self._inspections = recent
        if key not in recent:
            task = asyncio.ensure_future(self._registry.inspect(repository, digest))
            recent[key] = _Inspection(now, task)
            task.add_done_callback(partial(self._forget_unless_found, key))
        # shielded: a release that is cancelled must not end the read of the others
        return await asyncio.shield(recent[key].task)

    def _forget_unless_found(self, key: tuple[str, str], task: asyncio.Future[ImageFacts | None]) -> None:
        is_found = not task.cancelled() and task.exception() is None and task.result() is not None
        if not is_found and key in self._inspections and self._inspections[key].task is task:
            del self._inspections[key]

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        return await self._registry.list_children(repository, digest)

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        return await self._registry.list_tags(repository, is_enough)

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        return await self._registry.recent_tags(repository, tag)

    async def list_signatures(self, repository: str, digest: str) -> Sequence[SignatureBundle]:
        return await self._registry.list_signatures(repository, digest)

    async def has_referrers_api(self, repository: str, digest: str) -> bool:
        return await self._registry.has_referrers_api(repository, digest)
