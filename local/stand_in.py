"""What every stand-in has in common: a loopback server, a log of what it was asked, and faults on demand."""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEPT_REQUESTS = 2_000
SECRET_KEYS = frozenset({"value", "access_token", "environment_variables"})
"""JSON keys whose content is a secret, or may hold one."""
SECRET_HEADERS = frozenset({"authorization", "x-identity-header", "aeg-sas-key", "aeg-sas-token"})
HIDDEN = "***"


@dataclass
class Fault:
    """One thing to go wrong, as often as ``times`` says (0: for ever)."""

    path: str
    method: str = ".*"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    delay_s: float = 0.0
    times: int = 0
    drop: bool = False
    """Close the connection instead of answering."""
    cut: bool = False
    """Close the connection in the middle of the answer, which takes effect."""
    after_effect: bool = False
    """Let the request take effect first."""
    used: int = 0

    def meets(self, method: str, path: str) -> bool:
        """True when this fault is due for such a request."""
        return (
            (not self.times or self.used < self.times)
            and re.fullmatch(self.method, method, re.IGNORECASE) is not None
            and re.search(self.path, path) is not None
        )

    def strikes(self, request: web.Request) -> bool:
        """The same, and counts it."""
        due = self.meets(request.method, request.raw_path)
        self.used += due
        return due


class StandIn:
    """A small real server; a subclass says its name, its routes and its state."""

    name = "stand-in"
    max_body = 64 * 1024 * 1024

    def __init__(self) -> None:
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.faults: list[Fault] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        """The routes of the service; ``/_local/`` is taken."""
        raise NotImplementedError

    async def started(self) -> None:
        """Called once the port is known."""

    async def stopped(self) -> None:
        """Called before the server closes."""

    def app(self) -> web.Application:
        """The aiohttp application, with the control routes in front."""
        app = web.Application(client_max_size=self.max_body, middlewares=[self._observe])
        app.add_routes(
            [
                web.get("/_local/requests", self._requests),
                web.get("/_local/faults", self._list_faults),
                web.put("/_local/faults", self._set_faults),
                web.delete("/_local/faults", self._clear_faults),
                *self.routes(),
            ]
        )
        return app

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> str:
        """Listen on 127.0.0.1 and return the address; called again, the same state answers at one more address."""
        first = self._runner is None
        if self._runner is None:
            self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls).start()
        address = f"{'https' if tls else 'http'}://127.0.0.1:{self._runner.addresses[-1][1]}"
        if first:
            self.url = address
            await self.started()
        return address

    async def stop(self) -> None:
        """Close the server and what it keeps open."""
        await self.stopped()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None  # it may be started again, with what it knew

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_local/"):
            return await handler(request)
        line = await self._describe(request)
        self.requests.append(line)
        fault = next((one for one in self.faults if one.strikes(request)), None)
        response = await (self._fail(fault, request, handler) if fault else handler(request))
        line |= {"status": response.status, "answered": time.time()}
        return response

    async def _fail(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        effect = await handler(request) if fault.after_effect or fault.cut else None
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.drop:
            if request.transport:
                request.transport.abort()
            return web.Response(status=499)
        if fault.cut and isinstance(effect, web.Response):
            return await _half(effect, request)
        if not fault.status:
            return effect or await handler(request)
        text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body if fault.body is not None else {})
        kind = "text/html" if text.lstrip().startswith("<") else "application/json"
        return web.Response(status=fault.status, text=text, headers=fault.headers, content_type=kind)

    async def _describe(self, request: web.Request) -> dict[str, Any]:
        headers = {k: HIDDEN if k.lower() in SECRET_HEADERS else v for k, v in request.headers.items()}
        line: dict[str, Any] = {"method": request.method, "path": request.raw_path, "headers": headers}
        line["at"] = time.time()  # of day, so that what several processes saw can be held against each other
        if "json" in request.content_type and request.can_read_body:
            try:
                line["body"] = redacted(json.loads(await request.read()))
            except ValueError:
                line["body"] = "not JSON"
        return line

    async def _requests(self, request: web.Request) -> web.Response:
        since = float(request.query.get("since", 0))  # answered after that, or not yet
        return web.json_response([one for one in self.requests if one.get("answered", math.inf) > since])

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults = [Fault(**one) for one in await request.json()]
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"faults: {error}"}, status=400)
        return web.json_response({"faults": len(self.faults)})

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(one) for one in self.faults])

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults = []
        return web.json_response({"faults": 0})


async def _half(effect: web.Response, request: web.Request) -> web.StreamResponse:
    """Say how long the whole answer is, send half of it and hang up."""
    whole = effect.body if isinstance(effect.body, bytes) else b""
    half = web.StreamResponse(status=effect.status, headers=effect.headers)
    half.content_length = max(len(whole), 2)
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2] or b" ")
    if request.transport:
        request.transport.close()  # after what was written
    return half


def redacted(value: Any) -> Any:
    """The same JSON value with everything that may be secret hidden; names of variables stay."""
    if isinstance(value, dict):
        return {k: _hidden(v) if k in SECRET_KEYS else redacted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [redacted(one) for one in value]
    return value


def _hidden(value: Any) -> Any:
    return dict.fromkeys(value, HIDDEN) if isinstance(value, dict) else HIDDEN
