"""Changes how a running stand-in behaves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientSession, TCPConnector


async def configure(endpoints: dict[str, Any], part: str, path: str, body: object) -> None:
    """Send a PUT to a control route of a part."""
    address = urlsplit(endpoints[part])  # storage has its account in the path; control routes are above it
    async with (
        ClientSession(connector=TCPConnector(ssl=False), raise_for_status=True) as session,
        session.put(f"{address.scheme}://{address.netloc}/_local/{path}", json=body),
    ):
        pass
