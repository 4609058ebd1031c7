"""From a push to live: the time that Slipway adds to the provisioning, compared with azd's pattern and the seed's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import mean
from typing import Any

from azure.ai.projects import AIProjectClient

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError, Testbed, hosted_agent, start_testbed
from core.release.poll_schedule import MIN_KNOWN_TIMES
from local.stack_client import host

DELAY = 0.02
POLL, SECOND_READ, TRIPS = 0.25, 0.5, 3
"""Seconds between polls of an expected version, between two reads that confirm it, and round trips after that."""
SECONDS_BETWEEN_PUSHES = 4.0
"""So that few of the versions are expected at the same time: those that are share the rate of their polls."""
QUEUES, ALL_TRIPS = 0.1, 9
"""The host polls two idle queues every 100 ms (host.json), half of that each on average; round trips from the event."""
THEIR_POLL = 10.0
"""Seconds between polls in azd's extension azure.ai.agents 1.0.0-beta.11 and in the project's seed document."""
MISSED_BECAUSE = (
    "the pauses and round trips of the bound, and processor time of the host, on cores that it shares with the "
    "stand-ins, the other patterns and other processes; the other patterns have no queue"
)
"""The parts of our overhead."""


@dataclass(frozen=True)
class Overhead:
    """Seconds in addition to the provisioning."""

    ours: float
    after_active: float
    azd: float
    seed: float


def rows(effort: Effort) -> Iterator[Row]:
    """Provisioning times around 20 s; each agent has released often enough to know how long its versions take."""
    count = effort.choose(11, 3)
    times = [20 + THEIR_POLL * (n / count - 0.5) for n in range(count)]  # spread over a poll of the other patterns
    agents = {f"ours-{n}": 1 for n in range(len(times))}
    with start_testbed(agents) as testbed, host(testbed.running, only=["release_agent", "event_queued"]):
        for _ in range(MIN_KNOWN_TIMES):
            _first_versions(testbed, times)
        testbed.delay(DELAY)
        with ThreadPoolExecutor(2 * len(times)) as threads:
            results = []
            for n, seconds in enumerate(times):
                time.sleep(SECONDS_BETWEEN_PUSHES if n else 0.0)
                results.append(_start_all(testbed, n, seconds, threads))
            overheads = [result() for result in results]
    yield from _rows(overheads, times)


def _first_versions(testbed: Testbed, times: list[float]) -> None:
    """One release of each agent, all at the same time."""
    pushes = list[tuple[str, float]]()
    for n, seconds in enumerate(times):
        testbed.provisioning(seconds)
        pushes.append((f"ours-{n}", testbed.push(f"ours-{n}")))
        testbed.wait_for_create(*pushes[-1])
    for agent, since in pushes:
        testbed.wait_until_live(agent, since)


def _start_all(testbed: Testbed, n: int, seconds: float, threads: ThreadPoolExecutor) -> Callable[[], Overhead]:
    """Create a version with each pattern; the returned function waits for them."""
    testbed.provisioning(seconds)
    since = testbed.push(f"ours-{n}")
    others = {name: threads.submit(_run_pattern, testbed, f"{name}-{n}", name == "azd") for name in ("azd", "seed")}
    created = {name: testbed.wait_for_create(f"{name}-{n}", since)["answered"] for name in ("ours", "azd", "seed")}

    def result() -> Overhead:
        moved = testbed.wait_until_live(f"ours-{n}", since, seconds + 60)["answered"]
        return Overhead(
            moved - since - seconds,
            moved - created["ours"] - seconds,
            _result(others["azd"]) - seconds,
            _result(others["seed"]) - seconds,
        )

    return result


def _result(future: Future[float]) -> float:
    return future.result(timeout=120)


def _run_pattern(testbed: Testbed, agent: str, is_azd: bool) -> float:
    """Seconds of a pattern with the real SDK: create, poll every 10 s; azd reads again, and moves the traffic."""
    digest = testbed.running.push(f"agents/{agent}", "pattern", salt=str(time.time_ns()))  # not in agents.yaml
    with testbed.running.foundry() as project:
        began = time.monotonic()
        number = project.agents.create_version(
            agent, definition=hosted_agent(f"demo.azurecr.io/agents/{agent}@{digest}")
        ).version
        _wait_until_active(project, agent, number)
        if is_azd:
            _wait_until_active(project, agent, number)
            _move_traffic(project, agent, number)
        return time.monotonic() - began


def _wait_until_active(project: AIProjectClient, agent: str, number: str) -> None:
    while True:
        time.sleep(THEIR_POLL)
        status = project.agents.get_version(agent, number).status
        if status == "active":
            return
        if status != "creating":
            raise NotMeasuredError(f"version {number} of {agent} is {status}")


def _move_traffic(project: AIProjectClient, agent: str, number: str) -> None:
    rules = [{"type": "FixedRatio", "agent_version": number, "traffic_percentage": 100}]
    body: Any = {"agent_endpoint": {"version_selector": {"version_selection_rules": rules}}}
    project.agents.update_details(agent, body)


def _rows(overheads: list[Overhead], times: list[float]) -> Iterator[Row]:
    ours, azd, seed = (mean(getattr(overhead, name) for overhead in overheads) for name in ("ours", "azd", "seed"))
    method = (
        f"Means of {len(times)} provisioning times, {times[0]:.1f} to {times[-1]:.1f} s, as {MIN_KNOWN_TIMES} versions "
        f"took before, a push every {SECONDS_BETWEEN_PUSHES:.0f} s; {DELAY * 1000:.0f} ms per call"
    )
    pauses = POLL / 2 + SECOND_READ
    after_active = mean(overhead.after_active for overhead in overheads)
    bound, parts = (
        pauses + TRIPS * DELAY,
        f"half a poll on average, the pause before the second read, {TRIPS} round trips",
    )
    yield _bounded("active to live", "version active → traffic moved", after_active, 0.7, (bound, parts), method, {})
    bound, parts = QUEUES + pauses + ALL_TRIPS * DELAY, f"the same with two queues, {ALL_TRIPS} round trips in all"
    details = {"push → version created, s": ours - after_active, "azd's pattern, s": azd, "the seed's pattern, s": seed}
    yield _bounded("overhead", "push → live, minus the provisioning time", ours, 1.2, (bound, parts), method, details)
    yield _ratio(
        "azd's",
        ours / azd,
        0.08,
        method + "; the other pattern is a loop of the real SDK: a poll every 10 s, two reads that agree",
    )
    yield _ratio(
        "the seed's", ours / seed, 1 / 4, method + "; the other pattern is a loop of the real SDK: a poll every 10 s"
    )


def _bounded(
    name: str,
    description: str,
    value: float,
    target: float,
    bound: tuple[float, str],
    method: str,
    details: Mapping[str, float],
) -> Row:
    seconds, parts = bound
    described = f"{parts}; single versions can be faster"
    return Row(
        name, description, "s", value, target, seconds, described, method, details, missed_because=MISSED_BECAUSE
    )


def _ratio(whose: str, value: float, target: float, method: str) -> Row:
    description = f"our overhead ÷ that of {whose} pattern, in the same run"
    return Row(f"overhead ÷ {whose}", description, "ratio", value, target, method=method, missed_because=MISSED_BECAUSE)
