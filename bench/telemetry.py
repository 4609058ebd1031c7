"""The cost of telemetry: time and memory compared with the same app without it, and releases while ingestion fails."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import product
from statistics import median
from typing import Any

from bench.apps import app_with_empty_function
from bench.machine import resident_memory
from bench.report import Row
from bench.testbed import Effort, Testbed, start_testbed
from bench.trigger import lower_quartile_ms, time_deliveries
from local.stack_client import Host, host

OFF = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "false"}
PROVISIONING = 4.0
INGESTION: Mapping[str, Mapping[str, Any]] = {
    "works": {},
    "answers 429": {"status": 429, "headers": {"Retry-After": "2"}},
    "answers 500": {"status": 500},
    "answers after 20 s": {"delay_s": 20.0},
    "closes the connection": {"drop": True},
}
AGENT = "measured"
ALL_STEPS = {"release": {gate: {"ask": "ping", "expect": "pong"} for gate in ("verify", "check")}}
WITHOUT, WORKING = "the same app without telemetry", "the same release while ingestion works"
EXPORT_SECONDS = 7.0
"""Seconds until all telemetry of a release has been sent: spans and metrics are exported every 5 seconds."""


def rows(effort: Effort) -> Iterator[Row]:
    """Time and memory, a row per fault of ingestion, and the number of envelopes of a release."""
    with start_testbed({"hello": 1, AGENT: 1}) as testbed:
        app = app_with_empty_function(testbed.running.folder / "app")
        with host(testbed.running, app=app) as on, host(testbed.running, app=app, settings=OFF) as off:
            yield from _cost_rows(on, off, effort.choose(600, 150))
        with host(testbed.running, only=["release_agent", "event_queued"]) as functions:
            yield from _fault_rows(testbed, functions, effort.choose(5, 2))
    with start_testbed({AGENT: 1}, ALL_STEPS) as testbed, host(testbed.running, only=["release_agent", "event_queued"]):
        yield _envelopes_row(testbed)


def _cost_rows(on: Host, off: Host, repeats: int) -> Iterator[Row]:
    took = time_deliveries({"with": (on.url, "image_pushed"), "without": (off.url, "image_pushed")}, repeats)
    with_telemetry, without = (lower_quartile_ms(took[name]) for name in ("with", "without"))
    method = f"Lower quartiles of {repeats} deliveries each, alternating between two hosts of the same app; "
    method += "ingestion answers"
    description = "image_pushed with telemetry minus without telemetry"
    details = {"with, ms": with_telemetry, "without, ms": without}
    yield Row("telemetry, time", description, "ms", with_telemetry - without, 0.5, 0.0, WITHOUT, method, details)
    memory = {"with, MiB": resident_memory(on.pid), "without, MiB": resident_memory(off.pid)}
    description = "resident memory of that host with telemetry minus without telemetry"
    yield Row(
        "telemetry, memory",
        description,
        "MiB",
        memory["with, MiB"] - memory["without, MiB"],
        50,
        0.0,
        WITHOUT,
        method,
        memory,
    )


def _fault_rows(testbed: Testbed, functions: Host, times: int) -> Iterator[Row]:
    testbed.provisioning(PROVISIONING)
    _release(testbed, functions)  # the first one opens connections
    took: dict[str, list[float]] = {name: [] for name in INGESTION}
    for _, (name, fault) in product(range(times), INGESTION.items()):
        testbed.running.put("telemetry", "/_local/faults", [{"path": "/track", **fault}] if fault else [])
        took[name].append(_release(testbed, functions))
    usual = median(took.pop("works"))
    for name, seconds in took.items():
        description = f"release time while ingestion {name} ÷ while it works"
        method = f"Medians of {times} releases each, alternating, on one host; a version takes {PROVISIONING:.0f} s"
        details = {"s": median(seconds), "working, s": usual}
        yield Row(
            f"ingestion {name}", description, "ratio", median(seconds) / usual, 1.05, 1.0, WORKING, method, details
        )


def _release(testbed: Testbed, functions: Host) -> float:
    """Seconds of one release, as the host counts them."""

    def ended() -> list[dict[str, Any]]:
        return [invocation for invocation in functions.invocations("release_agent") if invocation["ended"]]

    before = len(ended())
    testbed.push(AGENT)
    (last, *_) = testbed.wait_for(lambda: ended()[before:], "the release ended")
    return float(last["ended"] - last["began"])


def _envelopes_row(testbed: Testbed) -> Row:
    testbed.wait_until_live(AGENT, testbed.push(AGENT))
    testbed.wait_for(lambda: testbed.running.journal("LIVE"), "the release was reported")
    time.sleep(EXPORT_SECONDS)
    items = testbed.running.get("telemetry", "/_local/items")
    live = next(item for item in items if _reason(item) == "LIVE")
    trace = live["tags"]["ai.operation.id"]
    envelopes = [item for item in items if item["tags"].get("ai.operation.id") == trace]
    kinds: dict[str, float] = {}
    for envelope in envelopes:
        kind = str(envelope["data"]["baseType"]).removesuffix("Data")
        kinds[kind] = kinds.get(kind, 0.0) + 1
    return Row(
        name="telemetry, envelopes",
        description="envelopes of one release with verify and check, at full sampling",
        unit="",
        value=len(envelopes),
        target=60,
        method="All envelopes with the trace of the push",
        details=kinds,
    )


def _reason(item: dict[str, Any]) -> str | None:
    reason: str | None = (item["data"]["baseData"].get("properties") or {}).get("slipway.reason")
    return reason if item["data"]["baseType"] == "MessageData" else None
