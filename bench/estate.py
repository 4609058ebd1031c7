"""What many agents cost: a push that all of them follow, and an hour of the app with and without pushes."""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.machine import processor_time
from bench.report import Row
from bench.testbed import Effort, Testbed, start_testbed
from core.timing import CONSISTENCY_LAG
from local.stack_client import Host, host

AGENTS, REPOSITORY = 200, "shared"
PUSHES, AT_ONCE, ROUND_TRIPS, DELAY = 3, 8, 3, 0.02
"""A follower costs a read and a write of its desired state, and a message; eight followers at a time."""
EVENTS, RELEASE, RESUME, PRUNE = "event_queued", "release_agent", "resume_releases", "prune_versions"
RUNS_AN_HOUR, PRUNES_AN_HOUR, BUSY_PUSHES = 12, 1 / 24, 60
DRIFT_AGENTS = 100
"""Of which one run of the timer asks Foundry."""
PARTS = ("blob", "queue", "foundry")
STORAGE, FOUNDRY, ENVELOPES, KILOBYTES = "storage", "Foundry", "envelopes", "kB of telemetry"
EXPORT_SECONDS = 7.0
"""Seconds until all telemetry has been sent: spans and metrics are exported every 5 seconds."""
Cost = Mapping[str, float]


@dataclass(frozen=True)
class Estate:
    """The measurements of one size."""

    event: float
    """Seconds of the event of a push that every agent follows."""
    event_processor: float
    delayed_event: float
    resume: Cost
    prune: Cost


