"""Envelopes of Application Insights as the page's few words: a decision, a span, a measurement, or another line."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

Item = dict[str, Any]
Record = dict[str, Any]

SPANS = {"RequestData": "request", "RemoteDependencyData": "call"}
PREFIX = "slipway."
DURATION = re.compile(r"(\d+)\.(\d+):(\d+):(\d+(?:\.\d+)?)")
"""Days, hours, minutes, seconds."""


def record(item: Item) -> Record:
    """What the page is told of an envelope; whatever is missing in it is left empty."""
    kind, data = item["data"]["baseType"], item["data"]["baseData"]
    tags = _mapping(item.get("tags"))
    told: Record = {
        "at": _milliseconds(item.get("time")),
        "trace": str(tags.get("ai.operation.id") or ""),
        "parent": str(tags.get("ai.operation.parentId") or ""),
        "about": _about(data),
    }
    if kind in SPANS:
        return told | _span(SPANS[kind], data)
    if kind == "MetricData":
        return told | _metric(data)
    return told | _line(kind, data, told["about"])


def _span(kind: str, data: Item) -> Record:
    return {
        "kind": "span",
        "id": str(data.get("id", "")),
        "name": str(data.get("name", "")),
        "took": _lasted(data.get("duration")),
        "good": data.get("success") is not False,
        "code": str(data.get("resultCode") or data.get("responseCode") or ""),
        "target": str(data.get("target") or ""),
        "address": str(data.get("data") or ""),
        "type": str(data.get("type") or kind),
    }


def _metric(data: Item) -> Record:
    metrics = data.get("metrics")
    first = _mapping(metrics[0]) if isinstance(metrics, list) and metrics else {}
    value, count = _number(first.get("value")), _number(first.get("count")) or 1
    low, high = _number(first.get("min")), _number(first.get("max"))
    spread = {"min": low, "max": high} if "min" in first and "max" in first else {}
    return {"kind": "metric", "name": str(first.get("name", "")), "value": value, "count": count, **spread}


def _line(kind: str, data: Item, about: dict[str, str]) -> Record:
    if data.get("message") == "slipway.decision":
        at = _milliseconds(about.get("at"))
        return {"kind": "decision", **({"at": at} if at else {})}
    first = data.get("exceptions")
    why = _mapping(first[0]) if isinstance(first, list) and first else {}
    text = data.get("message") or " ".join(str(why.get(key, "")) for key in ("typeName", "message")) or kind
    return {"kind": "line", "text": str(text), "bad": _number(data.get("severityLevel")) >= 3 or "exceptions" in data}


def _about(data: Item) -> dict[str, str]:
    return {
        str(key).removeprefix(PREFIX): str(value)
        for key, value in _mapping(data.get("properties")).items()
        if str(key).startswith(PREFIX)
    }


def _milliseconds(text: Any) -> float:
    """Since 1970; 0 where it is no time."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000


def _lasted(text: Any) -> float:
    """Milliseconds of ``d.hh:mm:ss.fff``; 0 where it is no duration."""
    found = DURATION.fullmatch(str(text))
    if found is None:
        return 0.0
    days, hours, minutes = (int(one) for one in found.groups()[:3])
    return 1000 * (((days * 24 + hours) * 60 + minutes) * 60 + float(found[4]))


def _number(value: Any) -> float:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if finite else 0.0


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
