"""What telemetry costs: time and memory beside the same app without it, and a release while ingestion is not well."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import product
from statistics import median
from typing import Any

from bench.apps import beside_an_empty_one
from bench.machine import resident
from bench.report import Row
from bench.scene import Choice, Scene, scene
from bench.trigger import deliveries, undisturbed
from local.stack_client import Host, host

OFF = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "false"}
PROVISIONING = 4.0
INGESTION: Mapping[str, Mapping[str, Any]] = {
    "well": {},
    "answers 429": {"status": 429, "headers": {"Retry-After": "2"}},
    "answers 500": {"status": 500},
    "answers after 20 s": {"delay_s": 20.0},
    "hangs up": {"drop": True},
}
AGENT = "told"
ALL_STEPS = {"release": {one: {"ask": "ping", "expect": "pong"} for one in ("verify", "check")}}
NONE, WELL = "the same app without telemetry", "the same release while ingestion is well"
EXPORTED = 7.0
"""Seconds after which everything of a release has been sent: spans and metrics go every 5."""


def rows(choice: Choice) -> Iterator[Row]:
    """Time and memory, one row for each way in which ingestion can be unwell, and how much it gets of a release."""
    with scene({"hello": 1, AGENT: 1}) as stage:
        app = beside_an_empty_one(stage.running.folder / "app")
        with host(stage.running, app=app) as on, host(stage.running, app=app, settings=OFF) as off:
            yield from _beside_none(on, off, choice.of(600, 150))
        with host(stage.running, only=["release_agent", "event_queued"]) as functions:
            yield from _unwell(stage, functions, choice.of(5, 2))
    with scene({AGENT: 1}, ALL_STEPS) as stage, host(stage.running, only=["release_agent", "event_queued"]):
        yield _envelopes(stage)


def _beside_none(on: Host, off: Host, often: int) -> Iterator[Row]:
    took = deliveries({"with": (on.url, "image_pushed"), "without": (off.url, "image_pushed")}, often)
    told, silent = (undisturbed(took[one]) for one in ("with", "without"))
    how = f"Lower quartiles of {often} deliveries each, turn about to two hosts of the same app; ingestion answers"
    what = "image_pushed with telemetry, over the same without"
    also = {"with, ms": told, "without, ms": silent}
    yield Row("telemetry, time", what, "ms", told - silent, 0.5, 0.0, NONE, how, also)
    memory = {"with, MiB": resident(on.pid), "without, MiB": resident(off.pid)}
    what = "resident memory of that host with telemetry, over the same without"
    yield Row(
        "telemetry, memory", what, "MiB", memory["with, MiB"] - memory["without, MiB"], 50, 0.0, NONE, how, memory
    )


def _difference(took: Mapping[str, list[float]]) -> float:
    return median(took["with"]) - median(took["without"])


def _unwell(stage: Scene, functions: Host, times: int) -> Iterator[Row]:
    stage.provisioning(PROVISIONING)
    _release(stage, functions)  # the first makes connections
    took: dict[str, list[float]] = {name: [] for name in INGESTION}
    for _, (name, fault) in product(range(times), INGESTION.items()):
        stage.running.put("telemetry", "/_local/faults", [{"path": "/track", **fault}] if fault else [])
        took[name].append(_release(stage, functions))
    usual = median(took.pop("well"))
    for name, seconds in took.items():
        what = f"a release while ingestion {name} ÷ one while it is well"
        how = f"Medians of {times} releases each, turn about, on one host; a version takes {PROVISIONING:.0f} s"
        also = {"s": median(seconds), "well, s": usual}
        yield Row(f"ingestion {name}", what, "ratio", median(seconds) / usual, 1.05, 1.0, WELL, how, also)


def _release(stage: Scene, functions: Host) -> float:
    """Seconds of one release, as the host counts them."""

    def ended() -> list[dict[str, Any]]:
        return [one for one in functions.invocations("release_agent") if one["ended"]]

    before = len(ended())
    stage.push(AGENT)
    (last, *_) = stage.wait(lambda: ended()[before:], "the release ended")
    return float(last["ended"] - last["began"])


def _envelopes(stage: Scene) -> Row:
    stage.moved(AGENT, stage.push(AGENT))
    stage.wait(lambda: stage.running.journal("LIVE"), "the release was told of")
    time.sleep(EXPORTED)
    items = stage.running.get("telemetry", "/_local/items")
    live = next(one for one in items if _reason(one) == "LIVE")
    trace = live["tags"]["ai.operation.id"]
    mine = [one for one in items if one["tags"].get("ai.operation.id") == trace]
    kinds: dict[str, float] = {}
    for one in mine:
        kind = str(one["data"]["baseType"]).removesuffix("Data")
        kinds[kind] = kinds.get(kind, 0.0) + 1
    return Row(
        name="telemetry, envelopes",
        what="envelopes of one release with verify and check, at full sampling",
        unit="",
        value=len(mine),
        target=60,
        how="Everything at the ingestion that has the trace of the push",
        also=kinds,
    )


def _reason(item: dict[str, Any]) -> str | None:
    reason: str | None = (item["data"]["baseData"].get("properties") or {}).get("slipway.reason")
    return reason if item["data"]["baseType"] == "MessageData" else None
