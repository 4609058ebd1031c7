"""The load of a run: pushes, alone or in a burst, and rotated secrets."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from local.images import build, push
from local.registry.repository import digest_of
from local.vault import SecretVersion, Vault
from tests.chaos.cluster import Cluster
from tests.chaos.schedule import REPOSITORIES, Event

SECRET = "chaos-key"
FAILURE = {"code": "ImageError", "message": "the container ended at once"}


@dataclass
class Load:
    """Pushes images to a cluster, and records the kind of each image."""

    cluster: Cluster
    images: dict[str, str] = field(default_factory=dict)
    """Digest -> good, broken (never becomes active) or wrong (answers nonsense)."""
    _pushes: int = 0

    async def first_versions(self) -> None:
        """Push a good image to every repository."""
        await asyncio.gather(*(self.push(repository, "good", "first") for repository in REPOSITORIES))

    async def apply(self, event: Event) -> None:
        """Do a push or a rotation of the schedule."""
        if event.kind == "secret":
            await self.rotate()
            return
        details = event.details
        for n in range(details["count"]):
            await self.push(details["repository"], details["image"], f"{details['salt']}-{n}")

    async def push(self, repository: str, image: str, salt: str) -> None:
        """Push a new image; the stand-ins know how it behaves before it arrives."""
        self._pushes += 1
        salt = f"{repository} {salt}"
        digest = digest_of(build("image", salt).manifest)
        self.images[digest] = image
        behaviour = self.cluster.foundry.project.provisioning
        if image == "broken":
            behaviour.fail[digest] = FAILURE
        if image == "wrong":
            behaviour.answer[digest] = "nonsense"
        number = int(digest[-4:], 16)  # versions arrive in any order
        tag = f"1.{number}.{self._pushes}" if repository == "agents/ordered" else f"v{self._pushes}"
        await push(self.cluster.stack.endpoints["registry"], repository, tag, salt=salt)

    async def rotate(self) -> None:
        """Create a new version of the secret."""
        await self.vault.put(SECRET, SecretVersion(f"value-{uuid.uuid4().hex}"))

    @property
    def vault(self) -> Vault:
        """The stand-in for Key Vault."""
        part = self.cluster.stack.parts["vault"]
        if not isinstance(part, Vault):
            raise TypeError(part)
        return part

    @property
    def secret(self) -> str:
        """The current value of the secret."""
        return self.vault.secrets[SECRET][-1].value
