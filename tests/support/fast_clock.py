"""A virtual clock for handlers, stand-ins and the SDKs' waits between retries: sleeping takes no real time."""

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

READ_TIMEOUT = 0.02
"""Real seconds that a client waits for a late answer."""
LATE_ANSWER = 0.06
"""Real seconds until a late answer is sent."""


class FastClock(ManualClock):
    """Time passes at once; a scheduled action runs when its time has come."""

    def __init__(self) -> None:
        super().__init__()
        self._at: float | None = None
        self._action: Callable[[], Awaitable[None]] | None = None

    def schedule(self, at: float | None, action: Callable[[], Awaitable[None]]) -> None:
        """Run an action at a time, in place of the one that was scheduled before; None cancels it."""
        self._at, self._action = at, action

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self._action and self._at is not None and self.passed >= self._at:
            self._at = None
            await self._action()


class FastTransport(AioHttpTransport):  # type: ignore[misc] # azure-core exports it lazily, as Any
    """The SDKs' own transport on the virtual clock: trusts the test authority, and waits briefly for late answers."""

    def __init__(self, clock: ManualClock, trusted: SSLContext, is_late: Callable[[str, str], bool]) -> None:
        connector, no_cookies = TCPConnector(ssl=trusted), DummyCookieJar()
        super().__init__(session=ClientSession(connector=connector, cookie_jar=no_cookies, auto_decompress=False))
        self._clock, self._is_late = clock, is_late

    async def send(self, request: HttpRequest, **config: Any) -> AsyncHttpResponse:
        if self._is_late(request.method, request.url):
            config["read_timeout"] = READ_TIMEOUT
        answer: AsyncHttpResponse = await super().send(request, **config)
        return answer

    async def sleep(self, duration: float) -> None:
        await self._clock.sleep(duration)


class FastRetry(ExponentialRetry):
    """The storage SDK's own retries on the virtual clock; a container's client wraps the transport and would sleep."""

    def __init__(self, clock: ManualClock, **options: Any) -> None:
        super().__init__(**options, random_jitter_range=0)
        self._clock = clock

    async def sleep(self, settings: dict[str, Any], transport: object) -> None:
        await self._clock.sleep(self.get_backoff_time(settings))


class FastStorageClock(StorageClock):
    """The storage stand-in's clock: leases and hidden messages expire on the virtual clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def __call__(self) -> float:
        return self._clock.now().timestamp()
