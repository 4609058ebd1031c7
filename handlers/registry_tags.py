"""Reads the tags of repositories for ``keep.tags``: each repository once, however many agents follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from core.definition import push_of_version
from core.image_manifest import RegistryTag
from core.model import Version
from handlers.gateways.interfaces import Registry


class RegistryTags:
    """The tags as they were when a run first asked for them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tags: dict[str, Sequence[RegistryTag]] = {}
        self._lock = asyncio.Lock()

    async def of(self, versions: Iterable[Version]) -> list[RegistryTag]:
        """The tags of the repositories that versions came from; raises TransientError or PermanentError."""
        pushes = [push for push in map(push_of_version, versions) if push is not None]
        found: list[RegistryTag] = []
        for repository in sorted({push.repository for push in pushes}):
            async with self._lock:
                if repository not in self._tags:
                    self._tags[repository] = await self._registry.list_tags(repository)
            found += self._tags[repository]
        return found
