"""Pruning: the plan alone, a run that deletes a thousand versions, and a run that deletes nothing."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median

from bench.bare_pruning import seconds_of_deletions, seconds_of_lists
from bench.machine import processor_time, resident_memory
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError, Request, Testbed, hosted_agent, start_testbed
from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT
from core.model import Routing, Status, Version
from core.prune.retention import plan_prune
from core.state.release import ReleaseState
from local.stack_client import Host, host

DELAY, CONCURRENT_CALLS, PAGE, KEPT = 0.05, 8, 100, 10
TIMER = "prune_versions"
MISSED_BECAUSE = (
    "the bound has the SDK's own processor time in it; one interpreter sends and reads all requests, on cores that it "
    "shares with the stand-ins and other processes"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = {"newest": KEPT - 1, "min_age": "0s", "failed": "0s", "max_deletes": 1000, "limit": 1000, "foreign": False}


def rows(effort: Effort) -> Iterator[Row]:
    """Two plans, then the timer on a running host."""
    yield _plan_row(1_000, 20.0, 9)
    yield _plan_row(effort.choose(100_000, 20_000), 2_000.0, 3)
    yield _memory_row(effort.choose(10_000, 2_000))
    versions, agents = effort.choose(1_000, 200), effort.choose(200, 40)
    with start_testbed({"crowded": 0}, {"keep": KEEP}) as testbed, host(testbed.running, only=[TIMER]) as functions:
        testbed.running.put("foundry", "/_local/provisioning", {"seconds": 0, "limit": 2 * versions})
        _create_versions(testbed, [("crowded", n) for n in range(versions + KEPT)])
        yield _prune_row(testbed, functions, versions)
    names = [f"calm-{n}" for n in range(agents)]
    with start_testbed(dict.fromkeys(names, 0)) as testbed, host(testbed.running, only=[TIMER]) as functions:
        testbed.provisioning(0)
        _create_versions(testbed, [(name, 0) for name in names])
        yield _nothing_to_prune_row(testbed, functions, names)


def _plan_row(count: int, target: float, repeats: int) -> Row:
    versions = [
        Version(str(n), Status.ACTIVE, NOW - timedelta(minutes=count - n), "image", frozenset(), {FINGERPRINT: str(n)})
        for n in range(1, count + 1)
    ]
    keep, routing, took = KeepSpec.model_validate({"tags": [r"^v\d+\.0\.0$"]}), Routing.to(str(count)), list[float]()
    for _ in range(repeats):
        began = time.perf_counter()
        plan_prune(versions, routing, ReleaseState(), keep, NOW)
        took.append(1000 * (time.perf_counter() - began))
    return Row(
        name=f"plan, {count:,} versions",
        description="one prune plan: the versions to delete, and why the others stay",
        unit="ms",
        value=median(took),
        target=target,
        method=f"Median of {repeats}",
    )


def _memory_row(count: int) -> Row:
    """A dry run for an agent far above the service's version limit: all pages are read and planned."""
    settings = {"PRUNE_DRY_RUN": "true"}
    with (
        start_testbed({"huge": 0}, {"keep": KEEP}) as testbed,
        host(testbed.running, only=[TIMER], settings=settings) as functions,
    ):
        testbed.running.put("foundry", "/_local/provisioning", {"seconds": 0, "limit": 2 * count, "dedupe": False})
        _create_versions(testbed, [("huge", n) for n in range(KEPT)])
        _run_to_end(testbed, functions)
        before = resident_memory(functions.pid)
        _create_versions(testbed, [("huge", n) for n in range(count)])
        peak = _run_to_end(testbed, functions)
    return Row(
        name=f"prune, memory, {count:,} versions",
        description=f"peak resident memory minus that of a run with {KEPT} versions",
        unit="MiB",
        value=peak - before,
        target=40,
        method="One dry run of the timer through the real SDK; read every 20 ms from /proc",
        details={"before, MiB": before, "peak, MiB": peak},
    )


def _run_to_end(testbed: Testbed, functions: Host) -> float:
    """Run the timer to its end; returns the peak memory in MiB."""
    peak, until, before = 0.0, time.monotonic() + 120, len(functions.invocations(TIMER))
    _run(functions)
    while time.monotonic() < until:
        peak = max(peak, resident_memory(functions.pid))
        runs = functions.invocations(TIMER)
        if len(runs) > before and all(run["ended"] for run in runs):
            return peak
        time.sleep(0.02)
    raise NotMeasuredError("the timer did not end within 120 s")


