"""What being watched costs: a warm event, memory, a release while nobody takes its telemetry, envelopes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from bench.apps import beside_an_empty_one
from bench.machine import resident
from bench.report import Row
from bench.scene import Choice, Scene, scene
from bench.trigger import turn_about, undisturbed
from local.running import host

OFF = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "false"}
PROVISIONING = 1.5
BAD: Mapping[str, dict[str, Any]] = {
    "down": {"drop": True},
    "slow": {"delay_s": 10.0},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
}
"""What the ingestion does to every request."""
FINE = "fine"
ALL_STEPS = {"release": {one: {"ask": "ping", "expect": "pong"} for one in ("verify", "check")}}
EXPORTED = 7.0
"""Seconds after which everything of a release has been sent: spans and metrics go every 5."""
EVENTS, RELEASE = "event_queued", "release_agent"


def rows(choice: Choice) -> Iterator[Row]:
    """Time and memory of an event, then releases."""
    yield from _event(choice.of(600, 150))
    with scene({"agent": 1}) as stage, host(stage.running, only=[EVENTS, RELEASE]) as functions:
        stage.provisioning(PROVISIONING)
        yield _ingestion(_releases(stage, lambda: functions.invocations(RELEASE), choice.of(5, 2)))
    with scene({"agent": 1}, ALL_STEPS) as stage, host(stage.running, only=[EVENTS, RELEASE]):
        stage.provisioning(PROVISIONING)
        yield _envelopes(stage)


def _event(often: int) -> Iterator[Row]:
    with scene({"hello": 1}) as stage:
        app = beside_an_empty_one(stage.running.folder / "app")
        with host(stage.running, app=app) as on, host(stage.running, app=app, settings=OFF) as off:
            targets = {"on": (on.url, "image_pushed"), "off": (off.url, "image_pushed")}
            took, memory = turn_about(targets, often), {"on": resident(on.pid), "off": resident(off.pid)}
    how = f"Lower quartiles of {often} deliveries to each of two hosts, turn about; one of them exports all"
    with_it, without = (undisturbed(took[name]) for name in ("on", "off"))
    yield Row(
        name="telemetry, image_pushed",
        what="image_pushed, warm, with telemetry over the same without",
        unit="ms",
        value=with_it - without,
        target=0.5,
        bound=0.0,
        bound_is="the same host without telemetry",
        how=how,
        also={"with, ms": with_it, "without, ms": without},
    )
    yield Row(
        name="telemetry, memory",
        what="resident memory of the host with telemetry over the same without",
        unit="MiB",
        value=memory["on"] - memory["off"],
        target=50,
        bound=0.0,
        bound_is="the same host without telemetry",
        how=how,
        also={"with, MiB": memory["on"], "without, MiB": memory["off"]},
    )


def _releases(stage: Scene, invocations: Any, often: int) -> dict[str, list[float]]:
    """Seconds from the message to the moved selector, one release after another, the ingestion turn about."""
    took: dict[str, list[float]] = {one: [] for one in (FINE, *BAD)}
    stage.moved("agent", stage.push("agent"))
    for _ in range(often):
        for name, times in took.items():
            faults = [{"path": "/track", **BAD[name]}] if name in BAD else []
            stage.running.put("telemetry", "/_local/faults", faults)
            since = stage.push("agent")
            moved = stage.moved("agent", since)["answered"]
            began = [one["began"] for one in invocations() if since <= one["began"] <= moved]
            times.append(moved - began[-1])
    stage.running.put("telemetry", "/_local/faults", [])
    return took


def _ingestion(took: Mapping[str, list[float]]) -> Row:
    seconds = {name: median(times) for name, times in took.items()}
    worst = max(abs(seconds[name] / seconds[FINE] - 1) for name in BAD)
    return Row(
        name="telemetry, ingestion in trouble",
        what="a release while the ingestion is down, slow (10 s), or answers 429 or 500: the largest difference",
        unit="%",
        value=100 * worst,
        target=5,
        bound=0.0,
        bound_is="the same release with an ingestion that takes everything",
        how=f"Medians of {len(took[FINE])} releases each, turn about; message handed over → selector moved",
        also={f"{name}, s": value for name, value in seconds.items()},
    )


def _envelopes(stage: Scene) -> Row:
    stage.moved("agent", stage.push("agent"))
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
