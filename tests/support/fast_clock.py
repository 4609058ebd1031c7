"""A clock that passes when somebody sleeps, for the handlers, the stand-ins and the SDKs' waits between retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.storage.blob.aio import ExponentialRetry

from handlers.gateways.in_memory.clock import ManualClock
from local.storage.service import Clock as StorageClock

HURRY = 0.02
"""Seconds of the real clock that a client waits for an answer that will be late."""
LATE = 0.06
"""Seconds until it comes."""


class PassingClock(ManualClock):
    """Time passes at once; what was planned for a time is done when it has come."""

    def __init__(self) -> None:
        super().__init__()
        self._at: float | None = None
        self._then: Callable[[], Awaitable[None]] | None = None

    def plan(self, at: float | None, then: Callable[[], Awaitable[None]]) -> None:
        """Have something done at a time, in place of what was planned before; None: never."""
        self._at, self._then = at, then

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self._then and self._at is not None and self.passed >= self._at:
            self._at = None
            await self._then()


class PassingTransport(AioHttpTransport):  # type: ignore[misc] # azure-core exports it lazily, as Any
    """The SDKs' own transport: it trusts the authority, passes the time, and waits only briefly for what is late."""

    def __init__(self, clock: ManualClock, trusted: SSLContext, late: Callable[[str, str], bool]) -> None:
        connector, no_cookies = TCPConnector(ssl=trusted), DummyCookieJar()
        super().__init__(session=ClientSession(connector=connector, cookie_jar=no_cookies, auto_decompress=False))
        self._clock, self._late = clock, late

    async def send(self, request: HttpRequest, **config: Any) -> AsyncHttpResponse:
        if self._late(request.method, request.url):
            config["read_timeout"] = HURRY
        answer: AsyncHttpResponse = await super().send(request, **config)
        return answer

    async def sleep(self, duration: float) -> None:
        await self._clock.sleep(duration)


class PassingRetry(ExponentialRetry):
    """The storage SDK's own retries: the transport that it wraps for a container's client would really sleep."""

    def __init__(self, clock: ManualClock, **options: Any) -> None:
        super().__init__(**options, random_jitter_range=0)
        self._clock = clock

    async def sleep(self, settings: dict[str, Any], transport: object) -> None:
        await self._clock.sleep(self.get_backoff_time(settings))


class OnTheClock(StorageClock):
    """Storage whose leases and hidden messages run out on the same clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def __call__(self) -> float:
        return self._clock.now().timestamp()
