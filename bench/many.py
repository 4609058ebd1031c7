"""Two hundred agents pushed at once, on one instance: time until all are live, and memory while they wait."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

from bench.machine import processor_time, resident_memory
from bench.report import Row
from bench.testbed import Effort, Testbed, start_testbed
from local.endpoints import ROOT
from local.stack_client import Host, host

DELAY, PROVISIONING, AGENTS, QUICK_AGENTS = 0.02, 5.0, 200, 40


def rows(effort: Effort) -> Iterator[Row]:
    """One row for the time, one for the memory."""
    count, at_once = effort.choose(AGENTS, QUICK_AGENTS), _concurrency()
    took, busy, before, peak = _measure(count)
    bound = math.ceil(count / at_once) * PROVISIONING
    yield Row(
        name=f"{count} agents at once",
        description="first push → all agents live",
        unit="s",
        value=took,
        target=1.5 * bound,
        bound=bound,
        bound_description=f"{at_once} releases at once (host.json), {PROVISIONING:.0f} s each",
        method=f"One instance, {DELAY * 1000:.0f} ms on every answer",
        details={"times the bound": took / bound, "processor time of the host, s": busy},
        missed_because="not explained yet: neither by the processor, see the host's time, nor by the budget of reads",
    )
    yield Row(
        name="memory",
        description=f"peak resident memory of the instance while {count} agents wait",
        unit="MiB",
        value=peak,
        target=250,
        bound=before,
        bound_description="the same process after one release",
        method="Read ten times a second from /proc",
        details={"per waiting release, KiB": 1024 * max(0.0, peak - before) / at_once},
    )


def _measure(count: int) -> tuple[float, float, float, float]:
    """Seconds until the last agent is live, the host's processor time in them, MiB before, and peak MiB."""
    names = [f"agent-{n}" for n in range(count)]
    with start_testbed(dict.fromkeys(["warm-up", *names], 1)) as testbed, host(testbed.running, only=["event_queued"]):
        testbed.provisioning(0.1)
        with host(testbed.running, only=["release_agent"]) as functions:
            testbed.wait_until_live("warm-up", testbed.push("warm-up"))
            before = resident_memory(functions.pid)
            testbed.provisioning(PROVISIONING)
            testbed.delay(DELAY)
            began, busy = time.time(), processor_time(functions.pid)
            for name in names:
                testbed.push(name)
            peak = _until_all_live(testbed, functions, count, began)
            took = max(move["answered"] for move in testbed.all_foundry_requests("PATCH", began)) - began
            busy = processor_time(functions.pid) - busy
    return took, busy, before, peak


def _concurrency() -> int:
    """The number of messages that run at once by host.json: a batch, and another one below the threshold."""
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    return int(queues["batchSize"]) + int(queues["newBatchThreshold"])


def _until_all_live(testbed: Testbed, functions: Host, count: int, began: float) -> float:
    peak = 0.0

    def all_live() -> bool:
        nonlocal peak
        peak = max(peak, resident_memory(functions.pid))
        return len({move["path"] for move in testbed.all_foundry_requests("PATCH", began)}) >= count

    testbed.wait_for(all_live, f"{count} agents are live", 400)
    return peak
