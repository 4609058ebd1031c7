"""The storage account as a process of its own, so that it can be killed: ``python -m local.storage``."""

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
