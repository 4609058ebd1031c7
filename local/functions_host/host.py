"""The running host: loads the app, serves its triggers, and stops as Azure's host does."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.functions_host import host_json
from local.functions_host.dispatch import Dispatch
from local.functions_host.dispatcher import DispatchedHost, Dispatcher, DispatcherError
from local.functions_host.indexing import Function, IndexingError
from local.functions_host.invoker import Invoker
from local.functions_host.queue_storage import azure_queues
from local.functions_host.server import FunctionsHost
from local.functions_host.timer_store import TimerFiles
from local.functions_host.triggers import Triggers, queue_listeners, timer_listeners


@dataclass(frozen=True)
class Options:
    """Options of ``python -m local.functions_host``."""

    app: Path
    port: int
    folder: Path
    only: tuple[str, ...]
    dispatcher: Path | None
    stop_seconds: float


StartError = (host_json.HostJsonError, IndexingError, DispatcherError)
"""What keeps the host from starting."""
Parts = tuple[FunctionsHost, Triggers]
"""The HTTP server, and what takes work beside it."""


async def serve(options: Options) -> None:
    """Serve the app until SIGINT or SIGTERM; raise HostJsonError or IndexingError."""
    found = await _load(options.app)
    functions = {key: function for key, function in found.items() if not options.only or function.name in options.only}
    invoker = Invoker()
    opened = _own(functions, invoker, options)
    if options.dispatcher:
        opened = _dispatched(functions, invoker, Dispatcher(options.dispatcher, options.app, options.folder))
    async with opened as (host, triggers):
        print(json.dumps({"functions": await host.start(options.port)}), flush=True)
        triggers.start()
        stopping = asyncio.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
        await stopping.wait()
        draining = asyncio.create_task(_drain(triggers, invoker))
        await asyncio.wait({draining}, timeout=options.stop_seconds)
        if not draining.done():
            os._exit(0)  # Azure then kills the worker: no `finally` of a function runs
        await host.stop()


async def _load(app: Path) -> dict[str, Function]:
    """Load the app with the worker that Azure has for this version of Python."""
    if sys.version_info >= (3, 13):
        from local.functions_host import runtime_worker  # its library is installed from 3.13 on

        return await runtime_worker.load(app, os.environ)
    from local.functions_host import classic_worker, indexing

    classic_worker.configure_telemetry()
    return indexing.load(app, os.environ)


@asynccontextmanager
async def _own(functions: dict[str, Function], invoker: Invoker, options: Options) -> AsyncIterator[Parts]:
    """Listen as Azure's dispatchers do."""
    settings = host_json.load(options.app / "host.json", os.environ)
    dispatch = Dispatch(invoker.run, settings.function_timeout)
    async with azure_queues(os.environ) as open_queue:
        queues = queue_listeners(functions.values(), open_queue, settings, dispatch, random.uniform)
        timers = timer_listeners(functions.values(), TimerFiles(options.folder / "timers"), dispatch)
        triggers = Triggers([*queues, *timers])
        yield FunctionsHost(functions, invoker, dispatch, triggers), triggers


@asynccontextmanager
async def _dispatched(functions: dict[str, Function], invoker: Invoker, dispatcher: Dispatcher) -> AsyncIterator[Parts]:
    """Let Azure's own dispatchers listen; they read ``host.json`` and keep ``functionTimeout`` themselves."""
    triggers = Triggers([dispatcher])
    yield DispatchedHost(functions, invoker, triggers, dispatcher), triggers


async def _drain(triggers: Triggers, invoker: Invoker) -> None:
    await triggers.drain()
    await invoker.idle()  # runs that Event Grid or the admin API began
