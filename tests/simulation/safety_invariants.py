"""What must never happen, checked at every write to Foundry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, push_of_version
from core.model import Agent, Definition, Push, Routing, SecretValue, Status, Version
from core.state.desired import Cause, DesiredState, Hold
from core.state.holds import lift_of
from core.state.release import ReleaseState, WriteKind
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import DeleteResult
from tests.simulation.faults import MAX_DELAY, PROCESS
from tests.simulation.foundry import SimulatedFoundry
from tests.simulation.scene import AGENT, SECRET

MAX_ROUTING_AGE = 20.0
"""Seconds that a read of the routing may be old when a write follows it; a late write lands up to MAX_DELAY later."""
MAX_DESIRED_AGE = 60.0
"""Seconds after which a decision must know a change of the desired state: as long as a lease lasts."""
MAX_SKEW = timedelta(seconds=30)
"""By how much the clock of an instance may differ from the real time."""
NO_ROLLBACK = "CHECK_FAILED_NO_ROLLBACK_VERSION"


class InvariantError(AssertionError):
    """An invariant does not hold."""


@dataclass
class ManualRouting:
    """A routing that a person set."""

    at: float
    observed_generation: int
    """The generation that the release had answered then."""
    routing: Routing


@dataclass
class AgentDeletion:
    """A person deleted an agent that Slipway knew."""

    at: float
    observed_generation: int


@dataclass
class StandingRollback:
    """A rollback that neither a newer push nor a person ended."""

    at: float
    generation: int
    definition: tuple[str, str]
    """Digest and WORD of the version that a person rolled back to."""
    newest: Push | None
    """The newest push that was known then."""


@dataclass
class Oracle:
    """What the simulation knows and the handlers do not."""

    foundry: SimulatedFoundry
    state_store: InMemoryStateStore
    key_vault: InMemoryKeyVault
    spec: AgentSpec
    manual_routing: ManualRouting | None = None
    """A person's last routing, until a person restores the one that Slipway had set."""
    routing_was_changed: bool = False
    """Whether a person ever changed the routing."""
    deleted_at: dict[str, float] = field(default_factory=dict)
    """Versions that a person deleted, with the time."""
    agent_deletion: AgentDeletion | None = None
    """The last one."""
    agent_was_deleted: bool = False
    deletion_ended_release: bool = False
    """Whether a release was under way when Slipway last found the agent deleted."""
    rollback: StandingRollback | None = None
    desired_since: list[tuple[float, DesiredState]] = field(default_factory=list)
    """Every desired state with the time of its write."""
    violations: list[str] = field(default_factory=list)
    check_definition: Callable[[Definition], None] = lambda definition: None
    """Called before each create."""

    @property
    def now(self) -> float:
        return self.foundry.clock.monotonic()

    @property
    def release(self) -> ReleaseState:
        return self.state_store.releases[AGENT].state if AGENT in self.state_store.releases else ReleaseState()

    @property
    def desired(self) -> DesiredState:
        return self.state_store.desired.get(AGENT, DesiredState())

    @property
    def standing_routing(self) -> ManualRouting | None:
        """A person's last routing while it is in force; once overwritten it does not count, known or not."""
        agent, manual = self.foundry.agents.get(AGENT), self.manual_routing
        return manual if manual and agent and agent.routing == manual.routing else None

    def fail(self, violation: str) -> None:
        """Raise InvariantError, and keep it for a call whose caller has given up."""
        self.violations.append(violation)
        raise InvariantError(violation)

    def definition_of(self, number: str) -> tuple[str, str] | None:
        """Return digest and WORD of a version; a rotation changes neither."""
        agent = self.foundry.agents.get(AGENT)
        if agent is None or number not in agent.versions:
            return None
        digest = agent.versions[number].image.rpartition("@")[2]
        return digest, self.foundry.environment(AGENT, number)["WORD"]

    def note_desired(self, before: DesiredState, after: DesiredState) -> None:
        """Remember which rollback stands after a change of the desired state."""
        self.desired_since.append((self.now, after))
        requested, standing = after.rollback, self.rollback
        if requested is not None and (before.rollback is None or requested.generation != before.rollback.generation):
            definition = self.definition_of(requested.version)
            newest = after.newest_push or after.push
            self.rollback = definition and StandingRollback(self.now, requested.generation, definition, newest)
        elif standing is not None and after.generation > before.generation:
            push = after.push if after.push != before.push else None
            held = push is not None and push.digest in [hold.digest for hold in after.holds]
            is_newer = push and not held and (standing.newest is None or push.pushed_at > standing.newest.pushed_at)
            is_ended_by_person = after.cause is Cause.PERSON and requested is None
            self.rollback = None if is_newer or is_ended_by_person else standing

    def is_rolled_back(self, desired: DesiredState) -> bool:
        """Whether the release under way is the rollback of this desired state; a later rotation does not end it."""
        return desired.rollback is not None and desired.rollback.generation == self.release.observed_generation

    def recent_desired(self) -> list[DesiredState]:
        """Return every desired state that a decision of this moment may have read."""
        for number in range(len(self.desired_since) - 1, -1, -1):
            if self.desired_since[number][0] <= self.now - MAX_DESIRED_AGE:
                return [desired for _, desired in self.desired_since[number:]]
        return [DesiredState(), *(desired for _, desired in self.desired_since)]


