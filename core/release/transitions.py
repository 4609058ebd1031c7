"""How each step changes the release record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.definition import ResolvedDefinition
from core.image_manifest import ImageFacts
from core.model import Push, Routing, Version
from core.reasons import Reason
from core.release.inputs import MENDED_BY_A_SECRET, push_to_run
from core.state.desired import DesiredState, Hold
from core.state.release import (
    MAX_HISTORY_ENTRIES,
    MAX_REMEMBERED_IMAGES,
    GoodVersion,
    HistoryEntry,
    PendingWrite,
    Phase,
    ReleaseState,
    WriteKind,
)

HELD_BY_SLIPWAY = "slipway"
"""Who set a hold that no person set."""


def started(
    release: ReleaseState,
    generation: int,
    push: Push | None,
    resolved: ResolvedDefinition,
    routing: Routing | None,
    now: datetime,
) -> ReleaseState:
    """Take up what a generation wants; a candidate of the same fingerprint is kept by the caller's leave alone."""
    same = resolved.fingerprint == release.fingerprint
    return replace(
        release if not release.is_open else _remembered(release, Reason.SUPERSEDED, now),
        observed_generation=generation,
        push=push,
        fingerprint=resolved.fingerprint,
        secrets=resolved.secrets,
        image=resolved.definition.image,
        image_facts=_known(release, push, resolved),
        variables=frozenset(resolved.definition.environment),
        phase=Phase.STARTED,
        reason="",
        detail="",
        started_at=now,
        candidate=release.candidate if same else None,
        is_duplicate=release.is_duplicate and same,
        deleted_duplicate=release.deleted_duplicate if same else None,
        routing_at_start=routing,
        expected_routing=routing,
        routed_at=release.routed_at
        if routing == release.expected_routing
        else None,  # a pin of just now may not show yet
        pending_write=None,
        supersede_count=release.supersede_count + 1 if release.is_open else 0,
        create_count=release.create_count if same else 0,
    )


def without_candidate(release: ReleaseState) -> ReleaseState:
    """Forget a candidate that is of no use any more."""
    return replace(release, candidate=None, is_duplicate=False)


def writing(
    release: ReleaseState, act: WriteKind, now: datetime, *, to: Routing | None = None, highest: int = 0
) -> ReleaseState:
    """What is about to be done, so that whoever follows a crash knows where to look."""
    return replace(release, pending_write=PendingWrite(act, now, to, highest))


def write_not_applied(release: ReleaseState) -> ReleaseState:
    """The act that was begun did not take effect."""
    return replace(release, pending_write=None)


def has_candidate(release: ReleaseState, version: Version, *, highest: int = 0) -> ReleaseState:
    """The receipt of a create, or a version found that has the fingerprint."""
    return replace(
        release,
        pending_write=None,
        candidate=version.number,
        is_duplicate=int(version.number) <= highest,
        created_at=_born(release, version),
        create_count=release.create_count + 1,
    )


def duplicate_deleted(release: ReleaseState) -> ReleaseState:
    """The failed twin is gone."""
    return replace(without_candidate(release), deleted_duplicate=release.candidate)


def confirmed(release: ReleaseState) -> ReleaseState:
    """The candidate is what was meant."""
    return replace(release, phase=Phase.CONFIRMED)


def verified(release: ReleaseState) -> ReleaseState:
    """The candidate answered as it must."""
    return replace(release, phase=Phase.VERIFIED)


def held(release: ReleaseState, reason: Reason, detail: str, hold_for: timedelta, now: datetime) -> ReleaseState:
    """The release under way must not be tried again; its image neither, unless that image is also the good one's."""
    digest = release.push.digest if release.push else ""
    good = release.last_good.push.digest if release.last_good else ""
    hold = Hold(
        release.fingerprint, digest if digest != good else "", reason, detail, now, now + hold_for, HELD_BY_SLIPWAY
    )
    others = (one for one in release.holds if one.fingerprint != hold.fingerprint and (one.until or now) >= now)
    return replace(release, holds=(*others, hold), detail=detail)


def routed(release: ReleaseState, routing: Routing, act: WriteKind, at: datetime) -> ReleaseState:
    """A selector change took effect."""
    stage = {WriteKind.MOVE_TRAFFIC: Phase.TRAFFIC_MOVED, WriteKind.ROLL_BACK: Phase.ROLLED_BACK}.get(
        act, release.phase
    )
    return replace(release, pending_write=None, expected_routing=routing, routed_at=at, phase=stage)


def ended(release: ReleaseState, reason: Reason, now: datetime, detail: str = "") -> ReleaseState:
    """The release is over."""
    return replace(
        _remembered(release, reason, now), phase=Phase.ENDED, reason=reason, detail=detail, supersede_count=0
    )


def answered_without_release(
    release: ReleaseState, desired: DesiredState, reason: Reason, now: datetime, detail: str = ""
) -> ReleaseState:
    """A newer wish is answered without anything to release; a release under way is over too.

    What a secret stopped is remembered by the push that it was wanted for: that is the one to go on with.
    """
    push = push_to_run(desired, release, now) if reason in MENDED_BY_A_SECRET else desired.push
    before = _remembered(release, Reason.SUPERSEDED, now) if release.is_open else release
    taken = replace(
        before,
        observed_generation=desired.generation,
        push=push,
        pending_write=None,
        candidate=None,
        is_duplicate=False,
    )
    return ended(taken, reason, now, detail)


def went_live(release: ReleaseState, identity: str | None, now: datetime) -> ReleaseState:
    """The candidate serves and passed what was asked of it."""
    if release.push is None or release.candidate is None:  # pragma: no cover - a promoted release has both
        return ended(release, Reason.LIVE, now)
    good = GoodVersion(release.push, release.fingerprint, release.candidate)
    kept = {number: at for number, at in release.created_at.items() if number == release.candidate}
    again = release.last_good is not None and release.last_good.version == good.version
    previous = release.previous_good if again else release.last_good
    return replace(
        ended(release, Reason.LIVE, now),
        last_good=good,
        previous_good=previous,
        created_at=kept,
        identity=identity,
        reported_drift=(),
    )


def agent_deleted(release: ReleaseState, desired: DesiredState, now: datetime) -> ReleaseState:
    """The agent was deleted: its numbers mean nothing any more, and only a newer word of people's begins again."""
    seen = release.observed_generation if desired.user_generation > release.observed_generation else desired.generation
    gone = ended(replace(release, pending_write=None), Reason.AGENT_DELETED, now)
    return replace(
        gone,
        observed_generation=seen,
        candidate=None,
        is_duplicate=False,
        deleted_duplicate=None,
        routing_at_start=None,
        expected_routing=None,
        routed_at=None,
        last_good=None,
        previous_good=None,
        created_at={},
        identity=None,
        reported_drift=(),
    )


def _known(release: ReleaseState, push: Push | None, resolved: ResolvedDefinition) -> Mapping[str, ImageFacts]:
    """What is known of images, the newest last."""
    known = dict(release.image_facts)
    if push is not None and resolved.image is not None:
        known.pop(push.digest, None)
        known[push.digest] = resolved.image
    return dict(list(known.items())[-MAX_REMEMBERED_IMAGES:])


def _born(release: ReleaseState, version: Version) -> Mapping[str, datetime]:
    return {**release.created_at, version.number: version.created_at}


def _remembered(release: ReleaseState, reason: Reason, now: datetime) -> ReleaseState:
    digest = release.push.digest if release.push else ""
    line = HistoryEntry(now, reason, digest, release.candidate)
    return replace(release, history=(*release.history, line)[-MAX_HISTORY_ENTRIES:])
