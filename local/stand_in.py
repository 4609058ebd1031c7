"""Base class of the stand-ins: a loopback server with a log of requests and faults on demand."""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aiohttp import web

from local import loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_REQUESTS = 2_000
SECRET_KEYS = frozenset({"value", "access_token", "environment_variables"})
"""JSON keys whose content is a secret, or may hold one."""
SECRET_HEADERS = frozenset({"authorization", "x-identity-header", "aeg-sas-key", "aeg-sas-token"})
PLACE = re.compile(r"^(?:/api/projects|/vaults)/([^/?]+)")
"""Of an address: the project of Foundry, or the vault."""
HIDDEN = "***"


@dataclass
class Fault:
    """A fault to inject into matching requests, ``times`` times (0: always)."""

    path: str
    method: str = ".*"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    delay_s: float = 0.0
    times: int = 0
    drop: bool = False
    """Close the connection without a response."""
    cut: bool = False
    """Apply the request, then close the connection in the middle of the response."""
    after_effect: bool = False
    """Apply the request before the fault."""
    project: str = ""
    """Of this project of Foundry, or this vault below ``/vaults/``, by its name in the address; empty: of all."""
    used: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault applies to such a request."""
        return (
            (not self.times or self.used < self.times)
            and re.fullmatch(self.method, method, re.IGNORECASE) is not None
            and re.search(self.path, path) is not None
            and self.project in ("", *PLACE.findall(path))
        )

    def consume(self, request: web.Request) -> bool:
        """Return whether this fault applies to the request, and count it."""
        applies = self.matches(request.method, request.raw_path)
        self.used += applies
        return applies


class StandIn:
    """A small real server; a subclass gives it a name, routes and state."""

    name = "stand-in"
    max_body = 64 * 1024 * 1024
    other_hosts: frozenset[str] = frozenset()
    """Names beside loopback that clients may call it by, in lower case."""

    def __init__(self) -> None:
        self.requests: deque[dict[str, Any]] = deque(maxlen=MAX_REQUESTS)
        self.faults: list[Fault] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the service; the base class serves requests and faults below ``/_local/``."""
        raise NotImplementedError

    async def started(self) -> None:
        """Run code when the server begins to listen."""

    async def stopped(self) -> None:
        """Run code before the server closes."""

    def app(self) -> web.Application:
        """Make the aiohttp application, with the control routes first."""
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
        """Listen on 127.0.0.1 and return the address; a second call adds an address to the same state."""
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
        """Close the server and its connections."""
        await self.stopped()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None  # it may be started again, with the same state

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if refusal := loopback.refusal(request, self.other_hosts):
            return web.Response(status=403, text=refusal)
        if request.path.startswith("/_local/"):
            return await handler(request)
        line = await self._describe(request)
        self.requests.append(line)
        fault = next((fault for fault in self.faults if fault.consume(request)), None)
        response = await (self._fail(fault, request, handler) if fault else handler(request))
        line |= {"status": response.status, "answered": time.time()}
        return response

    async def _fail(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request) if fault.after_effect or fault.cut else None
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.drop:
            if request.transport:
                request.transport.abort()
            return web.Response(status=499)
        if fault.cut and isinstance(response, web.Response):
            return await _send_half(response, request)
        if not fault.status:
            return response or await handler(request)
        text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body if fault.body is not None else {})
        content_type = "text/html" if text.lstrip().startswith("<") else "application/json"
        return web.Response(status=fault.status, text=text, headers=fault.headers, content_type=content_type)

    async def _describe(self, request: web.Request) -> dict[str, Any]:
        headers = {k: HIDDEN if k.lower() in SECRET_HEADERS else v for k, v in request.headers.items()}
        line: dict[str, Any] = {"method": request.method, "path": request.raw_path, "headers": headers}
        line["at"] = time.time()  # Unix time, so that logs of several processes can be compared
        if "json" in request.content_type and request.can_read_body:
            try:
                line["body"] = redacted(json.loads(await request.read()))
            except ValueError:
                line["body"] = "not JSON"
        return line

    async def _requests(self, request: web.Request) -> web.Response:
        since = float(request.query.get("since", 0))  # answered after that time, or not yet
        return web.json_response([line for line in self.requests if line.get("answered", math.inf) > since])

    async def _set_faults(self, request: web.Request) -> web.Response:
        """Replace all faults, or with ``?project=`` those of one project."""
        project = request.query.get("project", "")
        kept = [fault for fault in self.faults if fault.project != project] if project else []
        try:
            given = [Fault(**fault) for fault in await request.json()]
            self.faults = [*kept, *(replace(fault, project=project or fault.project) for fault in given)]
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"faults: {error}"}, status=400)
        return web.json_response({"faults": len(self.faults)})

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(fault) for fault in self.faults])

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults = []
        return web.json_response({"faults": 0})


async def _send_half(response: web.Response, request: web.Request) -> web.StreamResponse:
    """Send the length of the whole response and half of its body, then close the connection."""
    whole = response.body if isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = max(len(whole), 2)
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2] or b" ")
    if request.transport:
        request.transport.close()  # after the buffered bytes
    return half


def redacted(value: Any) -> Any:
    """Return the JSON value with everything hidden that may be secret; names of variables stay."""
    if isinstance(value, dict):
        return {k: _hidden(v) if k in SECRET_KEYS else redacted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return value


def _hidden(value: Any) -> Any:
    return dict.fromkeys(value, HIDDEN) if isinstance(value, dict) else HIDDEN
