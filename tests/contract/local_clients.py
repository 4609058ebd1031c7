"""What clients of the stand-ins need in one process: a credential that they take, and faults on demand."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import ClientSession
from azure.core.credentials import AccessToken


class Anybody:
    """A credential that the stand-ins take."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("local", int(time.time()) + 86_400)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Anybody:
        return self

    async def __aexit__(self, *args: object) -> None: ...


async def plan_faults(url: str, *faults: dict[str, Any]) -> None:
    """Have a stand-in go wrong."""
    async with ClientSession() as session, session.put(f"{url}/_local/faults", json=faults, ssl=False) as told:
        assert told.status == 200
