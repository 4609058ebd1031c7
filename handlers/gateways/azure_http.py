"""What an HTTP answer says about trying again, the same for every service."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.request import getproxies

from azure.core.exceptions import HttpResponseError

RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which asking again may help."""
UNREADABLE_ANSWER = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, zlib.error)
"""What reading an answer raises that is not what the contract says: HTML, half of it, a list, a missing key, a time
beyond all calendars, a nest without end, and what calls itself gzip and is none."""
MAX_RETRY_AFTER_SECONDS = 3600.0
"""Seconds of a Retry-After that are believed: one of years would be a release that nobody takes up again."""
CLIENT_OPTIONS: dict[str, Any] = {"connection_timeout": 5, "retry_status": 0}
"""Seconds. A bad status is not asked again inside an SDK: azure-core would sleep for as long as Retry-After says, and
nobody would renew the lease meanwhile; the release loop waits just as long, and renews."""
NO_TRACE: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""Polls, and our own bookkeeping in storage, would be most of a trace and say nothing."""


@cache
def connection_options() -> dict[str, Any]:
    """How clients reach the network: past what the environment says of proxies where it says nothing.

    aiohttp 3.14 reads the environment and ~/.netrc in a thread of its own, for every request anew, and the request
    waits for both.
    """
    return {"use_env_settings": bool(getproxies())}


def is_retryable(status: int | None) -> bool:
    """True where asking again may help: nobody answered, the service is busy, or it said yes in words that are none."""
    return status is None or status < 300 or status in RETRYABLE_STATUSES


def retry_after(error: HttpResponseError) -> float | None:
    """Seconds that the service asks us to wait, where it says so as a number; an hour at most."""
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return min(float(text), MAX_RETRY_AFTER_SECONDS) if text.isdecimal() else None
