"""Reads what a row of the table asks for, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.definition import Resolved, Unresolved, resolve, secret_refs
from core.model import Agent, Push, Secret, Toolbox, Unreadable, Version
from core.reasons import Reason
from core.record import Record, Wanted
from core.rules import AgentRule, SecretRef
from core.steps import Look
from core.world import Facts, World, release_expected, should_run
from handlers.gateways import GatewayError, Gateways, PermanentError
from handlers.together import together

CONCURRENT_READS = 8
"""Secrets read at once: Key Vault allows 4,000 reads in 10 s to all who use the vault."""


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
        self._rule = rule
        self._login_server = login_server
        self._outside = outside

    async def glance(self) -> Glance | None:
        """What a release needs, read while its lease is still asked for; None where storage does not answer."""
        at = self._outside.clock.now()
        ledger = self._outside.ledger
        try:
            wanted, record = await together(ledger.wanted(self._agent), ledger.record(self._agent))
        except GatewayError:
            return None
        if not release_expected(wanted, record, at):
            return Glance(at, wanted, record)
        try:
            (agent, listed), wish = await together(self._versions(), self._resolve(should_run(wanted, record, at), {}))
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
                return replace(facts, wish=await self._resolve(should_run(world.wanted, world.record, now), {}))
            case "resolved":
                return replace(facts, resolved=await self._resolve(world.record.push, world.record.secrets))

    async def _resolve(self, push: Push | None, noted: Mapping[str, str]) -> Resolved | Unresolved:
        if push is None:
            return Unresolved(Reason.NOTHING_DESIRED, "no push is noted")
        try:
            tagged = await self._outside.vault.tagged(self._agent) if self._rule.env_from_vault else {}
        except PermanentError as error:
            reason = Reason.ENV_AMBIGUOUS if error.code == "AMBIGUOUS" else Reason.SECRET_FORBIDDEN
            return Unresolved(reason, error.message)
        refs = secret_refs(self._rule, tagged)
        if isinstance(refs, Unresolved):
            return refs
        secrets, toolbox = await together(self._secrets(refs, noted), self._toolbox())
        if isinstance(toolbox, Unresolved):
            return toolbox
        return resolve(self._rule, push, self._login_server, secrets, toolbox, self._outside.clock.now())

    async def _secrets(
        self, refs: Mapping[str, SecretRef], noted: Mapping[str, str]
    ) -> dict[str, tuple[SecretRef, Secret | Unreadable]]:
        """Every secret once, however many variables name it; a noted version id is asked for again."""
        turns = asyncio.Semaphore(CONCURRENT_READS)

        async def read(name: str, version: str | None) -> Secret | Unreadable:
            async with turns:
                return await self._outside.vault.read(name, version)

        wanted = {(ref.secret, ref.version or noted.get(ref.secret)) for ref in refs.values()}
        order = sorted(wanted, key=str)
        answers = dict(zip(order, await asyncio.gather(*(read(*one) for one in order)), strict=True))
        return {name: (ref, answers[ref.secret, ref.version or noted.get(ref.secret)]) for name, ref in refs.items()}

    async def _toolbox(self) -> Toolbox | Unresolved | None:
        """The toolbox that has the rule's tools; asked again, it is the same version."""
        if not self._rule.tools:
            return None
        try:
            return await self._outside.foundry.toolbox(f"{self._agent}-tools", self._rule.tools)
        except PermanentError as error:
            reason = Reason.FORBIDDEN if error.status in (401, 403) else Reason.TOOLBOX_REFUSED
            return Unresolved(reason, error.message)
