"""The host's HTTP routes: the Event Grid webhook and the admin API.

Lacks: keys, scaling, the admin routes that nothing here calls, input and output bindings.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker
from local.stand_in import StandIn

VALIDATION = "subscriptionvalidation"


class FunctionsHost(StandIn):
    """The host's HTTP server; queue and timer triggers run beside it."""

    name = "functions"

    def __init__(self, functions: dict[str, Function], invoker: Invoker) -> None:
        super().__init__()
        self._functions = functions
        self._invoker = invoker
        self._background: set[asyncio.Task[bool]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the Event Grid extension's endpoint and the admin API."""
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
        event_type = request.headers.get("aeg-event-type", "").lower()
        body = await request.json()
        events = body if isinstance(body, list) else [body]
        if event_type == VALIDATION:
            data = events[0]["data"]
            code = (json.loads(data) if isinstance(data, str) else data)["validationCode"]
            return web.json_response({"validationResponse": code})
        if event_type == "unsubscribe":
            return web.Response(status=202)
        if event_type != "notification":
            return web.Response(status=400)
        succeeded = await asyncio.gather(*(self._invoker.run(function, json.dumps(event)) for event in events))
        error = f"Exception while executing function: Functions.{function.name}"
        return web.Response(status=202) if all(succeeded) else web.Response(status=500, text=error)

    async def _invocations(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._invoker.invocations))

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"state": "Running"})

    async def _list(self, _: web.Request) -> web.Response:
        functions = self._functions.values()
        return web.json_response([{"name": function.name, "trigger": function.trigger} for function in functions])

    async def _run(self, request: web.Request) -> web.Response:
        function = self._functions.get(request.match_info["function"].lower())
        if function is None:
            return web.Response(status=404)
        body = await request.json()
        payload = '{"IsPastDue": false}' if function.schedule else str(body.get("input", ""))  # a timer has no input
        task = asyncio.create_task(self._invoker.run(function, payload))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return web.Response(status=202)
