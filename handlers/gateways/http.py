"""What an HTTP answer says about trying again, the same for every service."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.request import getproxies

from azure.core.exceptions import HttpResponseError

BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which asking again may help."""
UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""Polls, and our own bookkeeping in storage, would be most of a trace and say nothing."""


@cache
def connections() -> dict[str, Any]:
    """How clients reach the network: past what the environment says of proxies where it says nothing.

    aiohttp 3.14 reads the environment and ~/.netrc in a thread of its own, for every request anew, and the request
    waits for both.
    """
    return {"use_env_settings": bool(getproxies())}


def retry_after(error: HttpResponseError) -> float | None:
    """Seconds that the service asks us to wait, where it says so as a number."""
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
