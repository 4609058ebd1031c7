"""Eyes on everything that is sent: what must never happen is noticed when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT
from core.model import Agent, Definition, Push, Routing, SecretValue, Status, Version
from core.release.inputs import rollback_version
from core.state.desired import DesiredState, Hold
from core.state.release import ReleaseState, WriteKind
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import DeleteResult
from tests.simulation.faults import LATEST, PROCESS
from tests.simulation.foundry import SimulatedFoundry
from tests.simulation.scene import AGENT, SECRET

FRESH = 20.0
"""Seconds that a look at the traffic may be old when an act follows it (design §6); a late one lands LATEST later."""
HEARD = 60.0
"""Seconds after which a word of people's must have been heard: as long as a lease, and so a turn, may last."""


class BrokenError(AssertionError):
    """An invariant does not hold."""


@dataclass
class Choice:
    """A person's hand on the traffic, or on a version."""

    at: float
    seen: int
    """The generation that a release had answered by then."""
    to: Routing


@dataclass
class Watch:
    """What the simulation knows of the world, and the product may not."""

    foundry: SimulatedFoundry
    ledger: InMemoryStateStore
    vault: InMemoryKeyVault
    rule: AgentSpec
    moved: Choice | None = None
    """Their last choice, until they put the traffic back to where Slipway had left it."""
    touched: bool = False
    """True once a person moved the traffic at all."""
    deleted: dict[str, float] = field(default_factory=dict)
    """Versions that a person deleted, and when."""
    words: list[tuple[float, DesiredState]] = field(default_factory=list)
    """What was wanted, since when."""
    findings: list[str] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.foundry.clock.monotonic()

    @property
    def record(self) -> ReleaseState:
        return self.ledger.releases[AGENT].state if AGENT in self.ledger.releases else ReleaseState()

    @property
    def wanted(self) -> DesiredState:
        return self.ledger.desired.get(AGENT, DesiredState())

    @property
    def standing(self) -> Choice | None:
        """Their last choice while the traffic is as they chose; overwritten before anybody could know, it is over."""
        agent = self.foundry.agents.get(AGENT)
        return self.moved if self.moved and agent and agent.routing == self.moved.to else None

    def broken(self, what: str) -> None:
        """Kept as well, for what is noticed where nobody listens."""
        self.findings.append(what)
        raise BrokenError(what)

    def heard(self) -> list[DesiredState]:
        """What was wanted at some time that a decision of now may have been made in."""
        for number in range(len(self.words) - 1, -1, -1):
            if self.words[number][0] <= self.now - HEARD:
                return [desired for _, desired in self.words[number:]]
        return [DesiredState(), *(desired for _, desired in self.words)]


class WatchedFoundry:
    """What stands between the product and the service."""

    def __init__(self, target: Any, watch: Watch) -> None:
        self._target = target
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def get_agent(self, name: str) -> Agent | None:
        asked_at = self._watch.now
        found: Agent | None = await self._target.get_agent(name)
        PROCESS.get().looked_at = asked_at - self._watch.foundry.selector_lag
        return found

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        _may_create(self._watch, definition)
        made: Version = await self._target.create_version(agent, definition, metadata)
        return made

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        _may_route(self._watch, to)
        told: Routing = await self._target.set_routing(agent, to)
        return told

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        _may_delete(self._watch, number)
        gone: DeleteResult = await self._target.delete_version(agent, number)
        return gone


def _may_create(watch: Watch, definition: Definition) -> None:
    release = watch.record
    if release.pending_write is None or release.pending_write.kind is not WriteKind.CREATE:
        watch.broken("a version was asked for without a noted intention")
    value, noted = definition.environment["KEY"], release.secrets.get(SECRET, "")
    meant = watch.vault.value(SECRET, noted)
    if not isinstance(value, SecretValue) or value.reveal() != meant:
        watch.broken(f"the secret's value is not the one of version {noted}, which the fingerprint names")


