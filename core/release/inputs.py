"""What a release decision is made from: the two states, and what this pass of the loop has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import (
    FINGERPRINT,
    ResolvedDefinition,
    UnresolvedDefinition,
    differing_parts,
    existing_definition,
    push_of_version,
)
from core.image_manifest import RegistryTag
from core.model import Agent, Push, Routing, Status, Version
from core.prune.retention import PRUNED
from core.reasons import Reason
from core.release.actions import NeedsRead, Read
from core.signatures import SignatureCheck
from core.state.desired import DesiredState, Hold
from core.state.holds import active, of_digest, of_fingerprint
from core.state.release import DeletedVersion, ReleaseState
from core.state.rollbacks import RolledBack, describe, rolled_back
from core.timing import CONSISTENCY_LAG
from core.waits import newest_old_enough, quiet_until

FIXED_BY_A_SECRET = frozenset(
    {
        Reason.SECRET_MISSING,
        Reason.SECRET_DISABLED,
        Reason.SECRET_EXPIRED,
        Reason.SECRET_NOT_YET_VALID,
        Reason.ENV_AMBIGUOUS,
        Reason.ENV_CLASH,
        Reason.ENV_NAME_INVALID,
    }
)
"""A new version of a secret releases the push again that ended with one of these."""
OF_PUSH_TO_RUN = FIXED_BY_A_SECRET | {Reason.ALREADY_LIVE, Reason.SECRET_LAGS}
"""These are said of the push that should run, which is the last good one where the desired one did not go live."""

Resolution = ResolvedDefinition | UnresolvedDefinition
NOT_READ = UnresolvedDefinition(Reason.NO_PUSH_YET, "not read")


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read; ``reads`` says which fields count, since None and empty are answers too."""

    reads: frozenset[Read] = frozenset()
    agent: Agent | None = None
    version_list: tuple[Version, ...] = ()
    desired_definition: Resolution = NOT_READ
    release_definition: Resolution = NOT_READ
    versions: Mapping[str, Version | None] = field(default_factory=dict)
    """Single versions that were read; None for one that does not exist."""
    prune_results: Mapping[str, Reason] = field(default_factory=dict)
    """Versions that this release tried to delete -> the result."""
    recent_tags: tuple[RegistryTag, ...] | None = None
    """The repository's newest tags, and the desired one; None without an answer, or where they do not count."""

    all_tags: tuple[RegistryTag, ...] | None = None
    """Every tag of the repositories that the versions came from; None where the registry refuses to list them."""
    signatures: Mapping[str, SignatureCheck] = field(default_factory=dict)
    """Digest -> whether it is signed as agents.yaml asks."""

    def with_version(self, number: str, version: Version | None) -> Observed:
        """The same with one version as just read."""
        return replace(self, versions={**self.versions, number: version})

    def without_version(self, number: str) -> Observed:
        """The same with one version to be read again."""
        return replace(self, versions={key: version for key, version in self.versions.items() if key != number})

    def with_signature(self, digest: str, check: SignatureCheck) -> Observed:
        """The same with the signatures of one image as just verified."""
        return replace(self, signatures={**self.signatures, digest: check})

    def with_agent(self, agent: Agent | None) -> Observed:
        """The same with the agent as just read."""
        return replace(self, reads=self.reads | {Read.AGENT}, agent=agent)

    def with_routing(self, routing: Routing | None) -> Observed:
        """The same with the routing that Slipway has just set; without an agent it is to be read again."""
        if self.agent is None or routing is None:
            return self.without(Read.AGENT)
        return self.with_agent(replace(self.agent, routing=routing))

    def only(self, *reads: Read) -> Observed:
        """These definitions and tags alone, and signatures: agent and versions are to be read again."""
        return Observed(
            reads=self.reads & set(reads),
            desired_definition=self.desired_definition,
            release_definition=self.release_definition,
            recent_tags=self.recent_tags,
            signatures=self.signatures,
        )

    def without(self, *reads: Read) -> Observed:
        """The same with something to be read again."""
        return replace(self, reads=self.reads - set(reads))


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """The input of ``next_action``. A rule calls ``needs`` before it uses something that is read from outside."""

    desired: DesiredState
    release: ReleaseState
    observed: Observed = field(default_factory=Observed)

    def needs(self, *reads: Read) -> NeedsRead | None:
        """What of this is still to be read; an agent that does not exist has no versions to list."""
        missing = set(reads) - self.observed.reads
        if Read.AGENT in self.observed.reads and self.observed.agent is None:
            missing -= {Read.VERSION_LIST}
        return NeedsRead(frozenset(missing)) if missing else None

    def needs_version(self, number: str) -> NeedsRead | None:
        """The read of a single version, where it is still to be done: its status in lists is not reliable."""
        return None if number in self.observed.versions else NeedsRead(version=number)

    def version(self, number: str) -> Version | None:
        """A version as its own read returned it."""
        return self.observed.versions.get(number)

    @property
    def agent(self) -> Agent | None:
        """The agent, or None where it does not exist."""
        return self.observed.agent

    @property
    def version_list(self) -> tuple[Version, ...]:
        """Every version but drafts, newest first; lists lag, so what was just deleted is left out."""
        gone = {number for number, reason in self.observed.prune_results.items() if reason in PRUNED}
        left = (item for item in self.observed.version_list if item.is_release and item.number not in gone)
        return tuple(sorted(left, key=lambda version: int(version.number), reverse=True))

    @property
    def has_pending(self) -> bool:
        """True while no release has answered the newest change."""
        return self.desired.generation > self.release.observed_generation

    @property
    def has_pending_user_change(self) -> bool:
        """True while no release has answered the newest push, agents.yaml change or operator's command."""
        return self.desired.user_generation > self.release.observed_generation

    @property
    def routing_changed_outside(self) -> bool:
        """True when the routing is not as Slipway set or accepted it."""
        expected, agent = self.release.expected_routing, self.agent
        if agent is None:
            return False
        if expected is None:  # an agent that Slipway created follows the latest version until a release pins it
            return bool(self.release.created_at) and not agent.routing.follows_latest
        return agent.routing != expected

    def hold_on(self, version: Version, now: datetime) -> Hold | None:
        """The hold on a version: on its definition, or on its image."""
        held = active(self.desired, self.release, now)
        push = push_of_version(version, self.release.image_facts)
        by_fingerprint = of_fingerprint(held, existing_definition(version).fingerprint)
        return by_fingerprint or of_digest(held, push.digest if push else "")

    def is_for_this_release(self, version: Version) -> bool:
        """True when the version's metadata says that it was made for the release under way."""
        same = version.metadata.get(FINGERPRINT) == self.release.fingerprint
        return same and DeletedVersion(version.number, version.created_at) != self.release.deleted_duplicate


