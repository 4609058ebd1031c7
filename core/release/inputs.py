"""What a release decision is made from: the two records and as much of Foundry as was read this turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.definition import FINGERPRINT, ResolvedDefinition, UnresolvedDefinition
from core.model import Agent, Push, Routing, Status, Version
from core.reasons import Reason
from core.release.actions import Fact, NeedsRead
from core.state.desired import DesiredState
from core.state.holds import active, of_digest
from core.state.release import ReleaseState

PRUNED = frozenset({Reason.PRUNED_STALE, Reason.PRUNED_FAILED})
MENDED_BY_A_SECRET = frozenset(
    {
        Reason.SECRET_MISSING,
        Reason.SECRET_DISABLED,
        Reason.SECRET_EXPIRED,
        Reason.SECRET_NOT_YET_VALID,
        Reason.ENV_AMBIGUOUS,
        Reason.ENV_CLASH,
    }
)
"""Ends after which a new version of a secret releases the very push that ended so, which may be the good one's."""


class NeedsReadError(Exception):
    """A row asked for a fact that nobody read this turn."""

    def __init__(self, fact: Fact, number: str = "") -> None:
        super().__init__(fact, number)
        self.action = NeedsRead(fact, number)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read; a key that is missing was not read, which is something else than a None that was."""

    agent: tuple[Agent | None] | None = None
    version_list: tuple[Version, ...] | None = None
    versions: Mapping[str, Version | None] = field(default_factory=dict)
    desired_definition: ResolvedDefinition | UnresolvedDefinition | None = None
    release_definition: ResolvedDefinition | UnresolvedDefinition | None = None
    pruned: Mapping[str, Reason] = field(default_factory=dict)
    """Versions that this turn tried to delete -> what became of them."""

    def with_version(self, number: str, version: Version | None) -> Observed:
        """The same facts with one version as just read."""
        return replace(self, versions={**self.versions, number: version})

    def with_routing(self, routing: Routing | None) -> Observed:
        """The same facts with the routing that we just gave the agent."""
        agent = self.agent[0] if self.agent else None
        return replace(self, agent=(replace(agent, routing=routing),) if agent and routing else None)

    def without_version(self, number: str) -> Observed:
        """The same facts with one version to be read again."""
        return replace(self, versions={key: version for key, version in self.versions.items() if key != number})


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """One turn's view; reading a property that is not in it raises Unread, which next_step turns into a Look."""

    desired: DesiredState
    release: ReleaseState
    observed: Observed = field(default_factory=Observed)

    @property
    def agent(self) -> Agent | None:
        """The agent, or None where it does not exist."""
        if self.observed.agent is None:
            raise NeedsReadError("agent")
        return self.observed.agent[0]

    @property
    def version_list(self) -> tuple[Version, ...]:
        """Every version but drafts, newest first; their status is not to be trusted (docs/reference/wire.md)."""
        if self.agent is None:
            return ()
        if self.observed.version_list is None:
            raise NeedsReadError("versions")
        gone = {number for number, reason in self.observed.pruned.items() if reason in PRUNED}  # lists lag
        left = (version for version in self.observed.version_list if version.is_release and version.number not in gone)
        return tuple(sorted(left, key=lambda version: int(version.number), reverse=True))

    @property
    def desired_definition(self) -> ResolvedDefinition | UnresolvedDefinition:
        """What the desired push comes to with today's rule and secrets."""
        if self.observed.desired_definition is None:
            raise NeedsReadError("wish")
        return self.observed.desired_definition

    @property
    def release_definition(self) -> ResolvedDefinition | UnresolvedDefinition:
        """What the push under way comes to, with the secrets that it was resolved to."""
        if self.observed.release_definition is None:
            raise NeedsReadError("resolved")
        return self.observed.release_definition

    def version(self, number: str) -> Version | None:
        """One version as its own read tells it."""
        if number not in self.observed.versions:
            raise NeedsReadError("version", number)
        return self.observed.versions[number]

    @property
    def has_pending(self) -> bool:
        """True while something is wanted that no release answered yet."""
        return self.desired.generation > self.release.observed_generation

    @property
    def has_pending_user_change(self) -> bool:
        """True while the newest word of a person, or a push, is unanswered."""
        return self.desired.user_generation > self.release.observed_generation

    @property
    def routing_changed_outside(self) -> bool:
        """True when the routing is not as we left or accepted it."""
        noted, agent = self.release.expected_routing, self.agent
        return noted is not None and agent is not None and agent.routing != noted

    def is_for_this_release(self, version: Version) -> bool:
        """True when the version says that it was made for the release under way."""
        ours = version.metadata.get(FINGERPRINT) == self.release.fingerprint
        return ours and version.number != self.release.deleted_duplicate


def rollback_version(desired: DesiredState) -> str | None:
    """The earlier version that is wanted as it is, while nothing newer is."""
    return (
        desired.rollback.version
        if desired.rollback is not None and desired.rollback.generation == desired.generation
        else None
    )


def release_expected(desired: DesiredState, release: ReleaseState, now: datetime) -> bool:
    """True where the rows will surely ask for the agent, its versions and what the wish comes to.

    Not while an act may be in flight: what is read then may be older than what the act made.
    """
    held_up = (
        release.pending_write is not None
        or desired.pause is not None
        or (desired.not_before is not None and now < desired.not_before)
    )
    return desired.push is not None and desired.generation > release.observed_generation and not held_up


def push_to_run(desired: DesiredState, release: ReleaseState, now: datetime) -> Push | None:
    """The desired push; while that is held, or has ended otherwise than live, the push of what is good.

    So a rotation reaches what serves, whatever became of the last push.
    """
    push, good = desired.push, release.last_good.push if release.last_good else None
    if push is not None and of_digest(active(desired, release, now), push.digest) is not None:
        return good
    waits_for_a_secret = release.reason in MENDED_BY_A_SECRET and release.push == push
    unanswered = release.is_open or desired.user_generation > release.observed_generation or waits_for_a_secret
    return push if unanswered or push is None else good or push


def may_serve(version: Version | None) -> bool:
    """True for a version that serves, or may yet."""
    return version is not None and version.status in (Status.CREATING, Status.ACTIVE)