def _may_route(watch: Watch, to: Routing) -> None:
    release, process = watch.record, PROCESS.get()
    version, doing = to.pinned or "", release.pending_write
    if doing is None or doing.routing != to:
        watch.broken(f"the traffic was moved to {version} without a noted intention")
    gone_at = watch.deleted.get(version)
    status = watch.foundry.status(version)
    if status is not Status.ACTIVE and (gone_at is None or gone_at < watch.now - HEARD):
        watch.broken(f"the traffic was moved to version {version}, which is {status or 'gone'}")
    moved = watch.standing
    if moved and watch.wanted.user_generation <= moved.seen and _was_told(watch, moved.at, process.looked_at):
        watch.broken("a person's routing was overwritten without a newer push or word")
    if doing is not None and doing.kind is WriteKind.MOVE_TRAFFIC:
        _may_promote(watch, release, version)


def _was_told(watch: Watch, at: float, looked_at: float) -> bool:
    """True where whoever acts must know of what happened then."""
    return at <= looked_at or watch.now - at > FRESH + LATEST + watch.foundry.selector_lag


def _may_promote(watch: Watch, release: ReleaseState, version: str) -> None:
    rule = watch.rule.release
    if rule.verify and version not in watch.foundry.verified:
        watch.broken(f"version {version} was promoted, and never answered as it must")
    if rule.mode == "notify":
        watch.broken(f"version {version} was promoted in mode notify")
    _may_by_people(watch, release, version)


def _may_by_people(watch: Watch, release: ReleaseState, version: str) -> None:
    rule, heard = watch.rule.release, watch.heard()
    approved = [(one.approval.version, one.approval.fingerprint) for one in heard if one.approval]
    if rule.mode == "manual" and (version, release.fingerprint) not in approved:
        watch.broken(f"version {version} was promoted without approval")
    if all(_is_paused(watch, one) for one in heard):
        watch.broken(f"version {version} was promoted while the agent was paused")
    if all(_is_held(watch, release, one) for one in heard):
        watch.broken(f"version {version} was promoted, and is held")


def _is_paused(watch: Watch, desired: DesiredState) -> bool:
    """A person's way back goes through a pause."""
    pause, now = desired.pause, watch.foundry.clock.now()
    return rollback_version(desired) is None and pause is not None and pause.is_active(now)


def _is_held(watch: Watch, release: ReleaseState, desired: DesiredState) -> bool:
    push = release.push
    return any(
        _names(hold, release.fingerprint, push)
        and (hold.until is None or hold.until > watch.foundry.clock.now())
        and not any(
            desired.lifted_at.get(key, hold.since) > hold.since for key in (hold.fingerprint, hold.digest) if key
        )
        for hold in (*release.holds, *desired.holds)
    )


def _names(hold: Hold, fingerprint: str, push: Push | None) -> bool:
    return bool(hold.fingerprint and hold.fingerprint == fingerprint) or bool(
        hold.digest and push and push.digest == hold.digest
    )


def _may_delete(watch: Watch, number: str) -> None:
    """What pruning must keep whatever it is told: what serves, and what the release record names."""
    release, routing = watch.record, watch.foundry.agents[AGENT].routing
    newest = next(reversed(watch.foundry.agents[AGENT].versions), None)
    serves = routing.routes_to(number) or (routing.follows_latest and number == newest)
    serves = serves and watch.foundry.status(number) is not Status.FAILED
    moved = watch.moved
    if serves and (moved is None or _was_told(watch, moved.at, PROCESS.get().looked_at)):
        watch.broken(f"version {number} was deleted while it served")
    named = [good.version for good in (release.last_good, release.previous_good) if good]
    for kept in (
        release.routing_at_start,
        release.expected_routing,
        release.pending_write.routing if release.pending_write else None,
    ):
        named += [rule.version for rule in kept.rules] if kept else []
    if number in named or (release.is_open and release.candidate == number and not release.is_duplicate):
        watch.broken(f"version {number} was deleted, which the release record names")


def one_version_each(watch: Watch, metadata: Mapping[str, str]) -> None:
    """At most one living version for each fingerprint."""
    ours = metadata[FINGERPRINT]
    for number, version in watch.foundry.agents[AGENT].versions.items() if AGENT in watch.foundry.agents else ():
        living = watch.foundry.status(number) in (Status.CREATING, Status.ACTIVE)
        if living and version.metadata.get(FINGERPRINT) == ours:
            watch.broken(f"a second version was made for the fingerprint of version {number}")
