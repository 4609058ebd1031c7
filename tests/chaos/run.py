"""One chaos run: start the cluster, release first versions, inject faults, let it recover, and check the invariants."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.faults import FaultInjector
from tests.chaos.footprint import Footprint, footprint
from tests.chaos.invariants import REPOSITORIES, Invariants
from tests.chaos.load import Load
from tests.chaos.schedule import HOSTS, Event, schedule
from tests.chaos.watch import Watch

Log = Callable[[str], None]
FIRST_VERSIONS_WITHIN, RECOVERY_WITHIN = 60.0, 240.0
SOCKETS_CLOSED_WITHIN = 30.0
ROUND_SECONDS, CLOCK_STEP = 10.0, 80
"""During the recovery, each round of so many seconds moves the clocks ahead, so that waits for CONSISTENCY_LAG end."""
CHECK_EVERY = 0.5
MAX_MEMORY, MAX_SOCKETS = 64.0, 64
"""Allowed growth of the host that is never killed, in MiB and in sockets. What the last timer run left open counts: two
timers that read two states of six agents at once, and a batch of releases, hold fifty connections more or less than
at first. A leak grows with the run: after two minutes of faults the growth was 3 sockets and 14 MiB."""


@dataclass
class Report:
    """The result of a run."""

    seed: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    faulty_requests: Counter[str] = field(default_factory=Counter)
    load: Counter[str] = field(default_factory=Counter)
    growth: dict[str, float] = field(default_factory=dict)
    recovery_seconds: float = 0.0
    sets_clocks: bool = True
    violations: list[str] = field(default_factory=list)


async def run(seed: int, seconds: float, log: Log) -> Report:
    """Run the schedule of a seed."""
    report = Report(seed, seconds)
    with tempfile.TemporaryDirectory(prefix="slipway-chaos-") as folder:
        cluster = Cluster(Path(folder))
        try:
            await cluster.up()
            await _run_phases(cluster, report, log)
        finally:
            await cluster.down()
    return report


async def _run_phases(cluster: Cluster, report: Report, log: Log) -> None:
    load = Load(cluster)
    watch, invariants, injector = Watch(cluster, load), Invariants(cluster, load), FaultInjector(cluster)
    cluster.foundry.project.provisioning.seconds = 1.0
    await load.first_versions()
    if violations := await _wait_for_invariants(invariants, FIRST_VERSIONS_WITHIN):
        report.violations = [f"before the first fault: {violation}" for violation in violations]
        return
    await cluster.run_timers(HOSTS[1])  # they read every agent at once, and keep the connections open
    before = _footprint(cluster)
    log(f"first versions are live; {report.seconds:.0f} s of faults begin")
    watching = asyncio.create_task(watch.run())
    await _run_events(schedule(report.seed, report.seconds), injector, load, log)
    await injector.end()
    log("no more faults")
    began = time.monotonic()
    violations = await _recover(cluster, load, invariants, log)
    report.recovery_seconds = time.monotonic() - began
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    watch.check()
    report.violations = [*watch.violations, *violations, *await asyncio.to_thread(invariants.lost_messages)]
    report.violations += await _check_growth(before, cluster, report)
    report.faults, report.faulty_requests = injector.injected, injector.faulty_requests
    report.sets_clocks = cluster.sets_clocks
    report.load = await _summarize_load(cluster, invariants, watch)
    invariants.close()


async def _run_events(events: list[Event], injector: FaultInjector, load: Load, log: Log) -> None:
    """Start each event at its time, and wait until all have ended."""
    began, running = time.monotonic(), set[asyncio.Task[None]]()
    for event in events:
        await asyncio.sleep(max(0.0, began + event.at - time.monotonic()))
        log(str(event))
        action = load.apply(event) if event.kind in ("push", "secret") else injector.inject(event)
        running.add(asyncio.create_task(action))
    await asyncio.gather(*running)


async def _recover(cluster: Cluster, load: Load, invariants: Invariants, log: Log) -> list[str]:
    """Wait until the invariants hold, with clocks ahead; push again, once, where a probe was inconclusive."""
    until, violations, pushed_again = time.monotonic() + RECOVERY_WITHIN, list[str](), set[str]()
    clock_offset = CLOCK_STEP
    while time.monotonic() < until:
        await cluster.set_elapsed_time(clock_offset)
        violations = await _wait_for_invariants(invariants, ROUND_SECONDS)
        if not violations:
            return []
        for violation in violations:
            log(f"not yet: {violation}")
        for repository in set(await asyncio.to_thread(invariants.inconclusive)) - pushed_again:
            log(f"the probe of the newest push to {repository} was inconclusive: pushing again")
            await load.push(repository, "good", "once more")
            pushed_again.add(repository)
        clock_offset += CLOCK_STEP
    return violations


async def _wait_for_invariants(invariants: Invariants, within: float) -> list[str]:
    until = time.monotonic() + within
    while (violations := await asyncio.to_thread(invariants.violations)) and time.monotonic() < until:
        await asyncio.sleep(CHECK_EVERY)
    return violations


def _footprint(cluster: Cluster) -> Footprint:
    """The footprint of the host that is never killed."""
    return footprint(cluster.pid(HOSTS[1]), cluster.ports)


async def _check_growth(before: Footprint, cluster: Cluster, report: Report) -> list[str]:
    """Compare the footprint, once unused connections had time to close."""
    until = time.monotonic() + SOCKETS_CLOSED_WITHIN
    while (more := _footprint(cluster).sockets - before.sockets).total() > MAX_SOCKETS and time.monotonic() < until:
        await asyncio.sleep(CHECK_EVERY)
    memory = _footprint(cluster).memory - before.memory
    report.growth = {"MiB of memory": memory} | {f"sockets to {name}": count for name, count in more.items()}
    violations = [f"{HOSTS[1]} uses {memory:.0f} MiB more than before"] if memory > MAX_MEMORY else []
    if more.total() > MAX_SOCKETS:
        violations.append(f"{HOSTS[1]} has more open sockets than before: {dict(more)}")
    return violations


async def _summarize_load(cluster: Cluster, invariants: Invariants, watch: Watch) -> Counter[str]:
    journal = await asyncio.to_thread(invariants.journal)
    reasons = Counter(line["reason"] for line in journal)
    versions = sum(len(cluster.foundry.project.agents[name].versions) for name in REPOSITORIES)
    return Counter(
        {
            "events": len(cluster.events.published),
            "deliveries": len(cluster.events.deliveries),
            "calls to Foundry": watch.calls,
            "versions left": versions,
            "lines in the journal": len(journal),
            "releases that went live": reasons["LIVE"],
            "releases superseded": reasons["SUPERSEDED"],
            "leases lost": reasons["LEASE_LOST"],
            "writes with an unclear answer": reasons["UNCLEAR_ANSWER"],
        }
    )
