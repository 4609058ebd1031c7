"""The Functions host as a process of its own: ``python -m local.functions_host``."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from local.functions_host import host_json
from local.functions_host.dispatch import Dispatch
from local.functions_host.indexing import load
from local.functions_host.invoker import Invoker
from local.functions_host.queue_storage import azure_queues
from local.functions_host.server import FunctionsHost
from local.functions_host.timer_store import TimerFiles
from local.functions_host.triggers import Triggers, queue_listeners, timer_listeners

STOP_SECONDS = 10.0
"""Seconds that a stop waits for what runs. Azure's host waits longer, but here a user waits after Ctrl-C."""


async def _serve(app: Path, port: int, folder: Path, only: list[str]) -> None:
    settings = host_json.load(app / "host.json", os.environ)
    functions = {key: function for key, function in load(app, os.environ).items() if not only or function.name in only}
    invoker = Invoker()
    dispatch = Dispatch(invoker.run, settings.function_timeout)
    async with azure_queues(os.environ) as open_queue:
        queues = queue_listeners(functions.values(), open_queue, settings, dispatch, random.uniform)
        timers = timer_listeners(functions.values(), TimerFiles(folder / "timers"), dispatch)
        triggers = Triggers([*queues, *timers])
        host = FunctionsHost(functions, invoker, dispatch, triggers)
        print(json.dumps({"functions": await host.start(port)}), flush=True)
        triggers.start()
        stopping = asyncio.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
        await stopping.wait()
        await asyncio.wait({asyncio.create_task(triggers.drain())}, timeout=STOP_SECONDS)
        if not triggers.idle:
            os._exit(0)
        await host.stop()


def main(
    app: Path = Path(),
    port: int = 0,
    folder: Path = Path(".local"),
    only: Annotated[list[str] | None, typer.Option(help="Serve only this function, as instances on Flex do.")] = None,
) -> None:
    """Serve the app in the folder APP and print the address as one line of JSON."""
    sys.path.insert(0, str(app.resolve()))
    try:
        asyncio.run(_serve(app.resolve(), port, folder, only or []))
    except host_json.HostJsonError as error:
        raise SystemExit(f"functions: {error}") from error


if __name__ == "__main__":
    typer.run(main)
