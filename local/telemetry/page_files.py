"""The page's files and the reasons' pages, with headers that let nothing else run or be asked."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from local.endpoints import ROOT

FILES = Path(__file__).with_name("page")
REASONS = ROOT / "docs" / "reference" / "reasons"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Telemetry repeats what strangers wrote: nothing inline runs, and text cannot become markup."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def routes() -> list[web.RouteDef]:
    """The page, its files, and what each reason means."""
    return [
        web.get("/", _index),
        web.get("/page/{name}", _file),
        web.get("/reasons/{code}", _reason),
    ]


async def _index(_: web.Request) -> web.Response:
    return _sent(FILES / "index.html", "text/html")


async def _file(request: web.Request) -> web.Response:
    path = FILES / request.match_info["name"]
    if path.parent != FILES or path.suffix not in KINDS or not path.is_file():
        raise web.HTTPNotFound(text="no such file of the page")
    return _sent(path, KINDS[path.suffix])


async def _reason(request: web.Request) -> web.Response:
    path = REASONS / f"{request.match_info['code']}.md"
    if not re.fullmatch(r"[A-Z_]{1,60}", path.stem) or not path.is_file():
        raise web.HTTPNotFound(text="no page of this reason")
    return _sent(path, "text/markdown")


def _sent(path: Path, kind: str) -> web.Response:
    return web.Response(text=path.read_text(), content_type=kind, charset="utf-8", headers=HEADERS)
