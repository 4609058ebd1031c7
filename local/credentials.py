"""Credentials that every stand-in accepts."""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken

LIFETIME = 86_400
"""Seconds that a token is valid."""


class LocalCredential:
    """For synchronous clients."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for any scope."""
        return AccessToken("local", int(time.time()) + LIFETIME)


class AsyncLocalCredential:
    """For asynchronous clients."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for any scope."""
        return AccessToken("local", int(time.time()) + LIFETIME)

    async def close(self) -> None:
        """Do nothing: nothing is open."""

    async def __aenter__(self) -> AsyncLocalCredential:
        """Return itself."""
        return self

    async def __aexit__(self, *args: object) -> None:
        """Do nothing: nothing is open."""
