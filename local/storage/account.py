"""The storage account: both services over one file, and the connection string for clients."""

from __future__ import annotations

import ssl
from pathlib import Path

from local.storage.blobs import Blobs
from local.storage.queues import Queues
from local.storage.service import ACCOUNT, KEY, Clock
from local.storage.store import Store


class Storage:
    """Both services over one file."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        clock = clock or Clock(folder / "clock")
        self.store = Store(folder, clock)
        self.blobs, self.queues = Blobs(self.store, clock), Queues(self.store, clock)

    async def start(self, blob_port: int = 0, queue_port: int = 0, tls: ssl.SSLContext | None = None) -> dict[str, str]:
        """Listen; return ``{"blob": address, "queue": address}`` with the account in the path."""
        blob = await self.blobs.start(blob_port, tls)
        queue = await self.queues.start(queue_port, tls)
        return {"blob": f"{blob}/{ACCOUNT}", "queue": f"{queue}/{ACCOUNT}"}

    async def stop(self) -> None:
        """Stop listening, and close the file."""
        await self.blobs.stop()
        await self.queues.stop()
        self.store.close()


def connection_string(endpoints: dict[str, str]) -> str:
    """Return a connection string as in ``AzureWebJobsStorage`` of an account with keys."""
    protocol = endpoints["blob"].partition(":")[0]
    return (
        f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={endpoints['blob']};QueueEndpoint={endpoints['queue']};"
    )
