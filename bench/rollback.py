"""How soon the traffic is back after a failed check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.create_request import DELAY, sequential_count
from bench.report import Row
from bench.testbed import BASE, Effort, Request, Testbed, start_testbed
from local.stack_client import host

CHECKED = {"release": {"check": {"ask": "ping", "expect": "pong"}}}
PARTS = ("foundry", "blob", "queue", "vault", "identity", "registry_tls")


def rows(effort: Effort) -> Iterator[Row]:
    """One row: the sequential requests of a rollback."""
    with start_testbed({"agent": 0}, CHECKED) as testbed, host(testbed.running, only=["event_queued", "release_agent"]):
        testbed.provisioning(0)
        testbed.wait_until_live("agent", testbed.push("agent"))
        testbed.running.put("foundry", "/_local/provisioning", {"answer": {".*": "something else"}})
        testbed.delay(DELAY)
        yield _rollback_row([_time_rollback(testbed) for _ in range(effort.choose(5, 2))])


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
