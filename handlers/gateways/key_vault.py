"""Secrets in Key Vault, through azure-keyvault-secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from core.model import Secret, SecretUnavailable, SecretValue
from handlers.gateways.azure_http import (
    CLIENT_OPTIONS,
    UNREADABLE_ANSWER,
    connection_options,
    is_retryable,
    retry_after,
)
from handlers.gateways.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

SERVICE = "Key Vault"
OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, "read_timeout": 10}


class AzureKeyVault:
    """See the Vault protocol."""

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        self._client = SecretClient(url, credential, **OPTIONS, **connection_options())

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """A secret's value and the version id that came with it."""
        with _our_errors(f"read secret {name}"):
            try:
                return _secret(name, await self._client.get_secret(name, version))
            except ResourceNotFoundError:
                return SecretUnavailable.MISSING
            except HttpResponseError as error:
                if error.status_code in (401, 403):
                    return (
                        SecretUnavailable.DISABLED
                        if _inner_code(error) == "SecretDisabled"
                        else SecretUnavailable.FORBIDDEN
                    )
                raise

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Environment name -> secret name, by the tags ``agent`` and ``env``."""
        found: dict[str, str] = {}
        with _our_errors("list secrets"):
            async for secret in self._client.list_properties_of_secrets():
                variable = _variable_for(secret, agent)
                if variable is None or not secret.name:
                    continue
                if variable in found:
                    names = " and ".join(sorted((found[variable], secret.name)))
                    raise PermanentError(SERVICE, "AMBIGUOUS", f"secrets {names} both give variable {variable}")
                found[variable] = secret.name
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _secret(name: str, found: KeyVaultSecret) -> Secret:
    """The secret; raises what is read as an unreadable answer where the SDK passes on what is no text and no date."""
    told = found.properties
    value: object = found.value or ""
    dates: tuple[object, object] = told.expires_on, told.not_before
    if not isinstance(value, str) or not all(isinstance(one, datetime | None) for one in dates):
        raise TypeError("a secret has a text, and dates")
    return Secret(name, told.version or "", SecretValue(value), told.expires_on, told.not_before)


def _variable_for(secret: SecretProperties, agent: str) -> str | None:
    """The variable that a secret is tagged to give the agent; a certificate's own secret never is one."""
    tags = secret.tags or {}
    if not secret.enabled or getattr(secret, "managed", False) or tags.get("agent") != agent:
        return None
    return tags.get("env")


@contextmanager
def _our_errors(what: str) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as error:
        if error.status_code is not None and error.status_code < 300:
            raise TransientError(SERVICE, "no answer", what) from error
        code = str(error.error.code if error.error and error.error.code else error.status_code)  # JSON has numbers, too
        if is_retryable(error.status_code):
            raise TransientError(SERVICE, code, what, retry_after=retry_after(error)) from error
        shown = "FORBIDDEN" if error.status_code == 403 else code
        raise PermanentError(SERVICE, shown, what, status=error.status_code) from error
    except (AzureError, *UNREADABLE_ANSWER) as error:
        raise TransientError(SERVICE, "no answer", what) from error


def _inner_code(error: HttpResponseError) -> str:
    inner = error.error.innererror if error.error else None
    return str(inner.get("code", "")) if isinstance(inner, dict) else ""
