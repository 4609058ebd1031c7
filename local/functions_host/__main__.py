"""The Functions host as a process of its own: ``python -m local.functions_host``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from local.functions_host.indexing import load
from local.functions_host.invoker import Invoker
from local.functions_host.queue_listener import QueueListener, queue_service
from local.functions_host.server import FunctionsHost
from local.functions_host.timer_listener import TimerListener


async def _serve(app: Path, port: int, folder: Path, only: list[str]) -> None:
    functions = {key: function for key, function in load(app, os.environ).items() if not only or function.name in only}
    settings = json.loads((app / "host.json").read_text()).get("extensions", {}).get("queues", {})
    invoker = Invoker()
    host = FunctionsHost(functions, invoker)
    print(json.dumps({"functions": await host.start(port)}), flush=True)
    service, credential = queue_service(os.environ)
    queues = [QueueListener(function, service, settings, invoker) for function in functions.values() if function.queue]
    timers = [TimerListener(function, folder, invoker) for function in functions.values() if function.schedule]
    tasks = [asyncio.create_task(queue.run()) for queue in queues]
    tasks += [asyncio.create_task(timer.run()) for timer in timers]
    stopping = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    await stopping.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await host.stop()
    await service.close()
    if credential is not None:
        await credential.close()


def main(
    app: Path = Path(),
    port: int = 0,
    folder: Path = Path(".local"),
    only: Annotated[list[str] | None, typer.Option(help="Serve only this function, as instances on Flex do.")] = None,
) -> None:
    """Serve the app in the folder APP and print the address as one line of JSON."""
    sys.path.insert(0, str(app.resolve()))
    asyncio.run(_serve(app.resolve(), port, folder, only or []))


if __name__ == "__main__":
    typer.run(main)
