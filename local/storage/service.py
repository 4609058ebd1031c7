"""What the blob and the queue service share: the clock, the path, who may ask, and how errors look."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web

from local.stand_in import StandIn
from local.storage.store import StorageError, Store

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's account and key, as Microsoft publishes them on its page about Azurite."""
Answer = Callable[[web.Request], Awaitable[web.Response] | web.Response]


class Clock:
    """The time of the storage account; a test may set it forward, and with a file it stays so after a kill."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.ahead = float(file.read_text()) if file is not None and file.exists() else 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Set it forward."""
        self.ahead += seconds
        if self._file is not None:
            self._file.write_text(str(self.ahead))


class StorageService(StandIn):
    """A service of the account; ``PUT /_local/clock {"advance_s": 61}`` lets leases and hidden messages run out."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__()
        self.store = store
        self._clock = clock

    def clock_route(self) -> web.RouteDef:
        """Set the clock forward."""
        return web.put("/_local/clock", self._advance)

    async def _advance(self, request: web.Request) -> web.Response:
        self._clock.advance(float((await request.json())["advance_s"]))
        return web.json_response({"ahead_s": self._clock.ahead})

    async def answered(self, request: web.Request, answer: Answer) -> web.Response:
        """Whatever ``answer`` says, with the headers of every answer; an error as the service writes it."""
        try:
            found = answer(request) if "Authorization" in request.headers else _stranger(request)
            response = found if isinstance(found, web.Response) else await found
        except StorageError as error:
            response = self._error(error)
        response.headers.setdefault("x-ms-request-id", "local")
        response.headers.setdefault("x-ms-version", request.headers.get("x-ms-version", "2026-10-06"))
        return response

    def _error(self, error: StorageError) -> web.Response:
        response = xml(f"<Error>{element('Code', error.code)}{element('Message', error.code)}</Error>")
        response.set_status(error.status)
        response.headers["x-ms-error-code"] = error.code
        return response


def _stranger(request: web.Request) -> web.Response:
    raise StorageError(403, "AuthenticationFailed")


def http_date(seconds: float) -> str:
    """RFC 1123, as every header and list has it."""
    return formatdate(seconds, usegmt=True)


def xml(text: str) -> web.Response:
    """An XML answer."""
    return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{text}', content_type="application/xml")


def element(name: str, value: object) -> str:
    """One element with its text escaped."""
    return f"<{name}>{escape(str(value))}</{name}>"
