"""Key Vault in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.model import Secret, SecretValue, Unreadable
from handlers.gateways.errors import PermanentError


@dataclass
class _Kept:
    secret: Secret
    enabled: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)


class FakeVault:
    """See the Vault protocol; ``put`` makes a version."""

    def __init__(self) -> None:
        self._kept: dict[str, list[_Kept]] = {}
        self.forbidden = False
        self._numbers = itertools.count(1)

    def put(
        self,
        name: str,
        value: str,
        *,
        enabled: bool = True,
        expires_on: datetime | None = None,
        not_before: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Secret:
        secret = Secret(name, f"{next(self._numbers):032x}", SecretValue(value), expires_on, not_before)
        self._kept.setdefault(name.lower(), []).append(_Kept(secret, enabled, tags or {}))
        return secret

    def value(self, name: str, version: str | None = None) -> str:
        """What a version holds, the newest where none is named; empty where there is no such version."""
        kept = (one.secret for one in reversed(self._kept.get(name.lower(), [])))
        return next((one.value.reveal() for one in kept if version in (None, one.version)), "")

    async def get_secret(self, name: str, version: str | None) -> Secret | Unreadable:
        if self.forbidden:
            return Unreadable.FORBIDDEN
        versions = self._kept.get(name.lower(), [])
        found = next((one for one in reversed(versions) if version in (None, one.secret.version)), None)
        if found is None:
            return Unreadable.MISSING
        return found.secret if found.enabled else Unreadable.DISABLED

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        if self.forbidden:
            raise PermanentError("Key Vault", "FORBIDDEN", "list secrets", status=403)
        found: dict[str, str] = {}
        for newest in (versions[-1] for versions in self._kept.values()):
            if not newest.enabled or newest.tags.get("agent") != agent:
                continue
            variable, name = newest.tags["env"], newest.secret.name
            if variable in found:
                raise PermanentError("Key Vault", "AMBIGUOUS", f"{found[variable]} and {name} both give {variable}")
            found[variable] = name
        return found
