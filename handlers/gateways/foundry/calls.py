"""One call to Foundry: what it answers as a value of ours, or one of our two errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from core.model import Definition
from handlers.gateways.azure_http import UNREADABLE_ANSWER
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry.errors import SERVICE, read_failed, write_failed

if TYPE_CHECKING:
    from azure.core.async_paging import AsyncItemPaged

T = TypeVar("T")

NO_RETRY: dict[str, Any] = {"retry_total": 0}
"""azure-core repeats a POST on 500, 503, 504 and on any Retry-After: a second create is a second version."""
PAGE_SIZE = 100


async def read(what: str, send: Callable[[], Awaitable[Any]], shape: Callable[[Any], T]) -> T | None:
    """Ask for something; None where it does not exist."""
    try:
        return shape(await send())
    except (AzureError, *UNREADABLE_ANSWER) as error:
        failed = read_failed(what, error)
        if failed is None:
            return None
        raise failed from error


async def send_once(
    what: str, send: Callable[[], Awaitable[Any]], shape: Callable[[Any], T], sent: Definition | None = None
) -> T:
    """Do something once; ``sent`` is what the service may repeat in its refusal, secrets and all."""
    try:
        return shape(await send())
    except (AzureError, *UNREADABLE_ANSWER) as error:
        failed = write_failed(what, error, sent)
        if sent is None:
            raise failed from error
    # outside of the handler, and without a cause: a traceback prints every error of the chain, with what it repeats
    raise failed from None


async def _at_once() -> None:
    """No page waits."""


async def read_pages(
    what: str, paged: AsyncItemPaged[Any], turn: Callable[[], Awaitable[None]] = _at_once
) -> list[Any]:
    """The items of all pages; raises PermanentError with the code PAGING_LOOP for a cursor that comes again.

    azure-ai-projects 2.10.0 ends only at a page without ``last_id`` and never looks at ``has_more``: a server that
    echoes the cursor would be asked for ever. Nothing follows an empty page, whatever its cursor says. Each page waits
    for its ``turn``: one that is refused has the whole list read again.
    """
    found: list[Any] = []
    cursors: set[str] = set()
    pages = paged.by_page()
    while True:
        await turn()
        page = await anext(pages, None)
        items = [item async for item in page] if page is not None else []
        cursor: str | None = getattr(pages, "continuation_token", None)
        if not items:
            break
        if cursor in cursors:
            raise PermanentError(SERVICE, "PAGING_LOOP", f"{what}: the cursor {cursor} came twice")
        found += items
        cursors |= {cursor} if cursor else set()
    return found
