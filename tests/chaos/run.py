"""One run: up, first versions, the storm, calm, and what came of it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.cluster import World
from tests.chaos.faults import Trouble
from tests.chaos.footprint import Footprint, footprint
from tests.chaos.invariants import FOLLOWS, Verdict
from tests.chaos.load import Load
from tests.chaos.schedule import HOSTS, Due, schedule
from tests.chaos.watch import Watch

Say = Callable[[str], None]
FIRST_WITHIN, CALM_WITHIN = 60.0, 240.0
CLOSED_WITHIN = 30.0
PASS_TIME_EVERY = 10.0
"""Seconds of calm after which another 80 go by on the clocks of what can be given one: what waits for SETTLE ends."""
LOOK_EVERY = 0.5
MEMORY, SOCKETS = 48.0, 24
"""MiB, and sockets, by which the host that lived through all of it may have grown: two timers that look at six agents
at once hold up to so many connections more or less when they last ran than when they first did."""


@dataclass
class Report:
    """What a run was, what was done to it, and what broke."""

    seed: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    load: Counter[str] = field(default_factory=Counter)
    grown: dict[str, float] = field(default_factory=dict)
    calm_after: float = 0.0
    sets_clocks: bool = True
    broken: list[str] = field(default_factory=list)


async def run(seed: int, seconds: float, say: Say) -> Report:
    """Live through the schedule of a seed; what broke is in the report."""
    report = Report(seed, seconds)
    with tempfile.TemporaryDirectory(prefix="slipway-chaos-") as folder:
        world = World(Path(folder))
        try:
            await world.up()
            await _lived(world, report, say)
        finally:
            await world.down()
    return report


async def _lived(world: World, report: Report, say: Say) -> None:
    load = Load(world)
    watch, verdict, trouble = Watch(world, load), Verdict(world, load), Trouble(world)
    world.foundry.project.provisioning.seconds = 1.0
    await load.first_versions()
    if left := await _settled(verdict, FIRST_WITHIN):
        report.broken = [f"before anything went wrong: {one}" for one in left]
        return
    await world.run_timers(HOSTS[1])  # they ask for every agent at once, and hold as many connections afterwards
    before = _footprint(world)
    say(f"first versions are live; {report.seconds:.0f} s of trouble begin")
    looking = asyncio.create_task(watch.run())
    await _storm(schedule(report.seed, report.seconds), trouble, load, say)
    await trouble.end()
    say("calm")
    began = time.monotonic()
    left = await _calmed(world, load, verdict, say)
    report.calm_after = time.monotonic() - began
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    watch.look()
    report.broken = [*watch.broken, *left, *await asyncio.to_thread(verdict.lost)]
    report.broken += await _back_to(before, world, report)
    report.faults, report.met, report.sets_clocks = trouble.done, trouble.met, world.sets_clocks
    await _sum_up(report, world, verdict, watch)
    verdict.close()


async def _storm(due: list[Due], trouble: Trouble, load: Load, say: Say) -> None:
    """Everything at its time; what takes a while goes on beside the rest."""
    began, going = time.monotonic(), set[asyncio.Task[None]]()
    for one in due:
        await asyncio.sleep(max(0.0, began + one.at - time.monotonic()))
        say(str(one))
        going.add(asyncio.create_task(load.do(one) if one.kind in ("push", "secret") else trouble.make(one)))
    await asyncio.gather(*going)


async def _calmed(world: World, load: Load, verdict: Verdict, say: Say) -> list[str]:
    """Wait until everything is as it should be; time goes by, and who was out of luck is pushed to once more."""
    until, left, again = time.monotonic() + CALM_WITHIN, list[str](), set[str]()
    ahead = 80
    while time.monotonic() < until:
        await world.pass_time(ahead)
        left = await _settled(verdict, PASS_TIME_EVERY)
        if not left:
            return []
        for one in left:
            say(f"not yet: {one}")
        for repository in set(await asyncio.to_thread(verdict.unlucky)) - again:
            say(f"nobody knows how good the newest of {repository} is: pushed once more")
            await load.push(repository, "good", "once more")
            again.add(repository)
        ahead += 80
    return left


async def _settled(verdict: Verdict, within: float) -> list[str]:
    until = time.monotonic() + within
    while (left := await asyncio.to_thread(verdict.open)) and time.monotonic() < until:
        await asyncio.sleep(LOOK_EVERY)
    return left


def _footprint(world: World) -> Footprint:
    """Of the host that is never killed."""
    return footprint(world.pid(HOSTS[1]), world.ports)


async def _back_to(before: Footprint, world: World, report: Report) -> list[str]:
    """Connections that nobody uses are closed after a while; memory is asked for once."""
    until = time.monotonic() + CLOSED_WITHIN
    while (more := _footprint(world).sockets - before.sockets).total() > SOCKETS and time.monotonic() < until:
        await asyncio.sleep(LOOK_EVERY)
    memory = _footprint(world).memory - before.memory
    report.grown = {"MiB of memory": memory} | {f"sockets to {name}": count for name, count in more.items()}
    grew = [f"{HOSTS[1]} has {memory:.0f} MiB more than before"] if memory > MEMORY else []
    return grew + ([f"{HOSTS[1]} has more sockets open than before: {dict(more)}"] if more.total() > SOCKETS else [])


async def _sum_up(report: Report, world: World, verdict: Verdict, watch: Watch) -> None:
    lines = await asyncio.to_thread(verdict.lines)
    reasons = Counter(one["reason"] for one in lines)
    versions = sum(len(world.foundry.project.agents[name].versions) for name in FOLLOWS)
    report.load = Counter(
        {
            "events": len(world.events.published),
            "deliveries": len(world.events.deliveries),
            "calls to Foundry": watch.calls,
            "versions left": versions,
            "lines in the journal": len(lines),
            "releases that went live": reasons["LIVE"],
            "releases superseded": reasons["SUPERSEDED"],
            "leases lost": reasons["LEASE_LOST"],
            "acts whose answer was unclear": reasons["UNCLEAR_ANSWER"],
        }
    )