class CheckedFoundry:
    """A Foundry whose every write is checked first."""

    def __init__(self, target: Any, oracle: Oracle) -> None:
        self._target = target
        self._oracle = oracle
        self.after_routing: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def get_agent(self, name: str) -> Agent | None:
        asked_at = self._oracle.now
        agent: Agent | None = await self._target.get_agent(name)
        PROCESS.get().routing_read_at = asked_at - self._oracle.foundry.routing_lag
        return agent

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        _check_create(self._oracle, definition)
        self._oracle.check_definition(definition)
        _check_recreation(self._oracle)
        version: Version = await self._target.create_version(agent, definition, metadata)
        return version

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        _check_routing(self._oracle, to)
        routing: Routing = await self._target.set_routing(agent, to)
        self.after_routing()
        return routing

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        _check_delete(self._oracle, number)
        result: DeleteResult = await self._target.delete_version(agent, number)
        return result


def _check_create(oracle: Oracle, definition: Definition) -> None:
    release = oracle.release
    if release.pending_write is None or release.pending_write.kind is not WriteKind.CREATE:
        oracle.fail("a version was created without a saved intent")
    value, version = definition.environment["KEY"], release.secrets.get(SECRET, "")
    if not isinstance(value, SecretValue) or value.reveal() != oracle.key_vault.value(SECRET, version):
        oracle.fail(f"the secret's value is not the one of version {version}, which the fingerprint names")


def _check_recreation(oracle: Oracle) -> None:
    """Only a push, a deployment or a command creates a deleted agent again."""
    deletion = oracle.agent_deletion
    if deletion is None or AGENT in oracle.foundry.agents or oracle.now - deletion.at < MAX_DESIRED_AGE:
        return
    if oracle.desired.user_generation <= deletion.observed_generation:
        oracle.fail("a deleted agent was created again though nobody asked for it")


def _check_routing(oracle: Oracle, to: Routing) -> None:
    release, process = oracle.release, PROCESS.get()
    version, pending = to.pinned or "", release.pending_write
    if pending is None or pending.routing != to:
        oracle.fail(f"traffic was moved to version {version} without a saved intent")
    deleted_at, status = oracle.deleted_at.get(version), oracle.foundry.status(version)
    if status is not Status.ACTIVE and (deleted_at is None or deleted_at < oracle.now - MAX_DESIRED_AGE):
        oracle.fail(f"traffic was moved to version {version}, which is {status or 'deleted'}")
    manual = oracle.standing_routing
    is_known = manual is not None and _must_know(oracle, manual.at, process.routing_read_at)
    if manual and is_known and not _answers_newer_change(oracle, manual):
        oracle.fail("a person's routing was overwritten without a newer push or command")
    if pending is not None and pending.kind is WriteKind.MOVE_TRAFFIC:
        _check_promotion(oracle, release, version)
    if pending is not None and pending.kind is WriteKind.ROLL_BACK:
        _check_rollback(oracle, release, to)


