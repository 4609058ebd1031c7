"""Secrets in Key Vault, through azure-keyvault-secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from core.model import Secret, SecretUnavailable, SecretValue, SecretVersion
from handlers.gateways.azure_http import (
    CLIENT_OPTIONS,
    MAX_CALL_SECONDS,
    NO_REDIRECT,
    UNREADABLE_ANSWER,
    LazyClient,
    gateway_error,
    limited,
)
from handlers.gateways.errors import PermanentError

if TYPE_CHECKING:
    from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
    from azure.keyvault.secrets.aio import SecretClient

SERVICE = "Key Vault"
OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, **NO_REDIRECT, "read_timeout": 10}


class AzureKeyVault:
    """See the KeyVault protocol."""

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        self._client = LazyClient(_load_client, url, credential, **limited(OPTIONS))
        self.close = self._client.close

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        async with _translate_errors(f"read secret {name}"):
            try:
                return _secret(name, await (await self._client.get()).get_secret(name, version))
            except ResourceNotFoundError:
                return SecretUnavailable.MISSING
            except HttpResponseError as error:
                if error.status_code not in (401, 403):
                    raise
                inner = error.error.innererror if error.error else None
                disabled = isinstance(inner, dict) and inner.get("code") == "SecretDisabled"
                return SecretUnavailable.DISABLED if disabled else SecretUnavailable.FORBIDDEN

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        async with _translate_errors(f"list versions of secret {name}"):
            try:
                client = await self._client.get()
                listed = [item async for item in client.list_properties_of_secret_versions(name)]
            except ResourceNotFoundError:
                return ()
            return [_version(item) for item in listed if item.version]

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        async with _translate_errors("list secrets"):
            async for secret in (await self._client.get()).list_properties_of_secrets():
                variable = _variable_for(secret, agent)
                if variable is None or not secret.name:
                    continue
                if variable in found:
                    names = " and ".join(sorted((found[variable], secret.name)))
                    raise PermanentError(SERVICE, "AMBIGUOUS", f"secrets {names} both give variable {variable}")
                found[variable] = secret.name
        return found


def _load_client() -> Callable[..., SecretClient]:
    from azure.keyvault.secrets.aio import SecretClient

    return SecretClient


def _secret(name: str, answer: KeyVaultSecret) -> Secret:
    """The secret; raises TypeError where the SDK passes on a value that is not a text, or a date that is not one."""
    properties = answer.properties
    value: object = answer.value or ""
    dates: tuple[object, object] = properties.expires_on, properties.not_before
    if not isinstance(value, str) or not all(isinstance(date, datetime | None) for date in dates):
        raise TypeError("a secret has a text and dates")
    version, created_at = properties.version or "", _date(properties.created_on)
    return Secret(name, version, SecretValue(value), properties.expires_on, properties.not_before, created_at)


def _version(properties: SecretProperties) -> SecretVersion:
    return SecretVersion(
        properties.version or "",
        properties.enabled is not False,
        created_at=_date(properties.created_on),
        not_before=_date(properties.not_before),
        expires_on=_date(properties.expires_on),
        agent=_tagged_for(properties)[0],
    )


def _date(value: object) -> datetime | None:
    """The SDK passes on a date that is not one as it came."""
    return value if isinstance(value, datetime) else None


def _variable_for(secret: SecretProperties, agent: str) -> str | None:
    """The variable that a secret's tags name for the agent."""
    tagged, variable = _tagged_for(secret)
    return variable if secret.enabled and tagged == agent.lower() else None


def _tagged_for(secret: SecretProperties) -> tuple[str, str | None]:
    """The agent and the variable that a secret's tags name; the secret behind a certificate never counts.

    Key Vault keeps tags as people wrote them: names in any case, with spaces around names and values.
    """
    tags = {name.strip().lower(): value.strip() for name, value in (secret.tags or {}).items()}
    if getattr(secret, "managed", False) or "env" not in tags:
        return "", None
    return tags.get("agent", "").lower(), tags["env"]


@asynccontextmanager
async def _translate_errors(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(MAX_CALL_SECONDS):
            yield
    except (AzureError, *UNREADABLE_ANSWER) as error:
        code = getattr(getattr(error, "error", None), "code", None)
        forbidden = isinstance(error, HttpResponseError) and error.status_code == 403
        raise gateway_error(SERVICE, what, error, "FORBIDDEN" if forbidden else str(code or "")) from error
