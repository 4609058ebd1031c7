"""Two hundred agents pushed at once, on one instance: time until all are live, and memory while they wait."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.machine import processor_time, resident_memory
from bench.report import Row
from bench.testbed import BASE, Effort, Request, Testbed, start_testbed
from local.endpoints import ROOT
from local.stack_client import Host, host

DELAY, PROVISIONING, AGENTS, QUICK_AGENTS = 0.02, 5.0, 200, 40
QUEUES = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
BATCH, THRESHOLD = int(QUEUES["batchSize"]), int(QUEUES["newBatchThreshold"])


@dataclass(frozen=True)
class Measured:
    """One run; times in seconds, memory in MiB."""

    seconds: float
    """From the first push until the last agent is live."""
    processor_seconds: float
    """Of the host meanwhile."""
    memory_before: float
    memory_peak: float
    parts: Mapping[str, float]


def rows(effort: Effort) -> Iterator[Row]:
    """One row for the time, one for the memory."""
    count = effort.choose(AGENTS, QUICK_AGENTS)
    measured, bound = _measure(count), shortest_seconds(count, BATCH, THRESHOLD, PROVISIONING)
    yield Row(
        name=f"{count} agents at once",
        description="first push → all agents live",
        unit="s",
        value=measured.seconds,
        target=1.5 * bound,
        bound=bound,
        bound_description=f"releases of {PROVISIONING:.0f} s, by the host's rule: {BATCH} more once no more than "
        f"{THRESHOLD} run (host.json)",
        method=f"One instance, {DELAY * 1000:.0f} ms on every answer; no agent has a history of provisioning times",
        details={
            "times the bound": measured.seconds / bound,
            "processor time of the host, s": measured.processor_seconds,
            **measured.parts,
        },
        missed_because="each release takes longer than its version by the parts above: the host starts a batch at "
        "once, whose releases then wait for one processor; without a history a version is read every 2 s, half of "
        "which it waits on average; two reads must agree, 0.5 s apart",
    )
    yield Row(
        name="memory",
        description=f"peak resident memory of the instance while {count} agents wait",
        unit="MiB",
        value=measured.memory_peak,
        target=250,
        bound=measured.memory_before,
        bound_description="the same process after one release",
        method="Read ten times a second from /proc",
        details={
            "per release in hand, KiB": 1024
            * max(0.0, measured.memory_peak - measured.memory_before)
            / (BATCH + THRESHOLD)
        },
    )


def shortest_seconds(count: int, batch: int, threshold: int, seconds: float) -> float:
    """How long so many messages take at the least, where each runs for so many seconds and nothing else takes time.

    The host takes a batch once no more than ``threshold`` run (docs/reference/wire.md, "The functions host").
    """
    ends: list[float] = []
    now, waiting = 0.0, count
    while waiting:
        if len(ends) > threshold:
            now = ends.pop(0)
            continue
        taken = min(batch, waiting)
        waiting -= taken
        ends += [now + seconds] * taken
    return max(ends)


def _measure(count: int) -> Measured:
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
            return Measured(took, busy, before, peak, _parts(testbed, functions, names, began, took))


def _parts(testbed: Testbed, functions: Host, names: Sequence[str], began: float, took: float) -> dict[str, float]:
    """Where the time of a release goes, in means of all releases: the message's own run, and what it waits for."""
    runs = [run for run in functions.invocations("release_agent") if run["began"] >= began]
    creates, moves = (
        _first_by_agent(testbed, method, path, names, began) for method, path in (("POST", "/versions"), ("PATCH", ""))
    )
    reads = {name: testbed.foundry_requests("GET", f"{BASE}/{name}/versions/1", began) for name in names}
    found = {
        name: min(read["at"] for read in reads[name] if read["answered"] >= creates[name]["answered"] + PROVISIONING)
        for name in names
    }
    starts = sorted(run["began"] for run in runs)
    ordered = sorted(creates.values(), key=lambda create: float(create["at"]))
    return {
        "in hand on average": sum((run["ended"] or time.time()) - run["began"] for run in runs) / took,
        "a release until its create request, s": mean(
            create["at"] - start for start, create in zip(starts, ordered, strict=False)
        ),
        "active until a read finds it, s": mean(
            found[name] - creates[name]["answered"] - PROVISIONING for name in names
        ),
        "found until live, s": mean(moves[name]["answered"] - found[name] for name in names),
    }


def _first_by_agent(testbed: Testbed, method: str, path: str, names: Sequence[str], since: float) -> dict[str, Request]:
    return {name: testbed.foundry_requests(method, f"{BASE}/{name}{path}", since)[0] for name in names}


def _until_all_live(testbed: Testbed, functions: Host, count: int, began: float) -> float:
    peak = 0.0

    def all_live() -> bool:
        nonlocal peak
        peak = max(peak, resident_memory(functions.pid))
        return len({move["path"] for move in testbed.all_foundry_requests("PATCH", began)}) >= count

    testbed.wait_for(all_live, f"{count} agents are live", 400)
    return peak
