"""Which requests a stand-in accepts: those of programs on this machine and of its own page.

A page of another site reaches 127.0.0.1 in two ways. It sends a request that needs no preflight, and the browser then
names the page in ``Origin``. Or its own name resolves to 127.0.0.1 (DNS rebinding), and ``Host`` holds that name.
"""

from __future__ import annotations

import re

from aiohttp import web

HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?", re.IGNORECASE)
OTHER_SITES = frozenset({"cross-site", "same-site"})
"""Values of ``Sec-Fetch-Site`` for requests of other pages; browsers send it where they send no ``Origin``."""


def refusal(request: web.Request, other_hosts: frozenset[str] = frozenset()) -> str:
    """Return why a request is refused, or an empty text; ``other_hosts`` are accepted like loopback."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1:
        return "exactly one Host header is required"
    host = HOST.fullmatch(hosts[0])
    if host is None and hosts[0].lower() not in other_hosts:
        return "Host is not this machine: use 127.0.0.1 or localhost"
    if not all(_is_own(origin, host) for origin in request.headers.getall("Origin", [])):
        return "Origin is another page"
    is_navigation = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if request.headers.get("Sec-Fetch-Site") in OTHER_SITES and not is_navigation:
        return "Sec-Fetch-Site is another page"
    return ""


def _is_own(origin: str, host: re.Match[str] | None) -> bool:
    """Whether a page of this origin was served by this server: a loopback address with the same port."""
    scheme, _, authority = origin.partition("://")
    page = HOST.fullmatch(authority)
    return scheme in ("http", "https") and page is not None and host is not None and page[1] == host[1]
