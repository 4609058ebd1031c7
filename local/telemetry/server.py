"""Application Insights' ingestion endpoint: keeps what arrives, and shows it as JSON, as a stream and as a page.

Lacks: live metrics, sampling hints, and any refusal but that of what is no envelope.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import uuid
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.stand_in import StandIn
from local.telemetry import page_files
from local.telemetry.records import Item, record

KEPT = 20_000
"""Envelopes; a release is some fifty."""
BATCH = 500
"""Records a message of the stream."""
QUIET_S = 10.0
"""After so many seconds without news the stream says that it is alive, and notices who has left."""


class Telemetry(StandIn):
    """Everything that the exporter sends."""

    name = "telemetry"

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[Item] = deque(maxlen=KEPT)
        self.received = 0
        self._life = uuid.uuid4().hex
        self._waiting: set[asyncio.Event] = set()
        self._ended = False

    def routes(self) -> list[web.RouteDef]:
        """Ingestion, and three ways to look."""
        return [
            web.post("/v2.1/track", self._track),
            web.post("/v2/track", self._track),
            web.get("/_local/items", self._list),
            web.get("/_local/stream", self._stream),
            *page_files.routes(),
        ]

    async def started(self) -> None:
        """It may be the second time."""
        self._ended = False

    async def stopped(self) -> None:
        """Whoever looks is told by the end of the stream."""
        self._ended = True
        self._news()

    def _news(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def _track(self, request: web.Request) -> web.Response:
        try:
            sent = _envelopes(await request.read())
        except ValueError as error:
            return _answer(0, 0, [{"index": 0, "statusCode": 400, "message": f"not envelopes: {error}"}], 400)
        good = [one for one in sent if _is_envelope(one)]
        self.items.extend(good)
        self.received += len(good)
        self._news()
        wrong = [
            {"index": index, "statusCode": 400, "message": "no envelope: data.baseType and data.baseData are needed"}
            for index, one in enumerate(sent)
            if not _is_envelope(one)
        ]
        return _answer(len(sent), len(good), wrong, 206 if wrong else 200)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("type")
        return web.json_response([one for one in self.items if wanted in (None, one["data"]["baseType"])])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, each a list of records; its id is where a browser goes on after a break."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **page_files.HEADERS})
        await response.prepare(request)
        at, news = self._resumed(request.headers.get("Last-Event-ID", "")), asyncio.Event()
        self._waiting.add(news)
        try:
            await self._tell(response.write, at, news)
        except ConnectionError:
            return response  # the reader left
        finally:
            self._waiting.discard(news)
        return response

    async def _tell(self, write: Callable[[bytes], Awaitable[None]], at: int, news: asyncio.Event) -> None:
        if at == 0:  # a first look, or another life than the reader knows: what it has is not ours
            await write(b"retry: 1000\nevent: begin\ndata: {}\n\n")
        while not self._ended:
            news.clear()
            while at < self.received:
                at, found = self._after(at)
                await write(f"id: {self._life}-{at}\ndata: {json.dumps(found)}\n\n".encode())
            await write(b"event: caught-up\ndata: {}\n\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), QUIET_S)

    def _after(self, at: int) -> tuple[int, list[dict[str, Any]]]:
        """The next records after the first ``at`` envelopes, and up to which envelope they go."""
        oldest = self.received - len(self.items)
        first = max(at, oldest)
        last = min(first + BATCH, self.received)
        return last, [record(self.items[number - oldest]) for number in range(first, last)]

    def _resumed(self, last: str) -> int:
        life, _, at = last.partition("-")
        return min(int(at), self.received) if life == self._life and at.isdecimal() else 0


def _envelopes(data: bytes) -> list[Any]:
    """A JSON array, or a document a line; raises ValueError."""
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    except (OSError, EOFError, zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error


def _is_envelope(one: Any) -> bool:
    data = one.get("data") if isinstance(one, dict) else None
    return isinstance(data, dict) and isinstance(data.get("baseType"), str) and isinstance(data.get("baseData"), dict)


def _answer(received: int, accepted: int, errors: list[dict[str, Any]], status: int) -> web.Response:
    """As learn.microsoft.com/azure/azure-monitor/app/api-custom-events-metrics answers: 206 where some are refused."""
    return web.json_response({"itemsReceived": received, "itemsAccepted": accepted, "errors": errors}, status=status)
