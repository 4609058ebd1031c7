"""For clients of the stand-ins: the credential, client options, and faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from local.credentials import AsyncLocalCredential

__all__ = ["AsyncLocalCredential", "client_options", "plan_faults"]


def client_options(ca: Path) -> dict[str, Any]:
    """Options of an SDK client that trusts the test authority and waits only briefly; an app sets SSL_CERT_FILE."""
    return {"connection_verify": str(ca), "retry_backoff_factor": 0.01, "connection_timeout": 5, "read_timeout": 2}


async def plan_faults(url: str, *faults: dict[str, Any]) -> None:
    """Make a stand-in answer with faults."""
    async with ClientSession() as session, session.put(f"{url}/_local/faults", json=faults, ssl=False) as answer:
        assert answer.status == 200
