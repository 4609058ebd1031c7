"""One push and its release: what it asks of each service, and what it adds to the provisioning, in virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from bench.overhead import POLL, SECOND_READ
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from core.agents_file.loader import load_agents
from core.model import Definition, Routing, Version
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.contract.faulty_app import started_app
from tests.scale.meter import MeteredGateway
from tests.simulation.virtual_time import VirtualClock, run
from tests.support.app import AGENT, App, push_and_release

AGENTS = b"agents: {hello-agent: {repository: agents/hello, inspect: never, env: {KEY: {secret: hello-key}}}}"
SERVICES = ("foundry", "key_vault", "state_store", "journal", "release_queue")
SHORTEST, LONGEST = 15.0, 24.0
"""Seconds of provisioning."""
KNOWN_TIMES = 20
DELAY = 0.02
"""Seconds of each call."""
QUEUES = 0.1
"""The host polls two idle queues every 100 ms (host.json): half of that each, on average."""
TRIPS = 10
"""Calls one after another, from the event to the moved traffic."""


def rows(effort: Effort) -> Iterator[Row]:
    """Requests by service, and the overhead with a history of provisioning times."""
    asked = asyncio.run(requests_of_a_release())
    counted = (
        "The stand-ins count the requests of the SDKs; a version is active at once, and each poll asks for one more"
    )
    for name, service, bound, description in (
        (
            "blob requests",
            "blobs",
            12,
            "desired state four times and its change, lease twice, three saves, two lines",
        ),
        ("Foundry requests", "foundry", 7, "versions, the agent before each of three steps, create, version, move"),
    ):
        yield Row(
            name=f"{name} of a release",
            description=f"{name} of one push and its release",
            unit="requests",
            value=asked[service],
            target=bound,
            bound=bound,
            bound_description=description,
            method=counted,
            details={f"to {part}": float(count) for part, count in asked.items()},
        )
    count = effort.choose(101, 11)
    yield _overhead_row([SHORTEST + (LONGEST - SHORTEST) * n / (count - 1) for n in range(count)])


async def requests_of_a_release() -> Mapping[str, int]:
    """Requests by stand-in, without those of the Functions host: it polls, takes and deletes the messages."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        async with started_app(Path(folder)) as app:
            app.agents = load_agents(AGENTS)
            app.services.foundry.project.provisioning.seconds = 0
            stand_ins = app.services.stand_ins.items()
            before = Counter({name: len(stand_in.requests) for name, stand_in in stand_ins})
            await app.push("v2", "b")
            await app.run_queue(wait=True)
            if app.live_image() != "b":
                raise NotMeasuredError("the release did not go live")
            return Counter({name: len(stand_in.requests) for name, stand_in in stand_ins}) - before


class ExactFoundry(InMemoryFoundry):
    """A version takes its time from the very moment of its create, which has only whole seconds in its answer."""

    moved_at = created_at = 0.0

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """Create, and note when."""
        self.created_at = self.clock.monotonic()
        return await super().create_version(agent, definition, metadata)

    def provisioning_of(self, version: Version) -> float:
        """Seconds from the whole second of the create."""
        return self.provisioning + self.created_at % 1

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Route, and note when."""
        self.moved_at = self.clock.monotonic()
        return await super().set_routing(agent, to)


class SlowStateStore(MeteredGateway):
    """Its leases take their time too."""

    async def acquire_lease(self, agent: str) -> Any:
        """A lease whose every call takes its time."""
        lease = await self._call("acquire_lease", self._target.acquire_lease)(agent)  # type: ignore[attr-defined]
        return lease and MeteredGateway(lease, self._counts, self._seconds)


def _overhead_row(times: list[float]) -> Row:
    known, unknown = (mean(run(overhead(seconds, known)) for seconds in times) for known in (KNOWN_TIMES, 0))
    return Row(
        name="overhead, times known",
        description="push → live, minus the provisioning time, with a history of provisioning times",
        unit="s",
        value=known,
        target=1.2,
        bound=QUEUES + POLL / 2 + SECOND_READ + TRIPS * DELAY,
        bound_description=f"two queues, half a poll, the pause before the second read, {TRIPS} round trips; "
        "single versions can be faster",
        method=f"Virtual time. Means of {len(times)} provisioning times, {times[0]:.1f} to {times[-1]:.1f} s, of which "
        f"{KNOWN_TIMES} others are known; {DELAY * 1000:.0f} ms per call",
        details={"without known times, s": unknown},
    )


async def overhead(provisioning: float, known: int) -> float:
    """Seconds from a push to the moved traffic beside the provisioning, where so many earlier times are known."""
    app = App(clock=VirtualClock(), kind=ExactFoundry, agents=load_agents(AGENTS))
    foundry: Any = app.foundry
    await push_and_release(app, "v1", "a")
    await app.clock.sleep(3600)
    record = app.state_store.releases[AGENT]
    history = tuple(SHORTEST + (LONGEST - SHORTEST) * (n + 0.5) / known for n in range(known))
    record.state = replace(record.state, provisioning_seconds=history)
    slow = {name: MeteredGateway(getattr(app.gateways, name), Counter(), DELAY) for name in SERVICES}
    slow["state_store"] = SlowStateStore(app.state_store, Counter(), DELAY)
    app.gateways, foundry.provisioning = replace(app.gateways, **slow), provisioning  # type: ignore[arg-type]
    pushed_at = app.clock.monotonic()
    if await push_and_release(app, "v2", "b") != "LIVE":
        raise NotMeasuredError("the release did not go live")
    return float(foundry.moved_at - pushed_at - provisioning + QUEUES)
