"""Calls to Foundry: an answer as our own type, or one of our two errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from core.model import Definition
from handlers.gateways.azure_http import MAX_CALL_SECONDS, NO_REDIRECT, UNREADABLE_ANSWER
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.foundry.errors import SERVICE, read_failed, write_failed
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter

if TYPE_CHECKING:
    from azure.core.async_paging import AsyncItemPaged

T = TypeVar("T")

ONCE: dict[str, Any] = {"retry_total": 0, **NO_REDIRECT}
"""azure-core repeats a POST on 500, 503, 504 and on any Retry-After: a second create is a second version."""
MAX_PAGES = 150
"""Of 100 items. Foundry keeps 1,000 versions of an agent, so that a longer list is one that does not end."""


class FoundryCalls:
    """Sends requests and reports every 429 to the rate limiter, for every caller; each method raises our two errors.

    After a 429, reads go one after another; a write follows a fresh read, and goes at once.
    """

    def __init__(self, rate_limiter: FoundryRateLimiter, clock: Clock) -> None:
        self._rate_limiter, self._clock = rate_limiter, clock

    async def read(self, what: str, send: Callable[[], Awaitable[Any]], convert: Callable[[Any], T]) -> T | None:
        """Read something; None where it does not exist."""
        await self._rate_limiter.wait_for_read(self._clock)
        return await self._read(what, lambda: _in_time(send()), convert)

    async def read_pages(
        self,
        what: str,
        list_items: Callable[[], AsyncItemPaged[Any]],
        convert: Callable[[Any], T],
        max_pages: int = MAX_PAGES,
    ) -> list[T]:
        """The items of all pages; none where their parent does not exist.

        Each page waits for the rate limiter: after one refused page the whole list is read again.
        """
        read = partial(self._all_pages, what, list_items, max_pages)
        items = self._read(what, read, lambda found: [*map(convert, found)])
        return await items or []

    async def send_once(
        self, what: str, send: Callable[[], Awaitable[Any]], convert: Callable[[Any], T], sent: Definition | None = None
    ) -> T:
        """Send a write once; ``sent`` is the definition that a refusal may repeat, secrets included."""
        try:
            async with asyncio.timeout(MAX_CALL_SECONDS):
                return convert(await send())
        except (AzureError, *UNREADABLE_ANSWER) as error:
            failed = self._reported(write_failed(what, error, sent))
            if sent is None:
                raise failed from error
        # outside of the handler, and without a cause: a traceback prints every error of the chain with its message
        raise failed from None

    async def _read(self, what: str, send: Callable[[], Awaitable[Any]], convert: Callable[[Any], T]) -> T | None:
        try:
            return convert(await send())
        except (AzureError, *UNREADABLE_ANSWER) as error:
            failed = read_failed(what, error)
            if failed is None:
                return None
            raise self._reported(failed) from error

    async def _all_pages(self, what: str, list_items: Callable[[], AsyncItemPaged[Any]], max_pages: int) -> list[Any]:
        """Raises PermanentError with the code PAGING_LOOP for a list that does not end.

        azure-ai-projects 2.10.0 ends only at a page without ``last_id``: against a server that echoes the cursor it
        would never end. Nothing follows an empty page, whatever its cursor. Each page has its own time.
        """
        found: list[Any] = []
        cursors: set[str] = set()
        pages = list_items().by_page()
        for _ in range(max_pages):
            await self._rate_limiter.wait_for_read(self._clock)
            items = await _in_time(_next_page(pages))
            cursor: str | None = getattr(pages, "continuation_token", None)
            if not items:
                return found
            if cursor in cursors:
                raise PermanentError(SERVICE, "PAGING_LOOP", f"{what}: the cursor {cursor} came twice")
            found += items
            cursors |= {cursor} if cursor else set()
        raise PermanentError(SERVICE, "PAGING_LOOP", f"{what}: the list has more than {max_pages} pages")

    def _reported(self, failed: GatewayError) -> GatewayError:
        if isinstance(failed, TransientError) and failed.throttled:
            self._rate_limiter.record_refusal(self._clock.monotonic(), failed.retry_after)
        return failed


async def _next_page(pages: Any) -> list[Any]:
    page = await anext(pages, None)
    return [item async for item in page] if page is not None else []


async def _in_time(answer: Awaitable[T]) -> T:
    async with asyncio.timeout(MAX_CALL_SECONDS):
        return await answer
