"""Converts envelopes of Application Insights into the page's records: decisions, spans, metrics and other lines."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

Item = dict[str, Any]
Record = dict[str, Any]

SPANS = {"RequestData": "request", "RemoteDependencyData": "call"}
PREFIX = "slipway."
DURATION_PATTERN = re.compile(r"(\d+)\.(\d+):(\d+):(\d+(?:\.\d+)?)")
"""Days, hours, minutes, seconds."""


def to_record(item: Item) -> Record:
    """Convert an envelope; missing properties become empty."""
    kind, data = item["data"]["baseType"], item["data"]["baseData"]
    tags = _mapping(item.get("tags"))
    common: Record = {
        "at": _milliseconds(item.get("time")),
        "trace": str(tags.get("ai.operation.id") or ""),
        "parent": str(tags.get("ai.operation.parentId") or ""),
        "about": _slipway_properties(data),
    }
    if kind in SPANS:
        return common | _span(SPANS[kind], data)
    if kind == "MetricData":
        return common | _metric(data)
    return common | _line(kind, data, common["about"])


def _span(kind: str, data: Item) -> Record:
    return {
        "kind": "span",
        "id": str(data.get("id", "")),
        "name": str(data.get("name", "")),
        "took": _duration(data.get("duration")),
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
    exceptions = data.get("exceptions")
    exception = _mapping(exceptions[0]) if isinstance(exceptions, list) and exceptions else {}
    text = data.get("message") or " ".join(str(exception.get(key, "")) for key in ("typeName", "message")) or kind
    return {"kind": "line", "text": str(text), "bad": _number(data.get("severityLevel")) >= 3 or "exceptions" in data}


def _slipway_properties(data: Item) -> dict[str, str]:
    return {
        str(key).removeprefix(PREFIX): str(value)
        for key, value in _mapping(data.get("properties")).items()
        if str(key).startswith(PREFIX)
    }


def _milliseconds(text: Any) -> float:
    """Parse a time as Unix milliseconds; 0 if it is not a time."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000


def _duration(text: Any) -> float:
    """Parse ``d.hh:mm:ss.fff`` as milliseconds; 0 if it is not a duration."""
    match = DURATION_PATTERN.fullmatch(str(text))
    if match is None:
        return 0.0
    days, hours, minutes = (int(group) for group in match.groups()[:3])
    return 1000 * (((days * 24 + hours) * 60 + minutes) * 60 + float(match[4]))


def _number(value: Any) -> float:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if finite else 0.0


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
