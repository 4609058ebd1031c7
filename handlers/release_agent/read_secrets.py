"""Reads the secrets of one definition; one that is older than an event says is reported as lagging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.agents_file.spec import SecretRef
from core.definition import secret_problem
from core.model import Secret, SecretUnavailable, SecretVersion
from core.secret_versions import (
    LaggingSecret,
    LaterVersion,
    ReadInstead,
    judge,
    next_start,
    starts_later,
    version_in_force,
    version_to_await,
)
from core.state.desired import NamedVersion
from handlers.concurrency import gather_limited
from handlers.gateways.errors import PermanentError
from handlers.gateways.interfaces import Gateways
from handlers.vault import read_secret

MAX_SECRET_READS = 64
"""Secrets read at once: Key Vault allows 4,000 reads in 10 s to all users of the vault."""


class SecretReader:
    """The secrets of one definition; ``lagging`` and ``later`` are set by ``read_all``."""

    def __init__(
        self,
        gateways: Gateways,
        target: str,
        pinned: Mapping[str, str],
        named: Mapping[str, NamedVersion] | None = None,
        released: Mapping[str, str] | None = None,
    ) -> None:
        """``pinned``: the versions to read; ``named``: by events; ``released``: those of the last release."""
        self._vault = gateways.vault_of(target)
        self._clock = gateways.clock
        self._pinned = pinned
        self._named = named or {}
        self._released = released or {}
        self._lagging: list[LaggingSecret] = []
        self._later: list[LaterVersion] = []

    @property
    def lagging(self) -> LaggingSecret | None:
        """The lagging secret that is waited for longest."""
        return max(self._lagging, key=lambda item: item.since + item.longest, default=None)

    @property
    def later(self) -> tuple[LaterVersion, ...]:
        """The secrets whose newest version starts later."""
        return tuple(sorted(self._later, key=lambda item: item.secret))

    async def read_all(
        self, refs: Mapping[str, SecretRef]
    ) -> Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]]:
        """Variable -> its reference and secret; each secret is read once, at its pinned or recorded version.

        Raises TransientError or PermanentError.
        """

        def key(ref: SecretRef) -> tuple[str, str | None]:
            return ref.secret, ref.version or self._pinned.get(ref.secret)

        keys = sorted({key(ref) for ref in refs.values()}, key=str)
        secrets = await gather_limited(MAX_SECRET_READS, [self._read(*name_and_version) for name_and_version in keys])
        by_key = dict(zip(keys, secrets, strict=True))
        return {variable: (ref, by_key[key(ref)]) for variable, ref in refs.items()}

    async def newest_version(self, name: str) -> str | None:
        """The newest version's id, None where it cannot be read; a read may lag, so the list counts too.

        Raises TransientError or PermanentError.
        """
        found = await read_secret(self._vault, name)
        if not isinstance(found, Secret):
            return None
        times = {item.version: item.created_at for item in await self._list(name) if item.created_at}
        newest = max(times, key=times.__getitem__, default=found.version)
        is_newer = found.created_at is not None and newest in times and times[newest] > found.created_at
        return newest if is_newer else found.version

    async def _read(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        found = await read_secret(self._vault, name, version)
        return found if version is not None else await self._in_force(name, await self._not_older(name, found))

    async def _in_force(self, name: str, newest: Secret | SecretUnavailable) -> Secret | SecretUnavailable:
        """The newest version that is enabled and valid now; the newest of all where there is no such version.

        Where the app may not list versions, it is the last released one.
        """
        now = self._clock.now()
        if not isinstance(newest, Secret) or newest.not_before is None or not starts_later(newest, now):
            return newest
        listed = await self._list(name)
        used = version_in_force(listed, now)
        version = used.version if used else "" if listed else self._released.get(name, "")
        older = await read_secret(self._vault, name, version) if version else newest
        is_used = isinstance(older, Secret) and secret_problem(older, now) is None
        starts_at = next_start(listed, used, now) or newest.not_before
        self._later.append(LaterVersion(name, newest.version, starts_at, version if is_used else ""))
        return older if is_used else newest

    async def _not_older(self, name: str, found: Secret | SecretUnavailable) -> Secret | SecretUnavailable:
        """What was read; or the version that an event named, where the vault lists it and still gives an older one."""
        named = self._named.get(name.lower())
        if named is None or version_to_await(named, found, self._clock.now()) is None:
            return found
        listed = await self._list(name)
        match judge(found, named, listed, self._released.get(name), self._clock.now()):
            case LaggingSecret() as lagging:
                self._lagging.append(lagging)
            case ReadInstead(newer):
                return await read_secret(self._vault, name, newer)
        return found

    async def _list(self, name: str) -> Sequence[SecretVersion]:
        """The versions of a secret; none where the app may not list them."""
        try:
            return await self._vault.list_secret_versions(name)
        except PermanentError:
            return ()
