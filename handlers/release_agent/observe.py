"""Reads what a row of the table asks for, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.agents_file.spec import AgentRule
from core.model import Agent, Version
from core.release.actions import Look
from core.release.inputs import Facts, World, release_expected
from core.state.release import Record, Wanted
from handlers.concurrency import together
from handlers.gateways.interfaces import GatewayError, Gateways
from handlers.release_agent.resolve_definition import Resolver


@dataclass(frozen=True, slots=True)
class Glance:
    """What was read before a turn, and when that began."""

    at: datetime
    wanted: Wanted
    record: Record
    facts: Facts = field(default_factory=Facts)


class Observer:
    """The eyes of the release loop for one agent."""

    def __init__(self, rule: AgentRule, login_server: str, outside: Gateways) -> None:
        self._agent = rule.name
        self._resolver = Resolver(rule, login_server, outside)
        self._outside = outside

    async def glance(self) -> Glance | None:
        """What a release needs, read while its lease is still asked for; None where storage does not answer."""
        at = self._outside.clock.now()
        ledger = self._outside.ledger
        try:
            wanted, record = await together(ledger.wanted(self._agent), ledger.record(self._agent))
        except GatewayError:
            return None
        if not release_expected(wanted, record, at) or not self._outside.looks.calm(self._outside.clock.monotonic()):
            return Glance(at, wanted, record)
        try:
            (agent, listed), wish = await together(self._versions(), self._resolver.wish(wanted, record, at))
        except GatewayError:
            return Glance(at, wanted, record)  # the turn asks again, and waits the fault out
        return Glance(at, wanted, record, Facts(agent=(agent,), listed=listed, wish=wish))

    async def _versions(self) -> tuple[Agent | None, tuple[Version, ...]]:
        foundry = self._outside.foundry
        agent, listed = await together(foundry.agent(self._agent), foundry.versions(self._agent))
        return agent, tuple(listed)

    async def second_look(self, facts: Facts, number: str) -> Facts:
        """A version once more, with the routing beside it: what a promotion is decided on."""
        foundry = self._outside.foundry
        agent, version = await together(foundry.agent(self._agent), foundry.version(self._agent, number))
        return replace(facts, agent=(agent,)).with_version(number, version)

    async def versions(self, numbers: tuple[str, ...]) -> dict[str, Version | None]:
        """Some versions, or none of them where one read fails: who needs them then asks again."""
        foundry = self._outside.foundry
        try:
            found = await asyncio.gather(*(foundry.version(self._agent, number) for number in numbers))
        except GatewayError:
            return {}
        return dict(zip(numbers, found, strict=True))

    async def look(self, world: World, look: Look, now: datetime) -> Facts:
        """The world's facts with one more; raises TransientError or PermanentError."""
        facts, foundry = world.facts, self._outside.foundry
        match look.fact:
            case "agent":
                return replace(facts, agent=(await foundry.agent(self._agent),))
            case "versions":
                return replace(facts, listed=tuple(await foundry.versions(self._agent)))
            case "version":
                return facts.with_version(look.number, await foundry.version(self._agent, look.number))
            case "wish":
                return replace(facts, wish=await self._resolver.wish(world.wanted, world.record, now))
            case "resolved":
                return replace(facts, resolved=await self._resolver.again(world.record))
