"""What an HTTP answer says about trying again, the same for every service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AsyncRetryPolicy

BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which asking again may help."""
UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""Polls, and our own bookkeeping in storage, would be most of a trace and say nothing."""


LONGEST_RETRY_AFTER = 5.0
"""Seconds that a client sleeps by itself because a service asks for it."""


class BriefRetries(AsyncRetryPolicy[Any, Any]):
    """azure-core's own retries, but for a long wait that the service asks for.

    azure-core would sleep for as long as Retry-After says, each time, without anybody renewing the lease meanwhile; the
    release loop waits just as long, and renews.
    """

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Not where the wait is long; else as azure-core decides."""
        asked = self.get_retry_after(response)
        return (asked is None or asked <= LONGEST_RETRY_AFTER) and bool(super().is_retry(settings, response))


def may_pass(error: HttpResponseError) -> bool:
    """True where asking again may help: it is busy, or its answer of 2xx cannot be read (HTML, half of it)."""
    return error.status_code is None or error.status_code < 300 or error.status_code in BUSY


def retry_after(error: HttpResponseError) -> float | None:
    """Seconds that the service asks us to wait, where it says so as a number."""
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
