"""A credential that the stand-ins take, for clients that run in a process of their own choice."""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken


class Anybody:
    """Signed in as nobody in particular."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for a day."""
        return AccessToken("local", int(time.time()) + 86_400)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Anybody:
        """Itself."""
        return self

    async def __aexit__(self, *args: object) -> None:
        """Nothing is open."""