def _check_rollback(oracle: Oracle, release: ReleaseState, to: Routing) -> None:
    held = [hold.fingerprint for hold in release.holds]
    if release.fingerprint not in held:
        oracle.fail("a version that failed its check was rolled back, but is not held")
    for rule in to.rules:
        if all(is_version_held(oracle, rule.version, desired) for desired in oracle.recent_desired()):
            oracle.fail(f"the traffic was rolled back to version {rule.version}, which is held")


def _answers_newer_change(oracle: Oracle, manual: ManualRouting) -> bool:
    """Whether the release under way answers a push or command that is newer than a person's routing."""
    newest = oracle.release.observed_generation
    return any(manual.observed_generation < desired.user_generation <= newest for _, desired in oracle.desired_since)


def is_version_held(oracle: Oracle, number: str, desired: DesiredState) -> bool:
    """Whether the definition or the image of a version is held."""
    agent = oracle.foundry.agents.get(AGENT)
    version = agent.versions.get(number) if agent else None
    if version is None:
        return False
    return _is_held(oracle, version.metadata.get(FINGERPRINT, ""), push_of_version(version), desired)


def check_rollback_version_is_found(oracle: Oracle, before: ReleaseState, release: ReleaseState) -> None:
    """A release ends without a way back only if no good version can serve."""
    if release.reason != NO_ROLLBACK or before.reason == NO_ROLLBACK or release.candidate is None:
        return
    for good in (before.last_good, before.previous_good):
        if good is None or good.version == release.candidate or good.version in oracle.deleted_at:
            continue
        held = any(is_version_held(oracle, good.version, desired) for desired in oracle.recent_desired())
        if oracle.foundry.status(good.version) is Status.ACTIVE and not held:
            oracle.fail(f"there is no rollback version, though version {good.version} was good, and is active")


def _must_know(oracle: Oracle, at: float, routing_read_at: float) -> bool:
    """Whether a process must know a change of the routing at this time."""
    return at <= routing_read_at or oracle.now - at > MAX_ROUTING_AGE + MAX_DELAY + oracle.foundry.routing_lag


def _check_promotion(oracle: Oracle, release: ReleaseState, version: str) -> None:
    spec = oracle.spec.release
    is_evaluated = spec.evaluate is not None and not any(map(oracle.is_rolled_back, oracle.recent_desired()))
    if (spec.verify or is_evaluated) and version not in oracle.foundry.verified:
        oracle.fail(f"version {version} was promoted, but never gave the expected answer")
    if spec.mode == "notify":
        oracle.fail(f"version {version} was promoted in mode notify")
    _check_window(oracle, release, version)
    _check_user_commands(oracle, release, version)
    _check_standing_rollback(oracle, version)


def _check_window(oracle: Oracle, release: ReleaseState, version: str) -> None:
    """Traffic moves while the window is open, unless a person asked for it."""
    now = oracle.foundry.clock.now()
    opening = oracle.spec.release.opens_at(now - timedelta(seconds=MAX_ROUTING_AGE + MAX_DELAY) - MAX_SKEW)
    if opening is None or opening <= now + MAX_SKEW:
        return
    for desired in oracle.recent_desired():
        approval = desired.approval
        is_approved = approval is not None and (approval.version, approval.fingerprint) == (
            version,
            release.fingerprint,
        )
        is_requested = desired.requested_generation == release.observed_generation
        if oracle.is_rolled_back(desired) or is_requested or is_approved:
            return
    oracle.fail(f"version {version} was promoted outside of its window")


