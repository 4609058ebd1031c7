"""Which versions of an agent may go, and why each other one stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import re2

from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT, TAG
from core.model import UNKNOWN_TIME, Agent, Routing, Status, Version, is_version_number
from core.reasons import Reason
from core.state.release import ReleaseState

NOTHING: Mapping[str, Reason] = {}
NEAR_LIMIT_SHARE = 0.8
"""Share of ``limit`` above which what is only kept for now gives way."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A version that stays."""

    version: Version
    reason: Reason


@dataclass(frozen=True, slots=True)
class Delete:
    """A version that goes."""

    version: Version
    reason: Reason


PruneDecision = Keep | Delete


def near_limit(count: int, keep: KeepSpec) -> bool:
    """True where so many versions are more than 80 % of what the agent may have."""
    return count > int(keep.limit * NEAR_LIMIT_SHARE)


def plan_prune(
    versions: Iterable[Version],
    routing: Routing,
    release: ReleaseState,
    keep: KeepSpec,
    now: datetime,
    stayed: Mapping[str, Reason] = NOTHING,
) -> tuple[PruneDecision, ...]:
    """One line and one reason for every version, oldest first; the order of the input does not matter.

    ``stayed``: versions that could not be deleted just now, so that others give way in their place.
    """
    ordered = sorted(versions, key=_age_order)
    hard = {**stayed, **_needed(ordered, routing, release, keep)}
    soft = {version.number: why for version in ordered if (why := _kept_for_now(version, keep, now)) is not None}
    free = [version for version in ordered if version.number not in hard]
    stale = [version for version in free if version.number not in soft]
    crowd = max(0, len(ordered) - len(stale) - int(keep.limit * NEAR_LIMIT_SHARE))
    giving_way = [version for version in free if version.number in soft][:crowd]
    going = {version.number for version in sorted([*stale, *giving_way], key=_age_order)[: keep.max_deletes]}

    def line(version: Version) -> PruneDecision:
        if version.number in hard:
            return Keep(version, hard[version.number])
        if version.number in going:
            return Delete(version, _why(version))
        return Keep(version, soft.get(version.number, Reason.KEPT_FOR_NEXT_RUN))

    return tuple(map(line, ordered))


def recheck(
    line: Delete, agent: Agent | None, found: Version, release: ReleaseState, keep: KeepSpec, now: datetime
) -> PruneDecision:
    """The line once more, with the agent and the version as just read: lists lie, and people move traffic."""
    if agent is None or agent.live == found.number or agent.routing.routes_to(found.number):
        return Keep(found, Reason.KEPT_LIVE)
    if found.number in _named(release):
        return Keep(found, Reason.KEPT_IN_RELEASE)
    why = _by_itself(found, keep)
    if why is None and found.status is not line.version.status:
        # the list said otherwise: what was planned was planned for another version than this one
        why = Reason.KEPT_UNSETTLED if found.status is Status.ACTIVE else _kept_for_now(found, keep, now)
    return Keep(found, why) if why else Delete(found, _why(found))


def version_number(version: Version) -> int:
    """The version's number; -1 for a name that is none, which is never ours to delete."""
    return int(version.number) if is_version_number(version.number) else -1


def _why(version: Version) -> Reason:
    return Reason.PRUNED_FAILED if version.status is Status.FAILED else Reason.PRUNED_STALE


def _age_order(version: Version) -> tuple[int, datetime, str]:
    return (version_number(version), version.created_at, version.number)


def _needed(ordered: list[Version], routing: Routing, release: ReleaseState, keep: KeepSpec) -> dict[str, Reason]:
    """Version number -> why it must never be deleted; the first reason that holds is told."""
    reasons: dict[str, Reason] = {}
    for found, why in _needs(ordered, routing, release, keep):
        reasons.setdefault(found, why)
    return reasons


def _needs(
    ordered: list[Version], routing: Routing, release: ReleaseState, keep: KeepSpec
) -> Iterator[tuple[str, Reason]]:
    numbered = [version for version in ordered if version_number(version) >= 0]
    yield from ((rule.version, Reason.KEPT_LIVE) for rule in routing.rules)
    if routing.follows_latest and numbered:
        yield numbered[-1].number, Reason.KEPT_LIVE
    yield from ((named, Reason.KEPT_IN_RELEASE) for named in _named(release))
    yield from ((version.number, why) for version in ordered if (why := _by_itself(version, keep)) is not None)
    yield from ((version.number, Reason.KEPT_RECENT) for version in _recent(numbered, routing, keep))
    if numbered and not any(routing.routes_to(version.number) for version in numbered):
        yield numbered[-1].number, Reason.KEPT_LAST  # the traffic goes nowhere: something must be left to send it to


def _by_itself(version: Version, keep: KeepSpec) -> Reason | None:
    if not version.is_release:
        return Reason.KEPT_DRAFT
    if version.status in (Status.CREATING, Status.DELETING, Status.DELETED, Status.UNKNOWN):
        return Reason.KEPT_UNSETTLED
    if version.created_at == UNKNOWN_TIME:
        return Reason.KEPT_UNDATED
    return Reason.KEPT_FOREIGN if keep.foreign and FINGERPRINT not in version.metadata else None


def _named(release: ReleaseState) -> Iterator[str]:
    """The versions that the release record names: candidate, previous live, last good, what is being done."""
    if release.candidate and release.is_open:
        yield release.candidate
    yield from (good.version for good in (release.last_good, release.previous_good) if good)
    for routing in (
        release.routing_at_start,
        release.expected_routing,
        release.pending_write.routing if release.pending_write else None,
    ):
        yield from (rule.version for rule in routing.rules) if routing else ()


def _recent(numbered: list[Version], routing: Routing, keep: KeepSpec) -> list[Version]:
    """The ``newest`` versions behind the live one that could serve again."""
    pinned = [int(rule.version) for rule in routing.rules if rule.version.isdecimal()]
    live = max(pinned) if pinned and not routing.follows_latest else version_number(numbered[-1]) if numbered else 0
    behind = [version for version in numbered if version_number(version) < live and version.status is Status.ACTIVE]
    return behind[-keep.newest :] if keep.newest else []


def _kept_for_now(version: Version, keep: KeepSpec, now: datetime) -> Reason | None:
    age = now - version.created_at
    if age < (keep.failed if version.status is Status.FAILED else keep.min_age):
        return Reason.KEPT_YOUNG
    if any(re2.search(pattern, version.metadata.get(TAG, "")) for pattern in keep.tags):
        return Reason.KEPT_TAGGED
    return None
