"""The rest of an imagined world: what is only read, and what only collects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cli.imagined import NO_ID, Assumed, Clock, Foundry, Ledger
from core.image_manifest import ImageFacts, RegistryTag
from core.model import Secret, SecretUnavailable, SecretValue
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways


class Vault:
    """See the Vault protocol; where a person may not read, what was last released is assumed."""

    def __init__(self, seen: Any, ledger: Ledger, assumed: Assumed) -> None:
        self._seen, self._ledger, self._assumed = seen, ledger, assumed

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """The id of a version is all that a plan needs."""
        try:
            found: Secret | SecretUnavailable | None = await self._seen.get_secret(name, version)
        except GatewayError:
            found = None
        if found is not None and found is not SecretUnavailable.FORBIDDEN:
            return found
        noted = (release.secrets[name] for release in self._ledger.records.values() if name in release.secrets)
        known = version or next(noted, NO_ID)
        self._assumed(f"the secret {name} is there, as it was last released: nobody here may read it")
        return Secret(name, known, SecretValue(""))

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """As the vault says; a file does not."""
        if getattr(self._seen, "assumes", False):
            self._assumed("no secret of the vault is tagged for the agent")
        found: Mapping[str, str] = await self._seen.tagged_secrets(agent)
        return found


class Images:
    """See the Images protocol; what nobody knows is assumed to be an image that runs."""

    def __init__(self, seen: Any, assumed: Assumed) -> None:
        self._seen, self._assumed = seen, assumed

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """As the registry, or the file, says."""
        found: ImageFacts | None = await self._seen.inspect(repository, digest)
        if found is None and getattr(self._seen, "assumes", False):
            self._assumed("images that the world does not name run on linux/amd64")
            return ImageFacts(amd64=digest)
        return found

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        """As the registry, or the file, says."""
        found: Sequence[RegistryTag] = await self._seen.list_tags(repository)
        return found


class Journal:
    """Keeps what was decided."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, object]] = []

    async def append(self, *lines: Mapping[str, object]) -> None:
        """Keep the lines."""
        self.lines += lines

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        """Nothing was decided before."""
        return ()

    def taken(self) -> list[Mapping[str, object]]:
        """What was written since this was last asked."""
        taken, self.lines = self.lines, []
        return taken


class Queue:
    """Keeps whose release is to be taken up, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.due: dict[str, float] = {}

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        """The earliest message counts: the others find that nothing is left to do."""
        at = self._clock.monotonic() + delay
        self.due[agent] = min(at, self.due.get(agent, at))

    async def count_messages(self, queue: str) -> int:
        """How many wait."""
        return len(self.due)


def recording_gateways(seen: Any, clock: Clock, project: str, assumed: Assumed) -> Gateways:
    """An imagined world over one that is only read; ``seen`` has state_store, foundry, key_vault and registry."""
    ledger = Ledger(seen.state_store)
    made: Any = {
        "foundry": Foundry(seen.foundry, clock, project, assumed),
        "key_vault": Vault(seen.key_vault, ledger, assumed),
        "state_store": ledger,
        "journal": Journal(),
        "release_queue": Queue(clock),
        "clock": clock,
        "registry": Images(seen.registry, assumed),
    }
    return Gateways(**made)
