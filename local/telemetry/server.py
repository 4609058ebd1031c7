"""Application Insights' ingestion endpoint: keeps envelopes and serves them as JSON, as a stream and as a page.

Lacks: a viewer of live metrics, sampling hints, and errors other than for invalid envelopes.
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
from local.telemetry.board import Board, BoardError
from local.telemetry.records import Item, to_record

MAX_ENVELOPES = 20_000
"""A release is about fifty envelopes."""
RECORDS_PER_MESSAGE = 500
"""Records in one message of the stream."""
KEEP_ALIVE_SECONDS = 10.0
"""Seconds without new records after which the stream sends a message, which also detects a closed connection."""


class Telemetry(StandIn):
    """Receives everything that the exporter sends."""

    name = "telemetry"

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[Item] = deque(maxlen=MAX_ENVELOPES)
        self.received = 0
        self.board: Board | None = None
        """Reads what runs where; None without a stack around this server."""
        self.decided: Callable[[], None] = lambda: None
        """Called when a decision arrives."""
        self._instance = uuid.uuid4().hex
        self._streams: set[asyncio.Event] = set()
        self._stopped = False

    def routes(self) -> list[web.RouteDef]:
        """Return the ingestion routes, and three ways to read."""
        return [
            web.post("/v2.1/track", self._track),
            web.post("/v2/track", self._track),
            web.post("/QuickPulseService.svc/{action:ping|post}", _live_metrics),
            web.get("/_local/items", self._list),
            web.get("/_local/stream", self._stream),
            web.get("/_local/board", self._list_targets),
            *page_files.routes(),
        ]

    async def started(self) -> None:
        """Serve streams; this may be a second start."""
        self._stopped = False

    async def stopped(self) -> None:
        """End every stream."""
        self._stopped = True
        self._notify()

    def _notify(self) -> None:
        for changed in self._streams:
            changed.set()

    async def _track(self, request: web.Request) -> web.Response:
        try:
            sent = _envelopes(await request.read())
        except ValueError as error:
            return _track_response(0, 0, [{"index": 0, "statusCode": 400, "message": f"not envelopes: {error}"}], 400)
        valid = [item for item in sent if _is_envelope(item)]
        self.items.extend(valid)
        self.received += len(valid)
        if any(item["data"]["baseData"].get("message") == "slipway.decision" for item in valid):
            self.decided()
        self._notify()
        errors = [
            {"index": index, "statusCode": 400, "message": "not an envelope: needs data.baseType and data.baseData"}
            for index, item in enumerate(sent)
            if not _is_envelope(item)
        ]
        return _track_response(len(sent), len(valid), errors, 206 if errors else 200)

    async def _list(self, request: web.Request) -> web.Response:
        base_type = request.query.get("type")
        return web.json_response([item for item in self.items if base_type in (None, item["data"]["baseType"])])

    async def _list_targets(self, _: web.Request) -> web.Response:
        try:
            rows = await self.board() if self.board else []
        except BoardError as error:
            return web.json_response({"error": str(error)}, status=503, headers=page_files.HEADERS)
        return web.json_response(rows, headers=page_files.HEADERS)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send server-sent events, each a list of records; a browser resumes after the last id that it received."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **page_files.HEADERS})
        await response.prepare(request)
        position, changed = self._resume_position(request.headers.get("Last-Event-ID", "")), asyncio.Event()
        self._streams.add(changed)
        try:
            await self._send(response.write, position, changed)
        except ConnectionError:
            return response  # the browser disconnected
        finally:
            self._streams.discard(changed)
        return response

    async def _send(self, write: Callable[[bytes], Awaitable[None]], position: int, changed: asyncio.Event) -> None:
        if position == 0:  # a new page, or one that shows an earlier instance's records: it starts empty
            await write(b"retry: 1000\nevent: begin\ndata: {}\n\n")
        while not self._stopped:
            changed.clear()
            while position < self.received:
                position, records = self._records_after(position)
                await write(f"id: {self._instance}-{position}\ndata: {json.dumps(records)}\n\n".encode())
            await write(b"event: caught-up\ndata: {}\n\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), KEEP_ALIVE_SECONDS)

    def _records_after(self, position: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the new position and the records of the next envelopes."""
        oldest = self.received - len(self.items)
        first = max(position, oldest)
        last = min(first + RECORDS_PER_MESSAGE, self.received)
        return last, [to_record(self.items[number - oldest]) for number in range(first, last)]

    def _resume_position(self, last_event_id: str) -> int:
        instance, _, position = last_event_id.partition("-")
        known = instance == self._instance and position.isdecimal()
        return min(int(position), self.received) if known else 0


def _envelopes(data: bytes) -> list[Any]:
    """Parse a JSON array, or one document in each line; raise ValueError."""
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    except (OSError, EOFError, zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error


def _is_envelope(item: Any) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return isinstance(data, dict) and isinstance(data.get("baseType"), str) and isinstance(data.get("baseData"), dict)


def _track_response(received: int, accepted: int, errors: list[dict[str, Any]], status: int) -> web.Response:
    """Respond as learn.microsoft.com/azure/azure-monitor/app/api-custom-events-metrics: 206 for partial success."""
    return web.json_response({"itemsReceived": received, "itemsAccepted": accepted, "errors": errors}, status=status)


async def _live_metrics(request: web.Request) -> web.Response:
    """Answer that nobody watches, so that the app sends no samples."""
    body: dict[str, Any] = {"ETag": "", "Metrics": [], "DocumentStreams": [], "QuotaInfo": None}
    return web.json_response(body, headers={"x-ms-qps-subscribed": "false"})
