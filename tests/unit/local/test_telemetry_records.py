"""Envelopes become the page's records: valid ones exactly, malformed ones without an error."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from local.telemetry.records import to_record
from local.telemetry.server import Telemetry

LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANY = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
FIELDS = st.sampled_from(
    ["id", "name", "duration", "success", "properties", "metrics", "message", "exceptions", "type"]
)
KINDS = st.sampled_from(["RequestData", "RemoteDependencyData", "MetricData", "MessageData", "ExceptionData", "Other"])
GOOD: dict[str, Any] = {"time": "2026-11-25T00:00:00Z", "data": {"baseType": "MessageData", "baseData": {}}}


@given(KINDS, st.dictionaries(FIELDS, ANY), ANY, ANY)
def test_any_envelope_becomes_a_record(kind: str, data: dict[str, Any], tags: Any, time: Any) -> None:
    record = to_record({"tags": tags, "time": time, "data": {"baseType": kind, "baseData": data}})
    json.dumps(record, allow_nan=False)
    assert all(isinstance(value, str) for value in record["about"].values())


@pytest.mark.parametrize(
    ("duration", "took"),
    [("0.00:00:00.593", 593.0), ("1.02:03:04.500", 93_784_500.0), ("00:00:01", 0.0), ("soon", 0.0), (None, 0.0)],
)
def test_a_span_has_its_duration(duration: Any, took: float) -> None:
    data = {"baseType": "RequestData", "baseData": {"duration": duration}}
    assert to_record({"data": data})["took"] == took


def test_a_decision_has_the_time_at_which_it_was_made() -> None:
    at = {"slipway.at": "2026-11-25T12:00:00+00:00", "slipway.reason": "LIVE", "logger_name": "slipway"}
    data = {"baseType": "MessageData", "baseData": {"message": "slipway.decision", "properties": at}}
    record = to_record({"time": "2026-11-25T12:00:05Z", "data": data})
    assert (record["kind"], record["at"]) == ("decision", 1_795_608_000_000.0)
    assert record["about"] == {"at": "2026-11-25T12:00:00+00:00", "reason": "LIVE"}


def test_a_metric_keeps_its_minimum_and_maximum_if_it_has_them() -> None:
    point = {"name": "slipway.x", "value": 6, "count": 2, "min": 2, "max": 4}
    record = to_record({"data": {"baseType": "MetricData", "baseData": {"metrics": [point]}}})
    assert {key: record[key] for key in point} == point
    assert "min" not in to_record({"data": {"baseType": "MetricData", "baseData": {"metrics": [{"name": "y"}]}}})


SENT = [
    pytest.param(json.dumps([GOOD]).encode(), 200, 1, id="an array"),
    pytest.param(b"\n".join([json.dumps(GOOD).encode()] * 2), 200, 2, id="one document per line"),
    pytest.param(gzip.compress(json.dumps([GOOD]).encode()), 200, 1, id="compressed"),
    pytest.param(json.dumps([GOOD, {"data": 1}, None]).encode(), 206, 1, id="two are not envelopes"),
    pytest.param(b"nonsense", 400, 0, id="not JSON"),
    pytest.param(b"\x1f\x8bnonsense", 400, 0, id="not gzip"),
    pytest.param(b"\xff\xfe", 400, 0, id="not text"),
    pytest.param(b"[" * 100_000, 400, 0, id="nested too deeply"),
]


@pytest.mark.parametrize(("body", "status", "accepted"), SENT)
async def test_ingestion_reports_what_it_accepts(body: bytes, status: int, accepted: int) -> None:
    telemetry = Telemetry()
    async with TestClient(TestServer(telemetry.app())) as client:
        async with client.post("/v2.1/track", data=body) as answer:
            result = await answer.json()
            assert (answer.status, result["itemsAccepted"]) == (status, accepted)
            assert len(result["errors"]) == (result["itemsReceived"] - accepted or (status == 400))
        async with client.get("/_local/items?type=MessageData") as answer:
            assert len(await answer.json()) == accepted
