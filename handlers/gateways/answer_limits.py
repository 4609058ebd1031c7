"""How large an answer of a service may be, whatever it holds: one answer must not fill the memory of the worker."""

from __future__ import annotations

from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport

MAX_ANSWER_BYTES = 3_000_000
"""Of an answer, unpacked; a page of 100 versions, or a manifest, is a tenth of it."""
MAX_ANSWER_VALUES = 50_000
"""Commas and brackets of an answer: each empty object takes 64 bytes in memory and 3 in the answer."""


class AnswerTooLargeError(ValueError):
    """An answer has more bytes, or as JSON more values, than any that is meant for us."""


class LimitedResponse(aiohttp.ClientResponse):
    """A response whose body is read, and unpacked, up to the limits."""

    async def read(self) -> bytes:
        """The body; raises AnswerTooLargeError, and leaves the rest on the wire."""
        body = bytearray()
        try:
            _limit(self.content_length or 0, MAX_ANSWER_BYTES, "bytes")
            async for chunk in self.content.iter_any():
                body += chunk
                _limit(len(body), MAX_ANSWER_BYTES, "bytes")
        finally:
            if not self.content.at_eof():
                self.close()
        _limit(sum(map(body.count, (b",", b"[", b"{"))), MAX_ANSWER_VALUES, "values")
        return bytes(body)


def _limit(count: int, maximum: int, unit: str) -> None:
    if count > maximum:
        raise AnswerTooLargeError(f"the answer has more than {maximum:,} {unit}")


class LimitedTransport(AioHttpTransport):  # type: ignore[misc] # azure-core exports it lazily, as Any
    """azure-core's transport with limited responses.

    aiohttp unpacks, piece by piece; azure-core would unpack the whole answer at once.
    """

    session: aiohttp.ClientSession | None

    async def open(self) -> None:
        """Open the session, as azure-core does but for the two differences."""
        if self.session is None and not self._has_been_opened:
            options: dict[str, Any] = {"trust_env": self._use_env_settings, "cookie_jar": aiohttp.DummyCookieJar()}
            self.session = aiohttp.ClientSession(response_class=LimitedResponse, **options)
        await super().open()
