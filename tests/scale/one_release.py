"""One push and its release: what it asks of each service, and what it adds to the provisioning, in virtual time."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

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
POLLED = 5.0
"""Seconds of a provisioning that is polled a few times."""


async def requests_of_a_release(provisioning: float) -> Mapping[str, int]:
    """Requests by stand-in, without those of the Functions host: it polls, takes and deletes the messages."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        async with started_app(Path(folder)) as app:
            app.agents = load_agents(AGENTS)
            app.services.foundry.project.provisioning.seconds = provisioning
            stand_ins = app.services.stand_ins.items()
            before = Counter({name: len(stand_in.requests) for name, stand_in in stand_ins})
            await app.push("v2", "b")
            await app.run_queue(wait=True)
            if app.live_image() != "b":
                raise RuntimeError("the release did not go live")
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
        raise RuntimeError("the release did not go live")
    return float(foundry.moved_at - pushed_at - provisioning)


def main(count: int) -> None:
    """Print the requests, and the overheads of so many provisioning times with a history and without."""
    times = [SHORTEST + (LONGEST - SHORTEST) * n / (count - 1) for n in range(count)]
    overheads = {known: mean(run(overhead(seconds, known)) for seconds in times) for known in (KNOWN_TIMES, 0)}
    asked, later = (asyncio.run(requests_of_a_release(seconds)) for seconds in (0.0, POLLED))
    print(json.dumps({"asked": asked, "polled": later, "polled_seconds": POLLED, "overheads": [*overheads.values()]}))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
