"""Foundry in a simulation: images behave as drawn, reads lag, and an identical definition may give a new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

from core.agents_file.spec import Probe
from core.model import Agent, Answer, Definition, Failure, Routing, Status, Version
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult
from tests.simulation.scene import AGENT, Behaviour
from tests.simulation.virtual_time import VirtualClock


class SimulatedFoundry(InMemoryFoundry):
    """The invariants may use the public attributes; the handlers see the Foundry protocol."""

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        lag, provisioning = random.choice([0.0, 10.0, 30.0]), random.choice([5.0, 20.0])
        super().__init__(clock, provisioning=provisioning, list_lag=lag)
        self.deduplicates_by = random.choice(["definition", "metadata", "never"])
        self.routing_lag = random.choice([0.0, 0.0, 3.0, 20.0])
        """Seconds until a read of the agent shows a changed routing."""
        self.version_lag = random.choice([0.0, 0.0, 10.0, 30.0])
        """Seconds until its own read shows a version."""
        self.ends_with_last_version = random.random() < 0.5
        """An agent without versions does not exist."""
        self._routing_history: list[tuple[float, Routing]] = []
        self.behaviours: dict[str, Behaviour] = {}
        """By digest."""
        self.before_create: Callable[[Mapping[str, str]], None] = lambda _: None
        self.verified: set[str] = set()
        """Versions that gave the expected answer without traffic."""
        self.checked: set[str] = set()
        """Versions that gave the expected answer with traffic."""
        self._random = random

    def status(self, number: str) -> Status | None:
        """Return the current status of a version; None if it does not exist."""
        version = self.agents[AGENT].versions.get(number) if AGENT in self.agents else None
        return self.current(version).status if version else None

    async def get_agent(self, name: str) -> Agent | None:
        agent = await super().get_agent(name)
        return replace(agent, routing=self._visible_routing(agent.routing)) if agent else None

    async def get_version(self, agent: str, number: str) -> Version | None:
        version = await super().get_version(agent, number)
        newest = self.clock.now() - timedelta(seconds=self.version_lag)
        return version if version and (not self.version_lag or version.created_at <= newest) else None

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        result = await super().delete_version(agent, number)
        if self.ends_with_last_version and agent in self.agents and not self.agents[agent].versions:
            self.delete_agent(agent)
        return result

    def mend(self) -> None:
        """What made images fail is mended: from now on their versions run."""
        failing = [digest for digest, behaviour in self.behaviours.items() if behaviour is Behaviour.FAILS]
        self.behaviours |= dict.fromkeys(failing, Behaviour.GOOD)
        self.failures.clear()

    def change_routing(self, agent: str, to: Routing) -> None:
        """Change the routing now; reads show it later."""
        if not self._routing_history:
            self._routing_history.append((-self.routing_lag, self.agents[agent].routing))
        self._routing_history.append((self.clock.monotonic(), to))
        self.agents[agent].routing = to

    def delete_agent(self, agent: str) -> None:
        """Delete an agent; the next agent of this name begins with version 1 again."""
        del self.agents[agent]
        self._routing_history.clear()
        self.verified.clear()
        self.checked.clear()

    def _visible_routing(self, current: Routing) -> Routing:
        newest = self.clock.monotonic() - self.routing_lag
        return next((routing for at, routing in reversed(self._routing_history) if at <= newest), current)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        before = self.agents[agent].routing if agent in self.agents else to
        routing = await super().set_routing(agent, to)
        self.agents[agent].routing = before
        self.change_routing(agent, to)
        return routing

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        digest = definition.image.rpartition("@")[2]
        if self.behaviours.get(digest) is Behaviour.FAILS:
            self.failures[digest] = Failure("ImageError", "cannot start")
        self.before_create(metadata)
        return await super().create_version(agent, definition, metadata)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        answer = await super().ask(agent, probe, session, within)
        if answer.status != 200 or answer.version is None:
            return answer
        version, has_traffic = self.agents[agent].versions[answer.version], session is None
        answer = self._answer(version, has_traffic, answer)
        if answer.text == "pong":
            (self.checked if has_traffic else self.verified).add(version.number)
        return answer

    def _answer(self, version: Version, has_traffic: bool, answer: Answer) -> Answer:
        behaviour = self.behaviours.get(version.image.rpartition("@")[2], Behaviour.GOOD)
        is_starting = version.created_at + timedelta(seconds=self.provisioning + 10) > self.clock.now()
        if behaviour is Behaviour.LATE and is_starting:
            return Answer(424, code="session_not_ready")
        is_wrong = behaviour is Behaviour.WRONG or (behaviour is Behaviour.WRONG_LIVE and has_traffic)
        is_flaky = behaviour is Behaviour.FLAKY and self._random.random() < 0.4
        return replace(answer, text="sorry") if is_wrong or is_flaky else answer
