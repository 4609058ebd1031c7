"""Reads a secret so that its value is hidden from then on."""

from __future__ import annotations

from core.model import Secret, SecretUnavailable
from handlers.gateways.interfaces import KeyVault
from handlers.redaction import register_secret


async def read_secret(vault: KeyVault, name: str, version: str | None = None) -> Secret | SecretUnavailable:
    """A version of a secret, the newest by default; raises TransientError or PermanentError."""
    secret = await vault.get_secret(name, version)
    if isinstance(secret, Secret):
        register_secret(secret.value.reveal(), secret.id)
    return secret
