"""The Functions host as a process of its own: loads ``function_app`` as the worker does and serves its triggers.

Lacks: keys, scaling, the admin routes that nobody here asks, input bindings and outputs other than none.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from local.host_functions import Function, load
from local.host_invoke import Invoker
from local.host_queues import QueueListener, queue_service
from local.host_timers import TimerListener
from local.server import StandIn

VALIDATION = "subscriptionvalidation"


class FunctionsHost(StandIn):
    """The host's own routes; queue and timer triggers run beside them."""

    name = "functions"

    def __init__(self, functions: dict[str, Function], invoker: Invoker) -> None:
        super().__init__()
        self._functions = functions
        self._invoker = invoker
        self._background: set[asyncio.Task[bool]] = set()

    def routes(self) -> list[web.RouteDef]:
        """The Event Grid extension's end-point and the admin API."""
        return [
            web.route("*", "/runtime/webhooks/{extension:(?i:eventgrid)}", self._event_grid),
            web.get("/_local/invocations", self._invocations),
            web.get("/admin/host/status", self._status),
            web.get("/admin/functions", self._list),
            web.post("/admin/functions/{function}", self._run),
        ]

    async def _event_grid(self, request: web.Request) -> web.Response:
        name = request.query.get("functionName", "")
        function = self._functions.get(name.lower())
        if function is None or function.trigger != "eventGridTrigger":
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        kind = request.headers.get("aeg-event-type", "").lower()
        body = await request.json()
        events = body if isinstance(body, list) else [body]
        if kind == VALIDATION:
            data = events[0]["data"]
            code = (json.loads(data) if isinstance(data, str) else data)["validationCode"]
            return web.json_response({"validationResponse": code})
        if kind == "unsubscribe":
            return web.Response(status=202)
        if kind != "notification":
            return web.Response(status=400)
        done = await asyncio.gather(*(self._invoker.run(function, json.dumps(event)) for event in events))
        failed = f"Exception while executing function: Functions.{function.name}"
        return web.Response(status=202) if all(done) else web.Response(status=500, text=failed)

    async def _invocations(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._invoker.invocations))

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"state": "Running"})

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([{"name": one.name, "trigger": one.trigger} for one in self._functions.values()])

    async def _run(self, request: web.Request) -> web.Response:
        function = self._functions.get(request.match_info["function"].lower())
        if function is None:
            return web.Response(status=404)
        body = await request.json()
        given = '{"IsPastDue": false}' if function.schedule else str(body.get("input", ""))  # a timer takes no input
        task = asyncio.create_task(self._invoker.run(function, given))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return web.Response(status=202)


async def _serve(app: Path, port: int, folder: Path, only: list[str]) -> None:
    functions = {key: one for key, one in load(app, os.environ).items() if not only or one.name in only}
    settings = json.loads((app / "host.json").read_text()).get("extensions", {}).get("queues", {})
    invoker = Invoker()
    host = FunctionsHost(functions, invoker)
    print(json.dumps({"functions": await host.start(port)}), flush=True)
    service, credential = queue_service(os.environ)
    listeners = [
        *(QueueListener(one, service, settings, invoker).run() for one in functions.values() if one.queue),
        *(TimerListener(one, folder, invoker).run() for one in functions.values() if one.schedule),
    ]
    tasks = [asyncio.create_task(listener) for listener in listeners]
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
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
    only: Annotated[list[str] | None, typer.Option(help="A function to serve, as one instance on Flex does.")] = None,
) -> None:
    """Serve the app in the folder APP and print where as one line of JSON."""
    sys.path.insert(0, str(app.resolve()))
    asyncio.run(_serve(app.resolve(), port, folder, only or []))


if __name__ == "__main__":
    typer.run(main)
