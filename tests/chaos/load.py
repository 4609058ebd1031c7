"""What people do meanwhile: pushes, one after another or in a burst, and rotated secrets."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from local.images import build, push
from local.registry.repository import digest_of
from local.vault import SecretVersion, Vault
from tests.chaos.cluster import World
from tests.chaos.schedule import REPOSITORIES, Due

SECRET = "chaos-key"
FAILURE = {"code": "ImageError", "message": "the container ended at once"}


@dataclass
class Load:
    """Pushes into a world, and what each image is."""

    world: World
    images: dict[str, str] = field(default_factory=dict)
    """Digest -> good, broken (it never becomes active), wrong (it answers nonsense)."""
    _pushes: int = 0

    async def first_versions(self) -> None:
        """One good image into every repository."""
        await asyncio.gather(*(self.push(one, "good", "first") for one in REPOSITORIES))

    async def do(self, due: Due) -> None:
        """A push or a rotation of the schedule."""
        if due.kind == "secret":
            await self.rotate()
            return
        for n in range(due.what["count"]):
            await self.push(due.what["repository"], due.what["image"], f"{due.what['salt']}-{n}")

    async def push(self, repository: str, image: str, salt: str) -> None:
        """Push an image of its own; the stand-ins know what it is like before it arrives."""
        self._pushes += 1
        salt = f"{repository} {salt}"
        digest = digest_of(build("image", salt).manifest)
        self.images[digest] = image
        behaviour = self.world.foundry.project.provisioning
        if image == "broken":
            behaviour.fail[digest] = FAILURE
        if image == "wrong":
            behaviour.answer[digest] = "nonsense"
        number = int(digest[-4:], 16)  # versions come in any order
        tag = f"1.{number}.{self._pushes}" if repository == "agents/ordered" else f"v{self._pushes}"
        await push(self.world.stack.endpoints["registry"], repository, tag, salt=salt)

    async def rotate(self) -> None:
        """A new version of the one secret."""
        await self.vault.put(SECRET, SecretVersion(f"value-{uuid.uuid4().hex}"))

    @property
    def vault(self) -> Vault:
        """The stand-in itself."""
        part = self.world.stack.parts["vault"]
        if not isinstance(part, Vault):
            raise TypeError(part)
        return part

    @property
    def secret(self) -> str:
        """What the secret holds now."""
        return self.vault.secrets[SECRET][-1].value
