"""From the queue message to the create request, in round trips; and from the start of a process to its first create."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.imports import SDKS, import_time
from bench.report import Row
from bench.testbed import INSPECTED, SIGNED, Effort, Request, Testbed, hosted_agent, start_testbed
from local.endpoints import ROOT
from local.stack_client import Host, host

DELAY = 0.1
SHORT_POLL = {"POLL_SECONDS": "0.5"}
"""The time after the create request is not measured here."""
READS, WRITE = ("lease and state", "agent, versions, secrets"), ("pending write and last read",)
PIN = ("the live version", "pending write and last read", "the pin")
INSPECTION = ("the image configuration",)
SIGNATURE = ("the signature's manifest", "its bundle")
"""The steps that have to wait for the step before, one round trip each."""
RELEASE, EVENTS = "release_agent", "event_queued"
PARTS = ("blob", "foundry", "vault", "identity", "registry_tls")


@dataclass(frozen=True)
class Measurement:
    """A release, up to its create request."""

    seconds: float
    since_start: float
    trips: int


def rows(effort: Effort) -> Iterator[Row]:
    """Warm with one secret and with many, with inspection, with a signature, with a pin, cold, and the cold start."""
    repeats = effort.choose(7, 3)
    pinned = [f"pin-{n}" for n in range(repeats)]
    agents = {"warm-up": 1, "one": 1, "many": 40, INSPECTED: 1, SIGNED: 1, "cold": 1, **dict.fromkeys(pinned, 1)}
    with start_testbed(agents) as testbed, host(testbed.running, only=[EVENTS], settings=SHORT_POLL):
        testbed.provisioning(0.1)
        with host(testbed.running, only=[RELEASE], settings=SHORT_POLL) as functions:
            for agent in ("warm-up", "one", "many", INSPECTED, SIGNED):
                _measure(testbed, functions, agent)
            testbed.delay(DELAY)
            yield _row("warm, 1 secret", 4, [_measure(testbed, functions, "one") for _ in range(repeats)])
            yield _row("warm, 40 secrets", 4, [_measure(testbed, functions, "many") for _ in range(repeats)])
            yield _row(
                "warm, inspected", None, [_measure(testbed, functions, INSPECTED) for _ in range(repeats)], INSPECTION
            )
            yield _row("warm, signed", 5, [_measure(testbed, functions, SIGNED) for _ in range(repeats)], SIGNATURE)
            for agent in pinned:
                _create_unpinned(testbed, agent)
            yield _row("warm, with a pin", 6, [_measure(testbed, functions, agent) for agent in pinned], PIN)
        testbed.delay(0)
        _cold(testbed, "cold")  # create the agent, with a live version
        pairs = []
        for _ in range(repeats):
            testbed.delay(DELAY)
            slow = _cold(testbed, "cold")
            testbed.delay(0)
            pairs.append((slow, _cold(testbed, "cold")))
    yield _cold_row(pairs)
    yield _start_row([fast for _, fast in pairs])


def _measure(testbed: Testbed, functions: Host, agent: str) -> Measurement:
    return _measure_push(testbed, functions, agent, testbed.push(agent))


def _cold(testbed: Testbed, agent: str) -> Measurement:
    """Push while only the function for events runs; then start a process for releases alone, as on Flex Consumption."""
    since = testbed.push(agent)
    _wait_for_message(testbed, agent, since)
    with host(testbed.running, only=[RELEASE], settings=SHORT_POLL) as functions:
        return _measure_push(testbed, functions, agent, since)


def _wait_for_message(testbed: Testbed, agent: str, since: float) -> None:
    """Wait until a message is in ``releases``; its POST is the last request of an event."""

    def sent() -> list[Request]:
        requests = testbed.requests("queue", since)
        return [sent for sent in requests if sent["method"] == "POST" and "/releases/messages" in sent["path"]]

    testbed.wait_for(sent, f"a message for {agent} is in the queue")


def _measure_push(testbed: Testbed, functions: Host, agent: str, since: float) -> Measurement:
    create = testbed.wait_for_create(agent, since)
    began = [run["began"] for run in functions.invocations(RELEASE) if since <= run["began"] <= create["at"]][-1]
    testbed.wait_for(
        lambda: all(run["ended"] for run in functions.invocations(RELEASE)), f"the release of {agent} ended"
    )
    requests = [request for part in PARTS for request in testbed.requests(part, began) if request["at"] >= began]
    before = [request for request in requests if request["answered"] <= create["at"]]
    return Measurement(create["at"] - began, create["at"] - functions.started, sequential_count(before))


def sequential_count(requests: Sequence[Request]) -> int:
    """The largest number of requests of which each started after the one before was answered."""
    count, free_at = 0, 0.0
    for request in sorted(requests, key=lambda request: float(request["answered"])):
        if request["at"] >= free_at:
            count, free_at = count + 1, request["answered"]
    return count


def _row(case: str, target: int | None, releases: Sequence[Measurement], more: tuple[str, ...] = ()) -> Row:
    steps = READS + more + WRITE
    return Row(
        name=f"create-request, {case}",
        description=f"queue message → create request, {case}: sequential requests",
        unit="round trips",
        value=median(release.trips for release in releases),
        target=target,
        bound=len(steps),
        bound_description="; ".join(steps),
        method=f"Median of {len(releases)} releases, each of a new image; from the start of the invocation at the host "
        "to the arrival of the POST at Foundry",
        details={
            f"ms, with {DELAY * 1000:.0f} ms on every answer": 1000 * median(release.seconds for release in releases),
            "round trips times the delay, ms": 1000 * DELAY * median(release.trips for release in releases),
            "slowest, ms": 1000 * max(release.seconds for release in releases),
        },
    )


def _cold_row(pairs: Sequence[tuple[Measurement, Measurement]]) -> Row:
    return Row(
        name="create-request, cold",
        description="queue message → create request in a fresh process: time added by the delay of answers ÷ the delay",
        unit="round trips",
        value=median(slow.seconds - fast.seconds for slow, fast in pairs) / DELAY,
        target=7,
        bound=median(slow.trips for slow, _ in pairs),
        bound_description=f"sequential requests that the stand-ins received, {DELAY * 1000:.0f} ms each",
        method=f"Median of {len(pairs)} pairs of fresh processes, one with {DELAY * 1000:.0f} ms on every answer and "
        "one without: the difference excludes the imports, which the row cold start includes",
        details={
            "with the delay, ms": 1000 * median(slow.seconds for slow, _ in pairs),
            "without, ms": 1000 * median(fast.seconds for _, fast in pairs),
        },
    )


def _start_row(fast: Sequence[Measurement]) -> Row:
    imports = [import_time(SDKS, ROOT) for _ in fast]
    return Row(
        name="cold start",
        description="start of the process → first create request, with a message in the queue",
        unit="ms",
        value=1000 * median(release.since_start for release in fast),
        bound=1000 * median(imports),
        bound_description="the SDKs' own imports in a fresh interpreter",
        method=f"Median of {len(fast)} fresh processes, no delay",
        details={"of this after the message was delivered, ms": 1000 * median(release.seconds for release in fast)},
    )


def _create_unpinned(testbed: Testbed, agent: str) -> None:
    """Create an agent as a person would: its endpoint is not pinned, so the next version would get its traffic."""
    definition = hosted_agent(f"demo.azurecr.io/agents/{agent}:manual", CREATED=str(time.time_ns()))
    with testbed.running.foundry() as project:
        project.agents.create_version(agent, definition=definition)
