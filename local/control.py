"""Changes how a running stand-in behaves."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession, TCPConnector


async def configure(endpoints: dict[str, Any], part: str, path: str, body: object) -> None:
    """Send a PUT to a control route of a part."""
    async with (
        ClientSession(connector=TCPConnector(ssl=False), raise_for_status=True) as session,
        session.put(f"{endpoints[part]}/_local/{path}", json=body),
    ):
        pass
