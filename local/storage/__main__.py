"""The storage account as a process of its own, so that tests can kill it: ``python -m local.storage``."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path

import typer

from local.storage.account import Storage


async def _run(folder: Path, blob_port: int, queue_port: int, cert: Path | None) -> None:
    tls = None
    if cert is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert)
    storage = Storage(folder)
    print(json.dumps(await storage.start(blob_port, queue_port, tls)), flush=True)
    stopping = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    await stopping.wait()
    await storage.stop()


def main(folder: Path, blob_port: int = 0, queue_port: int = 0, cert: Path | None = None) -> None:
    """Serve the account in FOLDER and print its addresses as one line of JSON."""
    asyncio.run(_run(folder, blob_port, queue_port, cert))


if __name__ == "__main__":
    typer.run(main)
