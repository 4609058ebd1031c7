"""Foundry as a simulation needs it: images behave as drawn, the truth is kept, an identical definition may be new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

from core.agents_file.spec import Probe
from core.model import Agent, Answer, Definition, Failure, Routing, Status, Version
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.scene import AGENT, Image
from tests.simulation.virtual_time import VirtualClock


class SimulatedFoundry(InMemoryFoundry):
    """What is public besides the gateway's methods is known to the simulation alone."""

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        lag, provisioning = random.choice([0.0, 10.0, 30.0]), random.choice([5.0, 20.0])
        super().__init__(clock, provisioning=provisioning, list_lag=lag)
        self.same = random.choice(["definition", "metadata", "never"])
        self.selector_lag = random.choice([0.0, 0.0, 3.0, 20.0])
        """Seconds until a moved selector shows in a read of the agent."""
        self._turns: list[tuple[float, Routing]] = []
        self.images: dict[str, Image] = {}
        """Digest -> how it behaves."""
        self.before_create: Callable[[Mapping[str, str]], None] = lambda _: None
        self.verified: set[str] = set()
        """Versions that answered as they must before they had traffic."""
        self.checked: set[str] = set()
        """And with traffic."""
        self._random = random

    def status(self, number: str) -> Status | None:
        """The status of this moment; None for a version that is gone."""
        found = self.agents[AGENT].versions.get(number) if AGENT in self.agents else None
        return self.current(found).status if found else None

    async def get_agent(self, name: str) -> Agent | None:
        found = await super().get_agent(name)
        return replace(found, routing=self._shown(found.routing)) if found else None

    def turned(self, agent: str, to: Routing) -> None:
        """Somebody moves the selector: reads show it later."""
        if not self._turns:
            self._turns.append((-self.selector_lag, self.agents[agent].routing))
        self._turns.append((self.clock.monotonic(), to))
        self.agents[agent].routing = to

    def ended(self, agent: str) -> None:
        """The whole agent is deleted; its numbers begin anew with the next one."""
        del self.agents[agent]
        self._turns.clear()
        self.verified.clear()
        self.checked.clear()

    def _shown(self, now: Routing) -> Routing:
        until = self.clock.monotonic() - self.selector_lag
        return next((routing for at, routing in reversed(self._turns) if at <= until), now)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        before = self.agents[agent].routing if agent in self.agents else to
        told = await super().set_routing(agent, to)
        self.agents[agent].routing = before
        self.turned(agent, to)
        return told

    def behaves(self, version: Version) -> Image:
        return self.images.get(version.image.rpartition("@")[2], Image.GOOD)

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        digest = definition.image.rpartition("@")[2]
        if self.images.get(digest) is Image.FAILS:
            self.failures[digest] = Failure("ImageError", "cannot start")
        self.before_create(metadata)
        return await super().create_version(agent, definition, metadata)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        answer = await super().ask(agent, probe, session, within)
        if answer.status != 200 or answer.version is None:
            return answer
        version, before = self.agents[agent].versions[answer.version], session is not None
        told = self._told(version, before, answer)
        if told.text == "pong":
            (self.verified if before else self.checked).add(version.number)
        return told

    def _told(self, version: Version, before: bool, answer: Answer) -> Answer:
        kind = self.behaves(version)
        late = version.created_at + timedelta(seconds=self.provisioning + 10) > self.clock.now()
        if kind is Image.LATE and late:
            return Answer(424, code="session_not_ready")
        wrong = kind is Image.WRONG or (kind is Image.WRONG_LIVE and not before)
        flaky = kind is Image.FLAKY and self._random.random() < 0.4
        return replace(answer, text="sorry") if wrong or flaky else answer
