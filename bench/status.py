"""How long a person waits for ``slipway status`` of many targets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from bench.machine import processor_time_of_children, run_python
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError, Testbed, start_testbed
from core.model import Push, Routing
from core.state.desired import DesiredState
from core.state.release import GoodVersion, HistoryEntry, ReleaseState
from handlers import bootstrap
from handlers.concurrency import gather_limited

TARGETS, MAX_SECONDS = 200, 1.5
CONCURRENT_WRITES = 16


def rows(effort: Effort) -> Iterator[Row]:
    """Wall time with every target live, and with every target read from Foundry."""
    repeats = effort.choose(9, 3)
    with start_testbed({f"agent-{number}": 0 for number in range(TARGETS)}) as testbed:
        unsettled = _timed(testbed, repeats, "NO_PUSH_YET")
        run_python(["-c", "from bench.status import make_live; make_live()"], testbed.running.endpoints["env"])
        settled = _timed(testbed, repeats, "LIVE")
    bare = median(run_python(["-c", "import aiohttp, azure.storage.blob.aio, typer, yaml"])[0] for _ in range(repeats))
    for name, description, (seconds, processor) in (
        ("slipway status, live", f"wall time with {TARGETS} live targets", settled),
        ("slipway status, new", f"wall time with {TARGETS} targets that Foundry is asked about", unsettled),
    ):
        yield Row(
            name=name,
            description=description,
            unit="s",
            value=seconds,
            target=MAX_SECONDS,
            bound=bare,
            bound_description="a Python that imports the SDK of storage, aiohttp, typer and yaml",
            method=f"Median of {repeats} fresh processes on the stack, bytecode cached",
            details={"processor time, s": processor},
        )


def _timed(testbed: Testbed, repeats: int, state: str) -> tuple[float, float]:
    """Return the medians of wall and processor time of the command, in seconds; every target must have this state."""
    environment = testbed.running.endpoints["env"]
    shown = json.loads(run_python(["-m", "cli", "status", "--json"], environment)[1])
    if [status["state"] for status in shown] != [state] * TARGETS:
        raise NotMeasuredError(f"status does not show {TARGETS} targets in the state {state}")
    before = processor_time_of_children()
    seconds = median(run_python(["-m", "cli", "status"], environment)[0] for _ in range(repeats))
    return seconds, (processor_time_of_children() - before) / repeats


def make_live() -> None:
    """Store what releases of every agent leave behind; in a process with the stack's environment."""
    asyncio.run(_make_live())


async def _make_live() -> None:
    store, at = bootstrap.gateways().state_store, datetime.now(UTC) - timedelta(hours=1)

    async def release(name: str) -> None:
        push = Push(f"agents/{name}", f"sha256:{'a' * 64}", "v1.2.3", at, f"event-{name}")
        await store.update_desired(name, lambda _: DesiredState(1, 1, push, updated_at=at))
        lease = await store.acquire_lease(name)
        if lease is None:
            raise NotMeasuredError(f"the lease of {name} is taken")
        live = ReleaseState(
            observed_generation=1,
            push=push,
            reason="LIVE",
            candidate="1",
            expected_routing=Routing.to("1"),
            last_good=GoodVersion(push, "f" * 64, "1", since=at),
            history=(HistoryEntry(at, "LIVE", push.digest, "1"),),
        )
        await lease.write(live)
        await lease.release()

    try:
        await gather_limited(CONCURRENT_WRITES, (release(name) for name in bootstrap.agents().agents))
    finally:
        await bootstrap.close()