def rows(effort: Effort) -> Iterator[Row]:
    """Two rows for the push, and three for an hour; each at half of the size too."""
    size = effort.choose(AGENTS, 20)
    estates = {count: _measure(count) for count in (size // 2, size)}
    yield from _push_rows(estates, size)
    release = _release_cost()
    for kind, bound, meaning in (
        (STORAGE, RUNS_AN_HOUR * 2 * size, "desired and release state of each agent, in each run"),
        (
            FOUNDRY,
            RUNS_AN_HOUR * 2 * min(size, DRIFT_AGENTS),
            f"agent and version of {DRIFT_AGENTS} agents in each run",
        ),
        (KILOBYTES, None, ""),
    ):
        yield _hour_row(kind, estates, release, bound, meaning)


def _push_rows(estates: Mapping[int, Estate], size: int) -> Iterator[Row]:
    name, method = f"push, {size} followers", f"The least of {PUSHES} pushes, as the host counts them"
    yield Row(
        name=name,
        description="the event of a push, until it is done",
        unit="s",
        value=estates[size].event,
        target=0.6,
        bound=estates[size].event_processor,
        bound_description="processor time of the host meanwhile: three requests of the storage SDK a follower",
        method=method,
        missed_because="the SDK's processor time for a request, on cores that the host shares with the stand-ins",
        details={f"{count} followers": estate.event for count, estate in estates.items()},
    )
    bounds = {count: math.ceil(count / AT_ONCE) * ROUND_TRIPS * DELAY for count in estates}
    ratios = {count: estate.delayed_event / bounds[count] for count, estate in estates.items()}
    yield Row(
        name=f"{name}, slow storage",
        description="the same with a delay on every answer, ÷ its bound",
        unit="ratio",
        value=ratios[size],
        target=1.5,
        bound=1.0,
        bound_description=f"{ROUND_TRIPS} round trips of {DELAY * 1000:.0f} ms a follower, {AT_ONCE} at a time",
        method=method,
        details={f"{count} followers": ratio for count, ratio in ratios.items()},
    )


def _hour_row(kind: str, estates: Mapping[int, Estate], release: Cost, bound: float | None, meaning: str) -> Row:
    hours = {
        count: RUNS_AN_HOUR * estate.resume[kind] + PRUNES_AN_HOUR * estate.prune[kind]
        for count, estate in estates.items()
    }
    size = max(estates)
    others = {ENVELOPES: estates[size].resume[ENVELOPES]} if kind == KILOBYTES else {}
    return Row(
        name=f"an hour of {size} agents, {kind}",
        description="at rest: twelve runs of resume_releases and a share of prune_versions",
        unit=kind if kind == KILOBYTES else "requests",
        value=hours[size],
        bound=bound,
        bound_description=meaning,
        method="One run of each timer over live agents; the stand-ins count. "
        f"Busy: {BUSY_PUSHES} pushes more, each to one agent",
        details={
            f"{size // 2} agents": hours[size // 2],
            "busy": hours[size] + BUSY_PUSHES * release[kind],
            "a run of resume_releases": estates[size].resume[kind],
            "a run of prune_versions": estates[size].prune[kind],
            "a push with its release": release[kind],
            **others,
        },
    )


def _measure(count: int) -> Estate:
    names = [f"agent-{number}" for number in range(count)]
    with start_testbed(dict.fromkeys(names, 0), {"repository": f"agents/{REPOSITORY}"}) as testbed:
        testbed.provisioning(0.1)
        with host(testbed.running, only=[EVENTS]) as functions:
            _event(testbed, functions)  # opens connections
            events = [_event(testbed, functions) for _ in range(PUSHES)]
            testbed.delay(DELAY)
            delayed = min(_event(testbed, functions)[0] for _ in range(PUSHES))
            testbed.delay(0)
        with host(testbed.running, only=[RELEASE]) as functions:
            testbed.wait_for(lambda: len(testbed.all_foundry_requests("PATCH", 0)) >= count, "all agents are live", 600)
            testbed.wait_for(lambda: all(run["ended"] for run in functions.invocations(RELEASE)), "all releases ended")
        time.sleep(CONSISTENCY_LAG.total_seconds())  # until then no drift is looked for
        with host(testbed.running, only=[RESUME, PRUNE]) as functions:
            _run(testbed, functions, RESUME)  # lists all tags, as once a day
            costs = [_cost(testbed, lambda name=name: _run(testbed, functions, name)) for name in (RESUME, PRUNE)]  # type: ignore[misc]
    return Estate(*min(events), delayed, *costs)


def _event(testbed: Testbed, functions: Host) -> tuple[float, float]:
    """Push once; the seconds of its event, and the processor time of the host meanwhile."""
    before, spent = len(functions.invocations(EVENTS)), processor_time(functions.pid)
    testbed.push(REPOSITORY)
    run = _ended(testbed, functions, EVENTS, before)
    return float(run["ended"] - run["began"]), processor_time(functions.pid) - spent


def _run(testbed: Testbed, functions: Host, timer: str) -> None:
    """Run a timer to its end."""
    before = len(functions.invocations(timer))
    url = f"{functions.url}/admin/functions/{timer}"
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"}, method="POST")  # noqa: S310
    with urllib.request.urlopen(request):  # noqa: S310 - the local host
        _ended(testbed, functions, timer, before)


def _ended(testbed: Testbed, functions: Host, function: str, before: int) -> dict[str, Any]:
    """The run of a function after so many others, once it has ended."""

    def ended() -> list[dict[str, Any]]:
        return [run for run in functions.invocations(function)[before:] if run["ended"]]

    return testbed.wait_for(ended, f"{function} ended", 120)[0]


def _release_cost() -> Cost:
    """What a push to one agent costs, with its release."""
    with start_testbed({"plain": 1}) as testbed, host(testbed.running, only=[EVENTS, RELEASE]) as functions:
        testbed.provisioning(4.0)

        def release() -> None:
            before = len(functions.invocations(RELEASE))
            testbed.push("plain")
            _ended(testbed, functions, RELEASE, before)

        release()
        return _cost(testbed, release)


def _cost(testbed: Testbed, work: Callable[[], None]) -> Cost:
    """The requests and the telemetry of some work."""
    time.sleep(EXPORT_SECONDS)
    earlier, since = _telemetry(testbed), time.time()
    work()
    counts = {part: len(_calls(testbed, part, since)) for part in PARTS}
    time.sleep(EXPORT_SECONDS)
    later = _telemetry(testbed)
    return {
        STORAGE: counts["blob"] + counts["queue"],
        FOUNDRY: counts["foundry"],
        **{name: later[name] - earlier[name] for name in later},
    }


def _calls(testbed: Testbed, part: str, since: float) -> list[dict[str, Any]]:
    """The requests of the app; the host's own polling of its queues is not among them."""
    calls = [call for call in testbed.requests(part, since) if call["at"] >= since]
    return [call for call in calls if part != "queue" or "numofmessages" not in call["path"]]


def _telemetry(testbed: Testbed) -> Cost:
    items = testbed.running.get("telemetry", "/_local/items")
    return {ENVELOPES: len(items), KILOBYTES: sum(len(json.dumps(item)) for item in items) / 1000}
