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

BY_PROOF = "slipway"
"""Who set a hold that no person set."""


def begun(
    record: ReleaseState,
    serial: int,
    push: Push | None,
    resolved: ResolvedDefinition,
    routing: Routing | None,
    now: datetime,
) -> ReleaseState:
    """Take up what a serial wants; a candidate of the same fingerprint is kept by the caller's leave alone."""
    same = resolved.fingerprint == record.fingerprint
    return replace(
        record if not record.open else _remembered(record, Reason.SUPERSEDED, now),
        seen=serial,
        push=push,
        fingerprint=resolved.fingerprint,
        secrets=resolved.secrets,
        image=resolved.definition.image,
        images=_known(record, push, resolved),
        variables=frozenset(resolved.definition.environment),
        stage=Phase.BEGUN,
        reason="",
        detail="",
        begun_at=now,
        candidate=record.candidate if same else None,
        twin=record.twin and same,
        cleared=record.cleared if same else None,
        back=routing,
        selector=routing,
        routed_at=record.routed_at if routing == record.selector else None,  # a pin of just now may not show yet
        doing=None,
        overtaken=record.overtaken + 1 if record.open else 0,
        attempt=record.attempt if same else 0,
    )


def without_candidate(record: ReleaseState) -> ReleaseState:
    """Forget a candidate that is of no use any more."""
    return replace(record, candidate=None, twin=False)


def intending(
    record: ReleaseState, act: WriteKind, now: datetime, *, to: Routing | None = None, highest: int = 0
) -> ReleaseState:
    """What is about to be done, so that whoever follows a crash knows where to look."""
    return replace(record, doing=PendingWrite(act, now, to, highest))


def not_landed(record: ReleaseState) -> ReleaseState:
    """The act that was begun did not take effect."""
    return replace(record, doing=None)


def has_candidate(record: ReleaseState, version: Version, *, highest: int = 0) -> ReleaseState:
    """The receipt of a create, or a version found that has the fingerprint."""
    return replace(
        record,
        doing=None,
        candidate=version.number,
        twin=int(version.number) <= highest,
        born=_born(record, version),
        attempt=record.attempt + 1,
    )


def cleared(record: ReleaseState) -> ReleaseState:
    """The failed twin is gone."""
    return replace(without_candidate(record), cleared=record.candidate)


def confirmed(record: ReleaseState) -> ReleaseState:
    """The candidate is what was meant."""
    return replace(record, stage=Phase.CONFIRMED)


def verified(record: ReleaseState) -> ReleaseState:
    """The candidate answered as it must."""
    return replace(record, stage=Phase.VERIFIED)


def held(record: ReleaseState, reason: Reason, detail: str, hold_for: timedelta, now: datetime) -> ReleaseState:
    """The release under way must not be tried again; its image neither, unless that image is also the good one's."""
    digest = record.push.digest if record.push else ""
    good = record.good.push.digest if record.good else ""
    hold = Hold(record.fingerprint, digest if digest != good else "", reason, detail, now, now + hold_for, BY_PROOF)
    others = (one for one in record.holds if one.fingerprint != hold.fingerprint and (one.until or now) >= now)
    return replace(record, holds=(*others, hold), detail=detail)


def routed(record: ReleaseState, routing: Routing, act: WriteKind, at: datetime) -> ReleaseState:
    """A selector change took effect."""
    stage = {WriteKind.PROMOTE: Phase.PROMOTED, WriteKind.ROLLBACK: Phase.ROLLED_BACK}.get(act, record.stage)
    return replace(record, doing=None, selector=routing, routed_at=at, stage=stage)


def ended(record: ReleaseState, reason: Reason, now: datetime, detail: str = "") -> ReleaseState:
    """The release is over."""
    return replace(_remembered(record, reason, now), stage=Phase.ENDED, reason=reason, detail=detail, overtaken=0)


def answered(
    record: ReleaseState, wanted: DesiredState, reason: Reason, now: datetime, detail: str = ""
) -> ReleaseState:
    """A newer wish is answered without anything to release; a release under way is over too.

    What a secret stopped is remembered by the push that it was wanted for: that is the one to go on with.
    """
    push = push_to_run(wanted, record, now) if reason in MENDED_BY_A_SECRET else wanted.push
    before = _remembered(record, Reason.SUPERSEDED, now) if record.open else record
    taken = replace(before, seen=wanted.serial, push=push, doing=None, candidate=None, twin=False)
    return ended(taken, reason, now, detail)


def live(record: ReleaseState, identity: str | None, now: datetime) -> ReleaseState:
    """The candidate serves and passed what was asked of it."""
    if record.push is None or record.candidate is None:  # pragma: no cover - a promoted release has both
        return ended(record, Reason.LIVE, now)
    good = GoodVersion(record.push, record.fingerprint, record.candidate)
    kept = {number: at for number, at in record.born.items() if number == record.candidate}
    again = record.good is not None and record.good.version == good.version
    previous = record.previous if again else record.good
    return replace(ended(record, Reason.LIVE, now), good=good, previous=previous, born=kept,
                   identity=identity, drift=())  # fmt: skip


def forgotten(record: ReleaseState, wanted: DesiredState, now: datetime) -> ReleaseState:
    """The agent was deleted: its numbers mean nothing any more, and only a newer word of people's begins again."""
    seen = record.seen if wanted.by_people > record.seen else wanted.serial
    gone = ended(replace(record, doing=None), Reason.AGENT_DELETED, now)
    return replace(gone, seen=seen, candidate=None, twin=False, cleared=None, back=None, selector=None,
                   routed_at=None, good=None, previous=None, born={},
                   identity=None, drift=())  # fmt: skip


def _known(record: ReleaseState, push: Push | None, resolved: ResolvedDefinition) -> Mapping[str, ImageFacts]:
    """What is known of images, the newest last."""
    known = dict(record.images)
    if push is not None and resolved.image is not None:
        known.pop(push.digest, None)
        known[push.digest] = resolved.image
    return dict(list(known.items())[-MAX_REMEMBERED_IMAGES:])


def _born(record: ReleaseState, version: Version) -> Mapping[str, datetime]:
    return {**record.born, version.number: version.created_at}


def _remembered(record: ReleaseState, reason: Reason, now: datetime) -> ReleaseState:
    digest = record.push.digest if record.push else ""
    line = HistoryEntry(now, reason, digest, record.candidate)
    return replace(record, history=(*record.history, line)[-MAX_HISTORY_ENTRIES:])
