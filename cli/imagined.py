"""A world that the handlers may act in without anything being done: reads fall through, acts are kept in memory.

So a plan is made by the very handlers that run in Azure, ``next_step`` and all; it assumes that Foundry does what it is
asked, and that agents answer as they must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from core.agents_file.spec import Probe
from core.model import Agent, Answer, Definition, Routing, Status, Toolbox, Version
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.interfaces import DeleteResult

ANSWER = "assumed"
NO_ID = "assumed"


@dataclass
class Assumed:
    """What was taken for granted on the way; each thing once."""

    said: dict[str, None] = field(default_factory=dict)

    def __call__(self, what: str) -> None:
        """Note one thing."""
        self.said[what] = None


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self, at: datetime) -> None:
        self.began = self._now = at

    def now(self) -> datetime:
        """The imagined time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the plan began."""
        return (self._now - self.began).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def jitter(self) -> float:
        """No chance: the same plan each time."""
        return 1.0


@dataclass
class _Known:
    agent: Agent | None
    versions: dict[str, Version]
    made: set[str] = field(default_factory=set)


class Foundry:
    """See the Foundry protocol."""

    def __init__(self, seen: Any, clock: Clock, project: str, assumed: Assumed) -> None:
        self._seen, self._clock, self._project, self._assumed = seen, clock, project, assumed
        self._agents: dict[str, _Known] = {}

    async def _known(self, name: str) -> _Known:
        if name not in self._agents:
            agent, listed = await self._seen.get_agent(name), await self._seen.list_versions(name)
            self._agents[name] = _Known(agent, {one.number: one for one in listed})
        return self._agents[name]

    async def get_agent(self, name: str) -> Agent | None:
        """As it was, or as it was imagined to become."""
        return (await self._known(name)).agent

    async def get_version(self, agent: str, number: str) -> Version | None:
        """One that was imagined, or its own read: a list's status is not to be trusted."""
        known = await self._known(agent)
        if number in known.made:
            return known.versions[number]
        found: Version | None = await self._seen.get_version(agent, number) if number in known.versions else None
        return found

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """Those that were there, and the imagined."""
        return list((await self._known(agent)).versions.values())

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """A version that is active at once."""
        known = await self._known(agent)
        number = str(max((int(one) for one in known.versions), default=0) + 1)
        names, now = frozenset(definition.environment), self._clock.now()
        made = Version(number, Status.ACTIVE, now, definition.image, names, dict(metadata))
        known.versions[number] = made
        known.made.add(number)
        known.agent = replace(known.agent or Agent(agent, True, Routing(), None), latest=made)
        self._assumed("Foundry makes the version")
        return made

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """The traffic moves."""
        known = await self._known(agent)
        known.agent = replace(known.agent, routing=to) if known.agent else None
        return to

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        """The version goes."""
        known = await self._known(agent)
        return DeleteResult.DELETED if known.versions.pop(number, None) else DeleteResult.GONE

    async def open_session(self, agent: str, version: str, within: float) -> str:
        """A session is its version."""
        return version

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        """The answer that was asked for."""
        self._assumed("the agent answers as the rule expects")
        told = await self.get_agent(agent)
        return Answer(probe.status, ANSWER, version=session or (told.live if told else None))

    async def end_session(self, agent: str, session: str) -> None:
        """Nothing to end."""

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """The newest one: whether its tools are the rule's is not asked."""
        there = await self._seen.list_toolbox_versions(name)
        number = max((one.version for one in there), key=int, default="1")
        self._assumed(f"the toolbox {name} is version {number}")
        return Toolbox(name, number, f"{self._project}/toolboxes/{name}/versions/{number}/mcp?api-version=v1")


class Ledger:
    """See the Ledger protocol; what is written stays here."""

    def __init__(self, seen: Any) -> None:
        self._seen = seen
        self._wanted: dict[str, DesiredState] = {}
        self.records: dict[str, ReleaseState] = {}

    async def get_desired(self, agent: str) -> DesiredState:
        """As it was, or as it was imagined to become."""
        if agent not in self._wanted:
            self._wanted[agent] = await self._seen.get_desired(agent)
        return self._wanted[agent]

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Nobody comes between."""
        self._wanted[agent] = change(await self.get_desired(agent))
        return self._wanted[agent]

    async def get_release(self, agent: str) -> ReleaseState:
        """As it was, or as it was imagined to become."""
        if agent not in self.records:
            self.records[agent] = await self._seen.get_release(agent)
        return self.records[agent]

    async def acquire_lease(self, agent: str) -> Lease:
        """Always: nothing is written."""
        return Lease(agent, self, await self.get_release(agent))


class Lease:
    """See the Lease protocol."""

    remaining_seconds = 60.0

    def __init__(self, agent: str, ledger: Ledger, release: ReleaseState) -> None:
        self._agent, self._ledger, self.state = agent, ledger, release

    async def write(self, release: ReleaseState) -> bool:
        """Into memory."""
        self.state = self._ledger.records[self._agent] = release
        return True

    async def renew(self) -> bool:
        """It never ends."""
        return True

    async def release(self) -> None:
        """Nobody waits for it."""
