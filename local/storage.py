"""The storage account as a process of its own, so that it can be killed: ``python -m local.storage``."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path

import typer

from local.storage_blobs import Blobs
from local.storage_queues import Queues
from local.storage_server import ACCOUNT, KEY, Clock
from local.storage_state import Store


class Storage:
    """Both services over one file."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        clock = clock or Clock(folder / "clock")
        self.store = Store(folder, clock)
        self.blobs, self.queues = Blobs(self.store, clock), Queues(self.store, clock)

    async def start(self, blob_port: int = 0, queue_port: int = 0, tls: ssl.SSLContext | None = None) -> dict[str, str]:
        """Listen; ``{"blob": address, "queue": address}`` with the account in the path."""
        blob = await self.blobs.start(blob_port, tls)
        queue = await self.queues.start(queue_port, tls)
        return {"blob": f"{blob}/{ACCOUNT}", "queue": f"{queue}/{ACCOUNT}"}

    async def stop(self) -> None:
        """Stop listening."""
        await self.blobs.stop()
        await self.queues.stop()


def connection_string(endpoints: dict[str, str]) -> str:
    """What ``AzureWebJobsStorage`` holds where an account has keys; http only."""
    protocol = endpoints["blob"].partition(":")[0]
    return (
        f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={endpoints['blob']};QueueEndpoint={endpoints['queue']};"
    )


async def _run(folder: Path, blob_port: int, queue_port: int, cert: Path | None) -> None:
    tls = None
    if cert is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert)
    storage = Storage(folder)
    print(json.dumps(await storage.start(blob_port, queue_port, tls)), flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await storage.stop()


def main(folder: Path, blob_port: int = 0, queue_port: int = 0, cert: Path | None = None) -> None:
    """Keep the account in FOLDER and print where it listens as one line of JSON."""
    asyncio.run(_run(folder, blob_port, queue_port, cert))


if __name__ == "__main__":
    typer.run(main)
