"""Application Insights' ingestion endpoint: keeps what arrives, and shows it as JSON and as a page.

Lacks: live metrics, sampling hints, and any refusal.
"""

from __future__ import annotations

import gzip
import html
import json
from collections import deque
from typing import Any

from aiohttp import web

from local.server import StandIn

KEPT = 10_000
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.35rem .6rem;text-align:left;vertical-align:top;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent)}code{font-size:.9em}"
    "th{font-weight:600}.quiet{opacity:.65}"
)


class Telemetry(StandIn):
    """Everything that the exporter sends."""

    name = "telemetry"

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def routes(self) -> list[web.RouteDef]:
        """Ingestion, and two ways to look."""
        return [
            web.post("/v2.1/track", self._track),
            web.post("/v2/track", self._track),
            web.get("/_local/items", self._list),
            web.get("/", self._page),
        ]

    async def _track(self, request: web.Request) -> web.Response:
        data = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode()
        items = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
        self.items.extend(items)
        return web.json_response({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []})

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("type")
        return web.json_response([one for one in self.items if wanted in (None, one["data"]["baseType"])])

    async def _page(self, _: web.Request) -> web.Response:
        rows = "".join(_row(item) for item in reversed(self.items) if _decision(item))
        head = "<tr><th>when</th><th>agent</th><th>reason</th><th>what</th></tr>"
        body = (
            f"<!doctype html><meta charset=utf-8><title>Slipway, locally</title><style>{STYLE}</style>"
            f"<h1>Decisions</h1><p class=quiet>What arrived at Application Insights, newest first.</p>"
            f"<table>{head}{rows}</table>"
        )
        return web.Response(text=body, content_type="text/html")


def _decision(item: dict[str, Any]) -> dict[str, str] | None:
    data = item["data"].get("baseData", {})
    return data.get("properties") if data.get("message") == "slipway.decision" else None


def _row(item: dict[str, Any]) -> str:
    told = _decision(item) or {}
    what = " ".join(
        f"{key} <code>{html.escape(told[f'slipway.{key}'])}</code>"
        for key in ("repository", "tag", "version")
        if f"slipway.{key}" in told
    )
    detail = html.escape(told.get("slipway.detail", ""))
    cells = (item.get("time", "")[11:19], told.get("slipway.agent", ""), told.get("slipway.reason", ""))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + f"<td>{what} {detail}</td></tr>"
