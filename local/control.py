"""Tells a running stand-in how to behave."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession, TCPConnector


async def tell(endpoints: dict[str, Any], part: str, path: str, body: object) -> None:
    """PUT to a part's control route."""
    async with (
        ClientSession(connector=TCPConnector(ssl=False), raise_for_status=True) as session,
        session.put(f"{endpoints[part]}/_local/{path}", json=body),
    ):
        pass
