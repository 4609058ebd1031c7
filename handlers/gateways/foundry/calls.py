"""One call to Foundry: its answer as our own type, or one of our two errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from core.model import Definition
from handlers.gateways.azure_http import MAX_CALL_SECONDS, NO_REDIRECT, UNREADABLE_ANSWER
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry.errors import SERVICE, read_failed, write_failed

if TYPE_CHECKING:
    from azure.core.async_paging import AsyncItemPaged

T = TypeVar("T")

WRITE_OPTIONS: dict[str, Any] = {"retry_total": 0, **NO_REDIRECT}
"""azure-core repeats a POST on 500, 503, 504 and on any Retry-After: a second create is a second version."""
PAGE_SIZE = 100
MAX_PAGES = 50
"""Five times the versions that Foundry keeps of an agent."""


async def read(
    what: str,
    send: Callable[[], Awaitable[Any]],
    convert: Callable[[Any], T],
    seconds: float | None = MAX_CALL_SECONDS,
) -> T | None:
    """Read something; None where it does not exist."""
    try:
        async with asyncio.timeout(seconds):
            return convert(await send())
    except (AzureError, *UNREADABLE_ANSWER) as error:
        failed = read_failed(what, error)
        if failed is None:
            return None
        raise failed from error


async def send_once(
    what: str, send: Callable[[], Awaitable[Any]], convert: Callable[[Any], T], sent: Definition | None = None
) -> T:
    """Send a write once; ``sent`` is the definition that a refusal may repeat, secrets included."""
    try:
        async with asyncio.timeout(MAX_CALL_SECONDS):
            return convert(await send())
    except (AzureError, *UNREADABLE_ANSWER) as error:
        failed = write_failed(what, error, sent)
        if sent is None:
            raise failed from error
    # outside of the handler, and without a cause: a traceback prints every error of the chain with its message
    raise failed from None


async def read_pages(
    what: str, paged: AsyncItemPaged[Any], wait_for_read: Callable[[], Awaitable[None]] | None = None
) -> list[Any]:
    """The items of all pages; raises PermanentError with the code PAGING_LOOP for a list that does not end.

    azure-ai-projects 2.10.0 ends only at a page without ``last_id`` and ignores ``has_more``: against a server that
    echoes the cursor it would never end. Nothing follows an empty page, whatever its cursor. Each page has its own
    time and waits for the rate limiter: after one refused page the whole list is read again.
    """
    found: list[Any] = []
    cursors: set[str] = set()
    pages = paged.by_page()
    for _ in range(MAX_PAGES):
        if wait_for_read is not None:
            await wait_for_read()
        async with asyncio.timeout(MAX_CALL_SECONDS):
            page = await anext(pages, None)
            items = [item async for item in page] if page is not None else []
        cursor: str | None = getattr(pages, "continuation_token", None)
        if not items:
            return found
        if cursor in cursors:
            raise PermanentError(SERVICE, "PAGING_LOOP", f"{what}: the cursor {cursor} came twice")
        found += items
        cursors |= {cursor} if cursor else set()
    raise PermanentError(SERVICE, "PAGING_LOOP", f"{what}: the list has more than {MAX_PAGES} pages")