def is_as_asked_for(inputs: DecisionInput, version: Version) -> bool:
    """True where a version is what the release asks for.

    Without a definition to compare, a version counts that Slipway noted when it created it.
    """
    definition = inputs.observed.release_definition
    if not isinstance(definition, ResolvedDefinition):
        return version.number in inputs.release.fingerprints
    return not differing_parts(version, definition.definition)


def rollback_note(inputs: DecisionInput) -> str:
    """What people must know about a release that goes live because of a rollback."""
    rollback, release = inputs.desired.rollback, inputs.release
    if rollback is None or rollback.at is None or release.rollback_at != rollback.at:
        return ""
    return f"rolled back {describe(rollback)}"


def is_new(created_at: datetime | None, now: datetime) -> bool:
    """True for a version that was created so recently that reads may not show it yet."""
    return created_at is not None and now - created_at < CONSISTENCY_LAG


def rollback_version(desired: DesiredState) -> str | None:
    """The version that an operator wants back, until something newer is desired."""
    rollback = desired.rollback
    return rollback.version if rollback is not None and rollback.generation == desired.generation else None


def is_rollback_target(desired: DesiredState, version: Version | None) -> bool:
    """True for the version that the operator named: it exists, may serve, and is not one of a recreated agent."""
    rollback = desired.rollback
    return (
        may_serve(version)
        and rollback is not None
        and version is not None
        and (rollback.created_at in (None, version.created_at))
    )


def release_expected(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> bool:
    """True where the rules will surely need agent, version list and definition.

    False while a write may be in flight: what is read then may be older than the write.
    """
    waits = quiet_until(desired, release.observed_generation, spec, now) or newest_old_enough(desired, spec, now)
    delayed = release.pending_write is not None or desired.pause is not None or waits is not None
    return desired.push is not None and desired.generation > release.observed_generation and not delayed


def push_to_run(desired: DesiredState, release: ReleaseState, now: datetime) -> Push | None:
    """The push of what should run; None where its image is held."""
    source = _source_to_run(desired, release, now)
    push = source.push if isinstance(source, RolledBack) else source
    return push if push is None or of_digest(active(desired, release, now), push.digest) is None else None


def version_to_copy(desired: DesiredState, release: ReleaseState, now: datetime) -> RolledBack | None:
    """The version whose definition should run with today's secrets; None where agents.yaml gives the definition."""
    source = _source_to_run(desired, release, now)
    return source if isinstance(source, RolledBack) else None


def _source_to_run(desired: DesiredState, release: ReleaseState, now: datetime) -> Push | RolledBack | None:
    """The desired push, or what a rollback gives; the last good one while the desired one is held, or did not go live.

    So a rotated secret reaches the live version, whatever became of the last push.
    """
    if (back := rolled_back(desired, release)) is not None:
        return back
    push, good = desired.push, release.last_good
    if push is None or good is None:
        return push
    waits_for_a_secret = release.reason in FIXED_BY_A_SECRET and push.is_same(release.push)
    unanswered = release.is_open or desired.user_generation > release.observed_generation or waits_for_a_secret
    if unanswered and of_digest(active(desired, release, now), push.digest) is None:
        return push
    return RolledBack(good.version, good.push, good.rollback_at) if good.rollback_at else good.push


def is_gone(version: Version | None) -> bool:
    """True for a version that does not exist any more, or soon will not."""
    return version is None or version.status in (Status.DELETING, Status.DELETED)


def may_serve(version: Version | None) -> bool:
    """True for a version that can take traffic, or may soon."""
    return version is not None and version.status in (Status.CREATING, Status.ACTIVE)