def _check_standing_rollback(oracle: Oracle, version: str) -> None:
    """What a person took back is never live again without a newer push or a person, nor is anything else."""
    standing, definition = oracle.rollback, oracle.definition_of(version)
    if standing is None or definition is None or oracle.now - standing.at <= MAX_DESIRED_AGE:
        return
    if definition != standing.definition:
        oracle.fail(f"version {version} was promoted over a person's rollback: {definition}, not {standing.definition}")


def check_rollback_goes_first(oracle: Oracle, before: ReleaseState, release: ReleaseState) -> None:
    """A rollback under way is superseded by nothing but a newer push or a person."""
    standing = oracle.rollback
    if standing is None or not before.is_open or before.observed_generation != standing.generation:
        return
    if release.is_open and release.observed_generation > before.observed_generation:
        oracle.fail(f"the rollback of generation {standing.generation} was superseded")


def _check_user_commands(oracle: Oracle, release: ReleaseState, version: str) -> None:
    recent = oracle.recent_desired()
    given = [desired.approval for desired in recent if desired.approval]
    approved = [(approval.version, approval.fingerprint, approval.created_at) for approval in given]
    agent = oracle.foundry.agents.get(AGENT)
    named = agent.versions.get(version) if agent else None
    key = (version, release.fingerprint, named.created_at if named else None)
    if oracle.spec.release.mode == "manual" and key not in approved and named:
        oracle.fail(f"version {version} was promoted without approval")
    if all(_is_paused(oracle, desired) for desired in recent):
        oracle.fail(f"version {version} was promoted while the agent was paused")
    if all(_is_held(oracle, release.fingerprint, release.push, desired) for desired in recent):
        oracle.fail(f"version {version} was promoted, but is held")


def _is_paused(oracle: Oracle, desired: DesiredState) -> bool:
    """A rollback is allowed while paused."""
    pause, now = desired.pause, oracle.foundry.clock.now() + MAX_SKEW
    return not oracle.is_rolled_back(desired) and pause is not None and pause.is_active(now)


def _is_held(oracle: Oracle, fingerprint: str, push: Push | None, desired: DesiredState) -> bool:
    now = oracle.foundry.clock.now() + MAX_SKEW
    return any(
        _names(hold, fingerprint, push)
        and (hold.until is None or hold.until > now)
        and lift_of(hold) not in desired.lifted
        for hold in (*oracle.release.holds, *desired.holds)
    )


def _names(hold: Hold, fingerprint: str, push: Push | None) -> bool:
    return bool(hold.fingerprint and hold.fingerprint == fingerprint) or bool(
        hold.digest and push and push.digest == hold.digest
    )


def _check_delete(oracle: Oracle, number: str) -> None:
    """The live version and those that the release state names are never deleted."""
    release, agent = oracle.release, oracle.foundry.agents[AGENT]
    newest = next(reversed(agent.versions), None)
    is_live = agent.routing.routes_to(number) or (agent.routing.follows_latest and number == newest)
    is_live = is_live and oracle.foundry.status(number) is not Status.FAILED
    manual = oracle.manual_routing
    if is_live and (manual is None or _must_know(oracle, manual.at, PROCESS.get().routing_read_at)):
        oracle.fail(f"version {number} was deleted while it was live")
    pending = release.pending_write.routing if release.pending_write else None
    named = [good.version for good in (release.last_good, release.previous_good) if good]
    for routing in (release.routing_at_start, release.expected_routing, pending):
        named += [rule.version for rule in routing.rules] if routing else []
    if number in named or (release.is_open and release.candidate == number and not release.is_duplicate):
        oracle.fail(f"version {number} was deleted, but the release state names it")


def check_one_version_each(oracle: Oracle, metadata: Mapping[str, str]) -> None:
    """A fingerprint has at most one version that is creating or active."""
    versions = oracle.foundry.agents[AGENT].versions if AGENT in oracle.foundry.agents else {}
    for number, version in versions.items():
        exists = oracle.foundry.status(number) in (Status.CREATING, Status.ACTIVE)
        if exists and version.metadata.get(FINGERPRINT) == metadata[FINGERPRINT]:
            oracle.fail(f"a second version was created for the fingerprint of version {number}")
