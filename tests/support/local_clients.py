"""What clients of the stand-ins need in one process: a credential that they take, and faults on demand."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession

from local.credentials import AsyncLocalCredential

__all__ = ["AsyncLocalCredential", "plan_faults"]


async def plan_faults(url: str, *faults: dict[str, Any]) -> None:
    """Have a stand-in go wrong."""
    async with ClientSession() as session, session.put(f"{url}/_local/faults", json=faults, ssl=False) as told:
        assert told.status == 200
