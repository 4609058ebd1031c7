"""The host's HTTP routes: the Event Grid webhook and the admin API.

Lacks: keys, scaling, the admin routes that nothing here calls, input and output bindings.
"""

from __future__ import annotations

from aiohttp import web

from local.functions_host import event_grid
from local.functions_host.dispatch import Dispatch
from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker
from local.functions_host.triggers import Triggers
from local.stand_in import StandIn


class FunctionsHost(StandIn):
    """The host's HTTP server; queue and timer triggers run beside it."""

    name = "functions"

    def __init__(
        self,
        functions: dict[str, Function],
        invoker: Invoker,
        dispatch: Dispatch | None = None,
        triggers: Triggers | None = None,
    ) -> None:
        super().__init__()
        self._functions = functions
        self._event_functions = {item.name: item for item in functions.values() if item.trigger == "eventGridTrigger"}
        self._invoker = invoker
        self._dispatch = dispatch or Dispatch(invoker.run, None)
        self._triggers = triggers or Triggers([])

    def routes(self) -> list[web.RouteDef]:
        """Return the Event Grid extension's endpoint and the admin API."""
        return [
            web.route("*", "/runtime/webhooks/{extension:(?i:eventgrid)}", self._event_grid),
            web.get("/_local/invocations", self._invocations),
            web.get("/admin/host/status", self._status),
            web.post("/admin/host/drain", self._drain),
            web.get("/admin/host/drain/status", self._drain_status),
            web.get("/admin/functions", self._list),
            web.post("/admin/functions/{function}", self._run),
        ]

    async def _event_grid(self, request: web.Request) -> web.Response:
        async def run(name: str, event: str) -> bool:
            return await self._dispatch.run(self._event_functions[name], event)

        answer = await event_grid.respond(request, self._event_functions, run)
        if not answer.text:
            return web.Response(status=answer.status, headers=answer.headers)
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers)

    async def _invocations(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._invoker.invocations))

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"state": "Running"})

    async def _drain(self, _: web.Request) -> web.Response:
        await self._triggers.drain()
        return web.Response(status=202)

    async def _drain_status(self, _: web.Request) -> web.Response:
        running = "Completed" if self._triggers.idle else "InProgress"
        return web.json_response({"state": running if self._triggers.draining else "Disabled"})

    async def _list(self, _: web.Request) -> web.Response:
        functions = self._functions.values()
        return web.json_response([{"name": function.name, "trigger": function.trigger} for function in functions])

    async def _run(self, request: web.Request) -> web.Response:
        function = self._functions.get(request.match_info["function"].lower())
        if function is None:
            return web.Response(status=404)
        body = await request.json()
        payload = '{"IsPastDue": false}' if function.schedule else str(body.get("input", ""))  # a timer has no input
        self._dispatch.start(function, payload)
        return web.Response(status=202)
