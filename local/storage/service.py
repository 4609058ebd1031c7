"""Base class of the blob and the queue service: clock, sign-in check, headers, errors."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import TypeVar
from xml.sax.saxutils import escape

from aiohttp import web

from local.stand_in import StandIn
from local.storage.store import StorageError, Store

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's account and key, which Microsoft publishes in the documentation of Azurite."""
T = TypeVar("T")
StorageHandler = Callable[[web.Request], Awaitable[web.Response] | web.Response]


class Clock:
    """The account's clock; tests can advance it, and with a file it stays advanced after a kill."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.ahead = float(file.read_text()) if file is not None and file.exists() else 0.0

    def __call__(self) -> float:
        """Return the time as Unix seconds."""
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self.ahead += seconds
        if self._file is not None:
            self._file.write_text(str(self.ahead))


class StorageService(StandIn):
    """A service of the account; ``PUT /_local/clock {"advance_s": 61}`` expires leases and shows hidden messages."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__()
        self.store = store
        self._clock = clock

    def clock_route(self) -> web.RouteDef:
        """Return the control route that advances the clock."""
        return web.put("/_local/clock", self._advance)

    async def _advance(self, request: web.Request) -> web.Response:
        self._clock.advance(float((await request.json())["advance_s"]))
        return web.json_response({"ahead_s": self._clock.ahead})

    async def respond(self, request: web.Request, handler: StorageHandler) -> web.Response:
        """Return the handler's response with the headers of every response; turn a StorageError into a response."""
        try:
            result = handler(request) if "Authorization" in request.headers else _not_signed_in(request)
            response = result if isinstance(result, web.Response) else await result
        except StorageError as error:
            response = self._error(error, request)
        response.headers.setdefault("x-ms-request-id", "local")
        response.headers.setdefault("x-ms-version", request.headers.get("x-ms-version", "2026-10-06"))
        return response

    def _error(self, error: StorageError, request: web.Request) -> web.Response:
        if request.method == "HEAD":  # with a content type, Azure's .NET SDK reads a body that HEAD does not have
            response = web.Response()
        else:
            response = xml(f"<Error>{element('Code', error.code)}{element('Message', error.code)}</Error>")
        response.set_status(error.status)
        response.headers["x-ms-error-code"] = error.code
        return response


def _not_signed_in(request: web.Request) -> web.Response:
    raise StorageError(403, "AuthenticationFailed")


def http_date(seconds: float) -> str:
    """Format a time as RFC 1123, as headers and lists do."""
    return formatdate(seconds, usegmt=True)


def xml(text: str) -> web.Response:
    """Return an XML response."""
    return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{text}', content_type="application/xml")


def page(request: web.Request, items: Sequence[T]) -> tuple[Sequence[T], str]:
    """Return the requested page of a list, and the element with the marker of the next page."""
    start, size = int(request.query.get("marker") or 0), int(request.query.get("maxresults") or 5000)
    return items[start : start + size], element("NextMarker", start + size if start + size < len(items) else "")


def element(name: str, value: object) -> str:
    """Return an XML element with its text escaped."""
    return f"<{name}>{escape(str(value))}</{name}>"
