"""The running host: loads the app, serves its triggers, and stops as Azure's host does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.functions_host.dispatcher import DispatchedHost
from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker
from local.functions_host.queue_listener import QueueListener, queue_service
from local.functions_host.server import FunctionsHost
from local.functions_host.timer_listener import TimerListener

STOP_SECONDS = 10.0
"""Seconds that a stop waits for what runs. Azure's host waits longer, but here a user waits after Ctrl-C."""


@dataclass(frozen=True)
class Options:
    """Options of ``python -m local.functions_host``."""

    app: Path
    port: int
    folder: Path
    only: tuple[str, ...]
    dispatcher: Path | None


class Listener(Protocol):
    """Takes work for functions."""

    async def run(self) -> None:
        """Run until cancelled."""


async def serve(options: Options) -> None:
    """Serve the app until SIGINT or SIGTERM; raise what a listener raises."""
    found = await _load(options.app)
    functions = {key: function for key, function in found.items() if not options.only or function.name in options.only}
    invoker = Invoker()
    async with AsyncExitStack() as clean:
        host, listeners = await _host(functions, invoker, options, clean)
        print(json.dumps({"functions": await host.start(options.port)}), flush=True)
        running = {asyncio.create_task(listener.run()) for listener in listeners}
        ended = await _wait_for_end(running)
        stopping = asyncio.create_task(_stop(running, invoker, host))
        await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if not stopping.done():
            os._exit(0)  # Azure then kills the worker: no `finally` of a function runs
    for task in ended:
        task.result()


async def _load(app: Path) -> dict[str, Function]:
    """Load the app with the worker that Azure has for this version of Python."""
    if sys.version_info >= (3, 13):
        from local.functions_host import runtime_worker  # its library is installed from 3.13 on

        return await runtime_worker.load(app, os.environ)
    from local.functions_host import classic_worker, indexing

    classic_worker.configure_telemetry()
    return indexing.load(app, os.environ)


async def _host(
    functions: dict[str, Function], invoker: Invoker, options: Options, clean: AsyncExitStack
) -> tuple[FunctionsHost, Sequence[Listener]]:
    """Return the HTTP server, and what takes work beside it: Azure's dispatchers, or listeners of this host."""
    if options.dispatcher:
        host = DispatchedHost(functions, invoker, options.dispatcher, options.app / "host.json", options.folder)
        return host, [host]
    settings = json.loads((options.app / "host.json").read_text()).get("extensions", {}).get("queues", {})
    service, credential = queue_service(os.environ)
    clean.push_async_callback(service.close)
    if credential is not None:
        clean.push_async_callback(credential.close)
    queues = [QueueListener(function, service, settings, invoker) for function in functions.values() if function.queue]
    timers = [TimerListener(function, options.folder, invoker) for function in functions.values() if function.schedule]
    return FunctionsHost(functions, invoker), [*queues, *timers]


async def _wait_for_end(listeners: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for a signal, or for a listener to end; return the listeners that ended."""
    stopped = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({waiting, *listeners}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return {task for task in listeners if task.done()}


async def _stop(listeners: set[asyncio.Task[None]], invoker: Invoker, host: FunctionsHost) -> None:
    """Take nothing more, wait for what runs, then close the server, as Azure's host does."""
    for task in listeners:
        task.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    await invoker.idle()
    await host.stop()