def _prune_row(testbed: Testbed, functions: Host, count: int) -> Row:
    began = time.time()
    _run(functions)  # once without the delay, to warm the clients up
    testbed.wait_for(lambda: _enough_answers(testbed, "DELETE", began, count), f"{count} versions are deleted", 300)
    _create_versions(testbed, [("crowded", n) for n in range(count + KEPT)])
    testbed.delay(DELAY)
    began, processor_seconds = time.time(), processor_time(functions.pid)
    _run(functions)
    deleted = testbed.wait_for(
        lambda: _enough_answers(testbed, "DELETE", began, count), f"{count} versions are deleted", 300
    )
    processor_seconds = processor_time(functions.pid) - processor_seconds
    reads = [read for read in testbed.all_foundry_requests("GET", began) if read["at"] <= deleted[-1]["answered"]]
    testbed.delay(0)
    lists = [read for read in reads if _is_list(read)]
    gets = len([read for read in reads if "/versions/" in read["path"]])
    seconds = deleted[-1]["answered"] - min(read["at"] for read in reads)
    waits = DELAY * (len(lists) + gets / CONCURRENT_CALLS + len(deleted) / CONCURRENT_CALLS)
    _create_versions(testbed, [("crowded", n) for n in range(count)])
    testbed.delay(DELAY)
    whole_lists = round(len(lists) / math.ceil((count + KEPT) / PAGE))
    bare = seconds_of_deletions(testbed.running, "crowded", whole_lists, count, CONCURRENT_CALLS)
    testbed.delay(0)
    return Row(
        name=f"prune, {count:,} of {count + KEPT:,}",
        description="first page requested → last deletion answered, ÷ (pages + gets/8 + deletes/8) times the delay",
        unit="ratio",
        value=seconds / waits,
        target=1.15,
        bound=bare / waits,
        bound_description=f"the bare SDK: {whole_lists} lists, {count} reads and {count} deletions, 8 at once",
        method=f"One run of the timer through the real SDK: {len(lists)} pages, {gets} reads and {len(deleted)} "
        f"deletions, {DELAY * 1000:.0f} ms each",
        details=_details(seconds, bare, processor_seconds),
        missed_because=MISSED_BECAUSE,
    )


def _details(seconds: float, bare: float, processor_seconds: float) -> dict[str, float]:
    return {
        "seconds": seconds,
        "÷ the bare SDK": seconds / bare,
        "processor time of the host, s": processor_seconds,
    }


def _nothing_to_prune_row(testbed: Testbed, functions: Host, names: list[str]) -> Row:
    count = len(names)
    began = time.time()
    _run(functions)  # once without the delay, to warm the clients up
    testbed.wait_for(lambda: _enough_lists(testbed, began, count), "every agent was listed", 120)
    time.sleep(1.0)
    testbed.delay(DELAY)
    began, processor_seconds = time.time(), processor_time(functions.pid)
    _run(functions)
    lists = testbed.wait_for(lambda: _enough_lists(testbed, began, count), "every agent was listed", 120)
    processor_seconds = processor_time(functions.pid) - processor_seconds
    waits = math.ceil(count / CONCURRENT_CALLS) * DELAY
    seconds = max(request["answered"] for request in lists) - min(request["at"] for request in lists)
    bare = seconds_of_lists(testbed.running, names, CONCURRENT_CALLS)
    return Row(
        name=f"nothing to prune, {count} agents",
        description="first list call → last answer, ÷ one delay per 8 calls",
        unit="ratio",
        value=seconds / waits,
        target=1.2,
        bound=bare / waits,
        bound_description=f"{count} list calls of the bare SDK, 8 at once",
        method=f"One run of the timer through the real SDK, {DELAY * 1000:.0f} ms a list",
        details=_details(seconds, bare, processor_seconds),
        missed_because=MISSED_BECAUSE,
    )


def _enough_answers(testbed: Testbed, method: str, since: float, count: int) -> list[Request] | None:
    found = testbed.all_foundry_requests(method, since)
    return found if len(found) >= count else None


def _enough_lists(testbed: Testbed, since: float, count: int) -> list[Request] | None:
    found = [request for request in testbed.all_foundry_requests("GET", since) if _is_list(request)]
    return found if len(found) >= count else None


def _is_list(request: Request) -> bool:
    return str(request["path"].split("?")[0]).endswith("/versions")


def _run(functions: Host) -> None:
    request = urllib.request.Request(f"{functions.url}/admin/functions/{TIMER}", b"{}", method="POST")  # noqa: S310
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request):  # noqa: S310 - the local host
        return


def _create_versions(testbed: Testbed, versions: list[tuple[str, int]]) -> None:
    def create(version: tuple[str, int]) -> None:
        agent, number = version
        definition = hosted_agent(f"demo.azurecr.io/agents/{agent}:v{number}", CREATED=str(time.time_ns()))
        project.agents.create_version(agent, definition=definition)

    with testbed.running.foundry() as project, ThreadPoolExecutor(4) as threads:
        list(threads.map(create, versions))
