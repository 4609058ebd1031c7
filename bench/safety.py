"""The cost of a safe release: rollback after a failed check, and unneeded calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.create_request import DELAY, sequential_count
from bench.report import Row
from bench.testbed import BASE, Effort, Request, Testbed, start_testbed
from local.stack_client import host

CHECKED = {"release": {"check": {"ask": "ping", "expect": "pong"}}}
PARTS = ("foundry", "blob", "queue", "vault", "identity", "registry_tls")
PROBE_PATHS = ("/sessions", "/responses", "/invocations")


def rows(effort: Effort) -> Iterator[Row]:
    """Rollback, and unneeded calls of a plain release."""
    with start_testbed({"agent": 0}, CHECKED) as testbed, host(testbed.running, only=["event_queued", "release_agent"]):
        testbed.provisioning(0)
        testbed.wait_until_live("agent", testbed.push("agent"))
        testbed.running.put("foundry", "/_local/provisioning", {"answer": {".*": "something else"}})
        testbed.delay(DELAY)
        yield _rollback_row([_time_rollback(testbed) for _ in range(effort.choose(5, 2))])
    with start_testbed({"plain": 1}) as testbed, host(testbed.running, only=["event_queued", "release_agent"]):
        testbed.provisioning(0)
        testbed.wait_until_live("plain", testbed.push("plain"))
        yield _unneeded_calls_row(testbed)


def _time_rollback(testbed: Testbed) -> tuple[float, int]:
    """Seconds and round trips from the wrong answer until the traffic has moved back."""
    since = testbed.push("agent")

    def both_moves() -> list[Request] | None:
        moves = testbed.foundry_requests("PATCH", f"{BASE}/agent", since)
        return moves if len(moves) == 2 else None

    back = testbed.wait_for(both_moves, "the check failed, and the release was rolled back")[1]
    answered = max(request["answered"] for request in testbed.foundry_requests("POST", "/responses", since))
    later = [request for part in PARTS for request in testbed.requests(part, answered) if request["at"] >= answered]
    until_back = [request for request in later if request["answered"] <= back["answered"]]
    return back["answered"] - answered, sequential_count(until_back)


def _rollback_row(rollbacks: Sequence[tuple[float, int]]) -> Row:
    return Row(
        name="rollback",
        description="wrong answer to a check → traffic moved back: sequential requests",
        unit="round trips",
        value=median(trips for _, trips in rollbacks),
        target=2,
        bound=2,
        bound_description="pending write, hold and last read; the selector",
        method=f"Median of {len(rollbacks)} releases, {DELAY * 1000:.0f} ms on every answer",
        details={
            "ms": 1000 * median(seconds for seconds, _ in rollbacks),
            "round trips times the delay, ms": 1000 * DELAY * median(trips for _, trips in rollbacks),
        },
    )


def _unneeded_calls_row(testbed: Testbed) -> Row:
    since = testbed.push("plain")
    testbed.wait_until_live("plain", since)
    calls = {part: [call for call in testbed.requests(part, since) if call["at"] >= since] for part in PARTS}
    reads = [call for call in calls.pop("registry_tls") if call["headers"].get("User-Agent", "").startswith("azsdk")]
    probes = [call for call in calls["foundry"] if any(path in call["path"] for path in PROBE_PATHS)]
    return Row(
        name="unneeded calls",
        description="probes, sessions and registry reads of a release without verify, check and inspection",
        unit="calls",
        value=len(reads) + len(probes),
        target=0,
        bound=0,
        bound_description="none",
        method="One release; the stand-ins count the requests",
        details={f"to {part}": float(len(requests)) for part, requests in calls.items()},
    )
