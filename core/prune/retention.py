"""Decides which versions of an agent pruning deletes, and why each other version stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT, TAG, push_of_version
from core.image_manifest import RegistryTag
from core.model import UNKNOWN_TIME, Agent, Routing, Status, Version, is_version_number
from core.reasons import Reason
from core.state.desired import KeptTag
from core.state.release import ReleaseState

PRUNED = frozenset({Reason.PRUNED_STALE, Reason.PRUNED_FAILED})
"""The reasons of a version that was deleted."""
NEAR_LIMIT_SHARE = 0.8
"""Share of ``limit`` above which ``min_age``, ``failed`` and ``tags`` no longer keep versions."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A version that stays."""

    version: Version
    reason: Reason


@dataclass(frozen=True, slots=True)
class Delete:
    """A version to delete."""

    version: Version
    reason: Reason


PruneDecision = Keep | Delete


def tagged_digests(keep: KeepSpec, known: Iterable[KeptTag], tags: Iterable[RegistryTag]) -> frozenset[str]:
    """The digests with a tag of ``keep.tags``: of the events that came, and of the registry as it is."""
    of_events = {item.digest for item in known if keep.keeps_tag(item.tag)}
    return frozenset(of_events | {item.digest for item in tags if keep.keeps_tag(item.tag)})


def near_limit(count: int, keep: KeepSpec) -> bool:
    """True if the agent has more than 80 % of the versions that it may have."""
    return count > int(keep.limit * NEAR_LIMIT_SHARE)


def plan_prune(
    versions: Iterable[Version],
    routing: Routing,
    release: ReleaseState,
    keep: KeepSpec,
    now: datetime,
    not_deleted: Mapping[str, Reason] | None = None,
    tagged: Collection[str] = (),
) -> tuple[PruneDecision, ...]:
    """A decision for every version, oldest first; the order of the input does not matter.

    ``not_deleted``: versions that could not be deleted just now, so that others are deleted instead. ``tagged``: the
    digests that have, or had, a tag of ``keep.tags`` beside the one that their version was made for.
    """
    ordered = sorted(versions, key=_age_order)
    needs = [*_needs(ordered, routing, release, keep), *(not_deleted or {}).items()]
    needed = dict(reversed(needs))  # the first reason counts
    free = [version for version in ordered if version.number not in needed]
    kept = {version.number: reason for version in free if (reason := _kept_by_settings(version, keep, now, tagged))}
    stale = [version for version in free if version.number not in kept]
    excess = max(0, len(ordered) - len(stale) - int(keep.limit * NEAR_LIMIT_SHARE))
    early = [version for version in free if version.number in kept][:excess]
    deleted = {version.number for version in sorted([*stale, *early], key=_age_order)[: keep.max_deletes]}

    def decide(version: Version) -> PruneDecision:
        if version.number in needed:
            return Keep(version, needed[version.number])
        if version.number in deleted:
            return Delete(version, _delete_reason(version))
        return Keep(version, kept.get(version.number, Reason.KEPT_FOR_NEXT_RUN))

    return tuple(map(decide, ordered))


def recheck(
    planned: Delete, agent: Agent | None, version: Version, release: ReleaseState, keep: KeepSpec, now: datetime
) -> PruneDecision:
    """The decision again, from agent and version as just read: lists are unreliable, and people move traffic."""
    if agent is None or agent.live == version.number or agent.routing.routes_to(version.number):
        return Keep(version, Reason.KEPT_LIVE)
    if version.number in _in_release(release):
        return Keep(version, Reason.KEPT_IN_RELEASE)
    reason = _kept_always(version, keep)
    if reason is None and version.status is not planned.version.status:  # the list had another status, so plan again
        reason = Reason.KEPT_UNSETTLED if version.status is Status.ACTIVE else _kept_by_settings(version, keep, now)
    return Keep(version, reason) if reason else Delete(version, _delete_reason(version))


def version_number(version: Version) -> int:
    """The version's number; -1 for a name that is not a number, which Slipway never deletes."""
    return int(version.number) if is_version_number(version.number) else -1


def _delete_reason(version: Version) -> Reason:
    return Reason.PRUNED_FAILED if version.status is Status.FAILED else Reason.PRUNED_STALE


def _age_order(version: Version) -> tuple[int, datetime, str]:
    return (version_number(version), version.created_at, version.number)


def _needs(
    ordered: list[Version], routing: Routing, release: ReleaseState, keep: KeepSpec
) -> Iterator[tuple[str, Reason]]:
    """Version numbers with each reason never to delete them."""
    numbered = [version for version in ordered if version_number(version) >= 0]
    yield from ((rule.version, Reason.KEPT_LIVE) for rule in routing.rules)
    if routing.follows_latest and numbered:
        yield numbered[-1].number, Reason.KEPT_LIVE
    in_release = list(_in_release(release))
    yield from ((number, Reason.KEPT_IN_RELEASE) for number in in_release)
    yield from ((version.number, reason) for version in ordered if (reason := _kept_always(version, keep)) is not None)
    others = [item for item in numbered if not routing.routes_to(item.number) and item.number not in in_release]
    if routing.follows_latest:
        others = [version for version in others if version is not numbered[-1]]
    yield from ((version.number, Reason.KEPT_RECENT) for version in _recent(others, keep))
    if numbered and not any(routing.routes_to(version.number) for version in numbered):
        yield numbered[-1].number, Reason.KEPT_LAST  # one version must be left to send traffic to


def _kept_always(version: Version, keep: KeepSpec) -> Reason | None:
    if not version.is_release:
        return Reason.KEPT_DRAFT
    if version.status in (Status.CREATING, Status.DELETING, Status.DELETED, Status.UNKNOWN):
        return Reason.KEPT_UNSETTLED
    if version.created_at == UNKNOWN_TIME:
        return Reason.KEPT_UNDATED
    return Reason.KEPT_FOREIGN if keep.foreign and FINGERPRINT not in version.metadata else None


def _in_release(release: ReleaseState) -> Iterator[str]:
    """The versions that the release state names: candidate, good versions, and those of routings and of a write."""
    if release.candidate and release.is_open:
        yield release.candidate
    yield from (good.version for good in (release.last_good, release.previous_good) if good)
    written = release.pending_write.routing if release.pending_write else None
    for routing in (release.routing_at_start, release.expected_routing, written):
        yield from (rule.version for rule in routing.rules) if routing else ()


def _recent(others: list[Version], keep: KeepSpec) -> list[Version]:
    """The ``newest`` active versions by number, whichever serves: live and previous versions come on top."""
    active = [version for version in others if version.status is Status.ACTIVE]
    return active[-keep.newest :] if keep.newest else []


def _kept_by_settings(version: Version, keep: KeepSpec, now: datetime, tagged: Collection[str] = ()) -> Reason | None:
    if now - version.created_at < (keep.failed if version.status is Status.FAILED else keep.min_age):
        return Reason.KEPT_YOUNG
    push = push_of_version(version)
    if keep.keeps_tag(version.metadata.get(TAG, "")) or (push is not None and push.digest in tagged):
        return Reason.KEPT_TAGGED
    return None
