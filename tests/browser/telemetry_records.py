"""Sample envelopes of Application Insights, in the format of the product's telemetry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.target import target_of

Item = dict[str, Any]
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def envelope(kind: str, data: Item, *, trace: str = "", parent: str = "", after: float = 0.0) -> Item:
    """An envelope, some seconds after noon."""
    tags = {"ai.operation.id": trace, "ai.operation.parentId": parent, "ai.cloud.role": "slipway"}
    time = (NOON + timedelta(seconds=after)).isoformat()
    return {"name": f"Microsoft.ApplicationInsights.{kind}", "time": time, "tags": tags,
            "data": {"baseType": f"{kind}Data", "baseData": data}}  # fmt: skip


def decision(reason: str, *, after: float = 0.0, trace: str = "t1", parent: str = "", **about: str) -> Item:
    """A decision of the product."""
    at = (NOON + timedelta(seconds=after)).isoformat()
    attributes = {"at": at, "reason": reason, "severity": "info", "help": "Nothing to do.", "step": "push"} | about
    properties = {f"slipway.{key}": value for key, value in attributes.items()}
    data = {"message": "slipway.decision", "severityLevel": 1, "properties": properties}
    return envelope("Message", data, trace=trace, parent=parent, after=after)


def span(name: str, id_: str, *, parent: str = "", trace: str = "t1", after: float = 0.0, took: float = 0.1,
         good: bool = True, **about: str) -> Item:  # fmt: skip
    """A span of some seconds."""
    properties = {f"slipway.{key}": value for key, value in about.items()}
    length = timedelta(seconds=took)
    duration = f"{length.days}.{timedelta(seconds=length.seconds)!s:0>8}.{length.microseconds // 1000:03}"
    data = {"name": name, "id": id_, "duration": duration, "success": good, "type": "InProc", "properties": properties}
    return envelope("RemoteDependency", data, trace=trace, parent=parent, after=after)


def metric(name: str, value: float, *, after: float = 0.0, spread: tuple[float, float] | None = None, count: int = 1,
           **about: str) -> Item:  # fmt: skip
    """A data point of a metric."""
    point: Item = {"name": name, "value": value, "count": count}
    point |= {"min": spread[0], "max": spread[1]} if spread else {}
    properties = {f"slipway.{key}": text for key, text in about.items()}
    return envelope("Metric", {"metrics": [point], "properties": properties}, after=after)


def push(trace: str, agent: str, after: float = 0.0, reason: str = "LIVE", **about: str) -> list[Item]:
    """A small release: three decisions and four spans."""
    attributes: Item = {"agent": agent, "repository": f"agents/{agent}", "tag": "v1", "trace": trace}
    return [
        decision("ACCEPTED", after=after + 0.01, parent=f"{trace}-push", **attributes),
        decision("CREATE", after=after + 0.4, parent=f"{trace}-create", to_version="1", **attributes),
        decision(reason, after=after + 2, parent=f"{trace}-release", to_version="1", **attributes | about),
        span("push", f"{trace}-push", trace=trace, after=after, took=0.02, agent=agent),
        span(
            "release", f"{trace}-release", parent=f"{trace}-push", trace=trace, after=after + 0.3, took=1.7, agent=agent
        ),
        span("release.create", f"{trace}-create", parent=f"{trace}-release", trace=trace, after=after + 0.3, took=0.2),
        span("POST /versions", f"{trace}-call", parent=f"{trace}-create", trace=trace, after=after + 0.35, took=0.1),
    ]


def sample() -> list[Item]:
    """Releases, decisions and metrics of every kind."""
    return [
        *push("t1", "hello-agent"),
        *push(
            "t2",
            "careful-agent",
            5,
            "CHECK_FAILED",
            severity="error",
            help="Fix it; run slipway retry careful-agent.",
            detail="answered wrongly",
        ),
        *push("t3", "billing-agent", 9, "APPROVAL_WAITING", severity="warning", help="Approve it."),
        decision("NOT_FOLLOWED", after=12, trace="t4", repository="agents/stranger", tag="v1"),
        metric("slipway.releases", 2, agent="hello-agent", outcome="live"),
        metric("slipway.releases", 1, agent="careful-agent", outcome="rolled_back", after=5),
        metric("slipway.release.lead_time", 6, count=2, spread=(2, 4), agent="hello-agent"),
        metric("slipway.versions", 4, agent="hello-agent", status="active"),
        metric("slipway.versions", 1, agent="hello-agent", status="failed", after=8),
    ]


def target(agent: str, state: str = "LIVE", *, project: str = "default", stage: int = 1,
           severity: str = "info", is_open: bool = False, **more: Any) -> Item:  # fmt: skip
    """A row of the board."""
    row: Item = {"target": target_of(agent, project), "agent": agent, "project": project, "stage": stage}
    row |= {"repository": f"agents/{agent}"}
    row |= {"live": "1", "live_tag": "v1", "desired_tag": "v1", "state": state, "state_tag": "v1", "notes": []}
    row |= {"severity": severity, "is_open": is_open, "since": NOON.timestamp() * 1000, "detail": "", "next": None}
    return row | more


def board_of(*rows: Item) -> Callable[[], Awaitable[list[Item]]]:
    """What the server calls to read the board."""

    async def read() -> list[Item]:
        return list(rows)

    return read


def stages(agent: str, **production: Any) -> list[Item]:
    """The rows of an agent in three stages, the last of which is a wave."""
    return [
        target(agent, project="staging", live="2", live_tag="v2", state_tag="v2"),
        target(agent, "STAGE_WAITING", project="prod-eu", stage=2, state_tag="v2",
               notes=["v2 waits for its stage until 2026-11-25 13:00:00 UTC"]),
        target(agent, project="prod-us", stage=3, **production),
        target(agent, "CHECK_FAILED", project="prod-asia", stage=3, severity="error", state_tag="v2",
               detail="answered wrongly", next="Fix it."),
    ]  # fmt: skip


LONG_NAME = "an-agent-with-the-longest-name-that-foundry-allows-which-is-63c"
TARGETS = (
    target("hello-agent"),
    target(
        "careful-agent", "CHECK_FAILED", severity="error", state_tag="v2", detail="answered wrongly", next="Fix it."
    ),
    target(
        "billing-agent",
        "APPROVAL_WAITING",
        severity="warning",
        desired_tag="v2",
        state_tag="v2",
        next="Run slipway approve billing-agent --version 2, or push a newer image.",
    ),
    target(LONG_NAME, "verified", is_open=True, live_tag="release-" + "2026-11-29-" * 8, state_tag="v" + "1" * 120),
    target("new-agent", "NO_PUSH_YET", live=None, live_tag=None, desired_tag=None, state_tag=None, since=None),
    target("paused-agent", "PAUSED", severity="warning", notes=["paused by ann: an incident"]),
)
STAGED = (
    *stages("greeter"),
    *stages(LONG_NAME, live_tag="release-" + "2026-11-29-" * 8),
    target("hello-agent"),
    target(
        "billing-agent", "APPROVAL_WAITING", project="prod-eu", stage=2, severity="warning", live=None, live_tag=None
    ),
)
"""Agents in stages, one without them, and one of which a single target passed the filter."""
