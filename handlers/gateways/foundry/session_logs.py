"""The last output of a session's container, from its log stream: limited in size and time, whatever the stream does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from core.foreign_text import ForeignText
from handlers.gateways.azure_http import NO_TRACE, UNREADABLE_ANSWER
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.foundry.calls import ONCE
from handlers.gateways.foundry.errors import SERVICE

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

MAX_KEPT_BYTES = 64 * 1024
"""Of the end of the stream: far more than is recorded, since secrets are hidden before a text is cut."""
MAX_READ_BYTES = 2_000_000
QUIET_SECONDS = 0.5
"""The stream stays open for ever: what it has stored comes at once, so after such a pause it is read."""
OF_THE_SERVICE = "status"
"""The ``stream`` of lines that Foundry writes itself, such as "No logs since last 60 seconds"."""


async def read_session_log(
    client: AIProjectClient, agent: str, version: str, session: str, within: float
) -> ForeignText:
    """The last lines; raises TransientError or PermanentError where nothing came."""
    what, end = f"read the log of a session of {agent}", bytearray()
    path = f"/agents/{agent}/versions/{version}/sessions/{quote(session, safe='')}:logstream"
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    request = HttpRequest("GET", path, params={"api-version": "v1"}, headers=headers)
    options: dict[str, Any] = {**ONCE, **NO_TRACE, "connection_timeout": within, "read_timeout": within}
    answered = False
    try:
        async with asyncio.timeout(within), await client.send_request(request, stream=True, **options) as response:
            if response.status_code >= 300:
                raise PermanentError(SERVICE, str(response.status_code), what, status=response.status_code)
            answered, count = True, 0
            async for chunk in _until_quiet(response.iter_raw()):
                count += len(chunk)
                end += chunk
                del end[:-MAX_KEPT_BYTES]
                if count >= MAX_READ_BYTES:
                    break
    except (AzureError, *UNREADABLE_ANSWER) as error:
        if not answered:
            raise TransientError(SERVICE, "no answer", f"{what}: {type(error).__name__}") from error
    return ForeignText("\n".join(log_lines(bytes(end), is_cut=count > len(end))))


async def _until_quiet(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks until the first pause after one of them."""
    pause: float | None = None
    while True:
        try:
            yield await asyncio.wait_for(anext(chunks), pause)
        except (TimeoutError, StopAsyncIteration):
            return
        pause = QUIET_SECONDS


def log_lines(data: bytes, *, is_cut: bool) -> list[str]:
    """The lines of a stream of server-sent events; of one that is cut, the first line is not whole."""
    lines = data.decode("utf-8", "replace").splitlines()[is_cut:]
    is_stream = any(line.startswith("data:") for line in lines)
    texts = (line.removeprefix("data:").strip() for line in lines if not is_stream or line.startswith("data:"))
    return [line for text in texts for line in _message(text).splitlines() if line.strip()]


def _message(text: str) -> str:
    """What the container wrote: the form of a line is not contractual, so an unknown one stays as it is."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(entry, dict) or not isinstance(entry.get("message"), str):
        return text
    return "" if entry.get("stream") == OF_THE_SERVICE else str(entry["message"])
