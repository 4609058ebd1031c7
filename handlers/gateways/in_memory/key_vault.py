"""Key Vault in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.model import Secret, SecretUnavailable, SecretValue, SecretVersion
from core.timing import FIRST_TIME
from handlers.gateways.errors import PermanentError


@dataclass
class SecretRecord:
    """One version of a secret."""

    secret: Secret
    enabled: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def clean_tags(self) -> Mapping[str, str]:
        """The tags as Slipway reads them."""
        return {name.strip().lower(): value.strip() for name, value in self.tags.items()}

    @property
    def agent(self) -> str:
        """The agent to which the tags give a variable."""
        return self.clean_tags.get("agent", "").lower() if "env" in self.clean_tags else ""


class InMemoryKeyVault:
    """See the KeyVault protocol; `put` adds a version of a secret."""

    def __init__(self) -> None:
        self.versions: dict[str, list[SecretRecord]] = {}
        """By name in lower case, oldest first."""
        self.forbidden = False
        """Whether nothing may be read."""
        self.hidden: dict[str, int] = {}
        """By name in lower case: how many of the newest versions a read without a version does not give yet."""
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
        """Add a version and return it."""
        number = next(self._numbers)
        created_at = FIRST_TIME + timedelta(seconds=number)
        secret = Secret(name, f"{number:032x}", SecretValue(value), expires_on, not_before, created_at)
        self.versions.setdefault(name.lower(), []).append(SecretRecord(secret, enabled, tags or {}))
        return secret

    def value(self, name: str, version: str | None = None) -> str:
        """The value of a version, the newest by default; empty where there is no such version."""
        record = self._find(name, version)
        return record.secret.value.reveal() if record else ""

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        if self.forbidden:
            return SecretUnavailable.FORBIDDEN
        record = self._find(name, version)
        if record is None:
            return SecretUnavailable.MISSING
        return record.secret if record.enabled else SecretUnavailable.DISABLED

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        if self.forbidden:
            raise PermanentError("Key Vault", "FORBIDDEN", "list secrets", status=403)
        found: dict[str, str] = {}
        for newest in (records[-1] for records in self.versions.values()):
            if not newest.enabled or newest.agent != agent.lower():
                continue
            variable, name = newest.clean_tags["env"], newest.secret.name
            if variable in found:
                raise PermanentError("Key Vault", "AMBIGUOUS", f"{found[variable]} and {name} both give {variable}")
            found[variable] = name
        return found

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        records = self.versions.get(name.lower(), [])
        return [
            SecretVersion(
                item.secret.version,
                item.enabled,
                item.secret.created_at,
                item.secret.not_before,
                item.secret.expires_on,
                item.agent,
            )
            for item in records
        ]

    def _find(self, name: str, version: str | None) -> SecretRecord | None:
        known = self.versions.get(name.lower(), [])
        hidden = self.hidden.get(name.lower(), 0) if version is None else 0
        records = reversed(known[: len(known) - hidden])
        return next((record for record in records if version in (None, record.secret.version)), None)
