"""Serves the page's files and the reason pages, with headers that block other scripts and requests."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from local.endpoints import ROOT

FILES = Path(__file__).with_name("page")
REASONS = ROOT / "docs" / "reference" / "reasons"
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Telemetry repeats text from outside: no inline script runs, and no text becomes markup."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def routes() -> list[web.RouteDef]:
    """Return the routes of the page, its files and the reason pages."""
    return [
        web.get("/", _index),
        web.get("/page/{name}", _file),
        web.get("/reasons/{code}", _reason),
    ]


async def _index(_: web.Request) -> web.Response:
    return _file_response(FILES / "index.html", "text/html")


async def _file(request: web.Request) -> web.Response:
    path = FILES / request.match_info["name"]
    if path.parent != FILES or path.suffix not in CONTENT_TYPES or not path.is_file():
        raise web.HTTPNotFound(text="the page has no such file")
    return _file_response(path, CONTENT_TYPES[path.suffix])


async def _reason(request: web.Request) -> web.Response:
    path = REASONS / f"{request.match_info['code']}.md"
    if not re.fullmatch(r"[A-Z_]{1,60}", path.stem) or not path.is_file():
        raise web.HTTPNotFound(text="this reason has no page")
    return _file_response(path, "text/markdown")


def _file_response(path: Path, content_type: str) -> web.Response:
    return web.Response(text=path.read_text(), content_type=content_type, charset="utf-8", headers=HEADERS)
