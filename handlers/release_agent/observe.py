"""Reads what a row of the table asks for, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.model import Agent, Version
from core.release.actions import NeedsRead
from core.release.inputs import DecisionInput, Observed, release_expected
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.resolve_definition import Resolver


@dataclass(frozen=True, slots=True)
class Prefetch:
    """What was read before a turn, and when that began."""

    at: datetime
    desired: DesiredState
    release: ReleaseState
    facts: Observed = field(default_factory=Observed)


class Observer:
    """The eyes of the release loop for one agent."""

    def __init__(self, spec: AgentSpec, login_server: str, gateways: Gateways) -> None:
        self._agent = spec.name
        self._resolver = Resolver(spec, login_server, gateways)
        self._outside = gateways

    async def glance(self) -> Prefetch | None:
        """What a release needs, read while its lease is still asked for; None where storage does not answer."""
        at = self._outside.clock.now()
        ledger = self._outside.state_store
        try:
            desired, release = await gather_two(ledger.get_desired(self._agent), ledger.get_release(self._agent))
        except GatewayError:
            return None
        if not release_expected(desired, release, at) or not self._outside.rate_limiter.is_calm(
            self._outside.clock.monotonic()
        ):
            return Prefetch(at, desired, release)
        try:
            (agent, listed), wish = await gather_two(self._versions(), self._resolver.wish(desired, release, at))
        except GatewayError:
            return Prefetch(at, desired, release)  # the turn asks again, and waits the fault out
        return Prefetch(at, desired, release, Observed(agent=(agent,), version_list=listed, desired_definition=wish))

    async def _versions(self) -> tuple[Agent | None, tuple[Version, ...]]:
        foundry = self._outside.foundry
        agent, listed = await gather_two(foundry.get_agent(self._agent), foundry.list_versions(self._agent))
        return agent, tuple(listed)

    async def second_look(self, facts: Observed, number: str) -> Observed:
        """A version once more, with the routing beside it: what a promotion is decided on."""
        foundry = self._outside.foundry
        agent, version = await gather_two(foundry.get_agent(self._agent), foundry.get_version(self._agent, number))
        return replace(facts, agent=(agent,)).with_version(number, version)

    async def versions(self, numbers: tuple[str, ...]) -> dict[str, Version | None]:
        """Some versions, or none of them where one read fails: who needs them then asks again."""
        foundry = self._outside.foundry
        try:
            found = await asyncio.gather(*(foundry.get_version(self._agent, number) for number in numbers))
        except GatewayError:
            return {}
        return dict(zip(numbers, found, strict=True))

    async def look(self, inputs: DecisionInput, look: NeedsRead, now: datetime) -> Observed:
        """The world's facts with one more; raises TransientError or PermanentError."""
        facts, foundry = inputs.observed, self._outside.foundry
        match look.fact:
            case "agent":
                return replace(facts, agent=(await foundry.get_agent(self._agent),))
            case "versions":
                return replace(facts, version_list=tuple(await foundry.list_versions(self._agent)))
            case "version":
                return facts.with_version(look.version, await foundry.get_version(self._agent, look.version))
            case "wish":
                return replace(facts, desired_definition=await self._resolver.wish(inputs.desired, inputs.release, now))
            case "resolved":
                return replace(facts, release_definition=await self._resolver.again(inputs.release))
