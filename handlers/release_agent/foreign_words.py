"""Shows what Foundry, a container or an agent said of a version, once the version's secrets were read in this process.

Another instance may have created the version. What its secrets are is noted in the release state, so they are read here
before their words are repeated; where that fails, the words stay out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from core.model import Version
from core.release.inputs import DecisionInput
from core.state.release import ReleaseState
from handlers.concurrency import gather_limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import KeyVault
from handlers.lease_keeper import LeaseKeeper
from handlers.redaction import is_registered, open_words
from handlers.release_agent.read_secrets import MAX_SECRET_READS
from handlers.vault import read_secret


class ForeignWords:
    """The words of others in one release. A vault that fails is not asked again by the same release.

    Every method may raise LeaseLostError.
    """

    def __init__(self, vault: KeyVault, keeper: LeaseKeeper) -> None:
        self._vault = vault
        self._keeper = keeper
        self._asked = set[str]()

    async def may_be_shown(self, release: ReleaseState) -> bool:
        """True where every secret that the version under release may repeat is hidden from now on."""
        noted = release.noted_secrets
        if noted is None:
            return False
        missing = [item for item in noted if not is_registered(item) and item not in self._asked]
        self._asked.update(missing)
        if missing:
            await self._keeper.during(gather_limited(MAX_SECRET_READS, map(self._read, missing)))
        return all(map(is_registered, noted))

    async def describe(self, error: GatewayError, release: ReleaseState) -> str:
        """The error, with the service's words where they may be shown."""
        if error.leaves_words_out and await self.may_be_shown(release):
            error.open_words()
        return str(error)

    async def with_failure(self, inputs: DecisionInput) -> DecisionInput:
        """The input with the words about a failed candidate, where they may be shown."""
        release, observed = inputs.release, inputs.observed
        version = inputs.version(release.candidate or "")
        if version is None or version.failure is None or not await self.may_be_shown(release):
            return inputs
        return replace(inputs, observed=observed.with_version(version.number, _opened(version)))

    async def _read(self, secret_id: str) -> None:
        name, _, version = secret_id.rpartition("@")
        with suppress(GatewayError):
            await read_secret(self._vault, name, version)


def _opened(version: Version) -> Version:
    return replace(version, failure=open_words(version.failure) if version.failure else None)
