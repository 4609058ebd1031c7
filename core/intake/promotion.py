"""Decides which image a target of a later stage takes: the one that is good at every target of the stage before.

It has been so for ``soak`` without interruption. What failed, was rolled back or is held there never comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.drift import AGENT_GONE, ROUTING, serves_another
from core.intake.events import apply_push, user_change
from core.intake.passed_stage import taken_digests, unpassed_tags, with_passed, with_withdrawn, without_unpassed
from core.model import UNKNOWN_TIME, Push
from core.reasons import Reason
from core.state import holds
from core.state.desired import Cause, DesiredState, Hold, StageWait
from core.state.release import ReleaseState
from core.timing import add

DONE = frozenset({Reason.SAME_PUSH, Reason.NOT_NEWER})
"""Rejections of a push that the target has, or is past of."""


@dataclass(frozen=True, slots=True)
class UpstreamTarget:
    """A target of an earlier stage."""

    name: str
    desired: DesiredState
    release: ReleaseState


@dataclass(frozen=True, slots=True)
class Promotion:
    """The desired state once the stage before was read, and what to record, if anything."""

    desired: DesiredState
    reason: Reason | None = None
    detail: str = ""
    due: datetime | None = None
    """When to look again, where the image has not been good for long enough."""
    push: Push | None = None


@dataclass(frozen=True, slots=True)
class _Good:
    """The image that is good at every target of the stage before, and since when."""

    push: Push
    since: datetime


@dataclass(frozen=True, slots=True)
class _NoneGood:
    """Why no image is good there."""

    why: str
    moved: Push | None = None
    """The image that somebody moved the traffic from."""


def promote(
    desired: DesiredState,
    spec: AgentSpec,
    upstream: Sequence[UpstreamTarget],
    now: datetime,
    release: ReleaseState | None = None,
) -> Promotion:
    """Take the image that has been good in the stage before for long enough, or wait for it.

    With the target's own release state, pushes that have not passed that stage are not desired any more.
    """
    if withdrawn := _withdrawn(desired, spec, upstream, release or ReleaseState(), now):
        return withdrawn
    if release is None or not (tags := unpassed_tags(desired, release)):
        return _promote(desired, spec, upstream, now)
    promotion = _promote(without_unpassed(desired, spec, release, now), spec, upstream, now)
    again = promotion.desired.push
    note = f"{', '.join(tags)} did not pass the stage before, {_names(upstream)}"
    back = f"; {again.tag} is desired again" if again and promotion.reason is None else ""
    detail = "; ".join(filter(None, (promotion.detail, f"{note}{back}")))
    return replace(promotion, reason=promotion.reason or Reason.STAGE_NOT_PASSED, detail=detail)


def _withdrawn(
    desired: DesiredState, spec: AgentSpec, upstream: Sequence[UpstreamTarget], release: ReleaseState, now: datetime
) -> Promotion | None:
    """Take back an image whose traffic somebody moved in the stage before, until it is live here; or take it again."""
    good, push = _good_at_all(upstream, now), desired.push
    if isinstance(good, _NoneGood):
        moved = good.moved
        if moved is None or moved.digest not in taken_digests(desired, release) - {desired.withdrawn_digest}:
            return None
        withdrawn = with_withdrawn(desired, moved.digest)
        return Promotion(withdrawn, Reason.STAGE_CANCELLED, f"{moved.tag}: {good.why}", push=moved)
    if push is None or not push.digest == good.push.digest == desired.withdrawn_digest:
        return None
    if add(good.since, spec.place.soak) > now:  # another image was good there meanwhile
        return None
    again = replace(user_change(desired, Cause.PUSH, now), withdrawn_digest="")
    return Promotion(again, Reason.ACCEPTED, f"good at {_names(upstream)} again", push=push)


def _promote(desired: DesiredState, spec: AgentSpec, upstream: Sequence[UpstreamTarget], now: datetime) -> Promotion:
    waited, good = desired.stage_wait, _good_at_all(upstream, now)
    without = replace(desired, stage_wait=None)
    if isinstance(good, _NoneGood):
        return _ended(without, waited, good.why)
    update = apply_push(without, spec, good.push, upstream[0].desired.traceparent, now)
    until, where = add(good.since, spec.place.soak), _names(upstream)
    if update.reason in DONE or good.push.is_same(desired.push):
        other = waited if waited and waited.push.digest != good.push.digest else None
        return _ended(without, other, f"{where} went back to {good.push.tag}")
    if update.reason is not Reason.ACCEPTED:
        wait = StageWait(good.push, good.since, until, update.reason.value)
        return _waits(desired, wait, Promotion(replace(desired, stage_wait=wait), update.reason, update.detail))
    since = f"good at {where} since {good.since:%Y-%m-%d %H:%M:%S} UTC"
    if until <= now:
        taken = with_passed(update.desired, good.push.digest)
        return Promotion(taken, Reason.ACCEPTED, since, update.due, good.push)
    wait = StageWait(good.push, good.since, until, Reason.STAGE_WAITING.value)
    instead = f", instead of {waited.push.tag}" if waited and waited.push.digest != good.push.digest else ""
    detail = (
        f"{good.push.tag} for stage {spec.place.number}: {since}; goes on at {until:%Y-%m-%d %H:%M:%S} UTC{instead}"
    )
    return _waits(desired, wait, Promotion(replace(desired, stage_wait=wait), Reason.STAGE_WAITING, detail, until))


def _ended(without: DesiredState, waited: StageWait | None, why: str) -> Promotion:
    """An image that waited for its time comes no more; any other wait ends without a record."""
    if waited is None or waited.reason != Reason.STAGE_WAITING:
        return Promotion(without)
    return Promotion(without, Reason.STAGE_CANCELLED, f"{waited.push.tag}: {why}", push=waited.push)


def _waits(desired: DesiredState, wait: StageWait, waiting: Promotion) -> Promotion:
    """A wait is recorded once."""
    return Promotion(desired) if desired.stage_wait == wait else replace(waiting, push=wait.push)


def _names(upstream: Sequence[UpstreamTarget]) -> str:
    return ", ".join(target.name for target in upstream)


def _good_at_all(upstream: Sequence[UpstreamTarget], now: datetime) -> _Good | _NoneGood:
    """The image that is good at each of them."""
    found = list[_Good]()
    for target in upstream:
        good = _good_image(target, now)
        if isinstance(good, _NoneGood):
            return good
        if found and good.push.digest != found[0].push.digest:
            return _NoneGood(f"{target.name} and {upstream[0].name} run different images")
        found.append(good)
    return _Good(found[0].push, max(good.since for good in found))


def _good_image(target: UpstreamTarget, now: datetime) -> _Good | _NoneGood:
    """The image that is good at one target, and since when."""
    desired, release, good = target.desired, target.release, target.release.last_good
    if good is None:
        return _NoneGood(f"{target.name} has no good version")
    if hold := holds.of_digest(holds.active(desired, release, now), good.push.digest):
        return _NoneGood(f"at {target.name} it is held: {holds.describe(hold)}")
    moved = next((name for name in release.reported_drift if name.startswith((f"{ROUTING} ", AGENT_GONE))), "")
    if moved or release.reason == Reason.ROUTING_CHANGED:
        return _NoneGood(f"somebody moved the traffic of {target.name}", good.push)
    if serves_another(release):
        return _NoneGood(f"the traffic of {target.name} does not go to {good.push.tag}", good.push)
    newest = desired.push if desired.push and desired.push.digest == good.push.digest else good.push
    return _Good(newest, good.since or _since(release))  # another tag of the image is no new release there


def _since(release: ReleaseState) -> datetime:
    """Since when the good image is good, for a state that did not record it; at least since its oldest entry."""
    digest = release.last_good.push.digest if release.last_good else ""
    lives = [entry.at for entry in release.history if entry.reason == Reason.LIVE and entry.digest == digest]
    return lives[-1] if lives else next((entry.at for entry in release.history), UNKNOWN_TIME)


def with_upstream_holds(desired: DesiredState, earlier: Sequence[UpstreamTarget], now: datetime) -> DesiredState:
    """The desired state with the holds of images in earlier stages: what is held there does not run here.

    Not those of an image that an operator sent past its stage, or rolled back to, here.
    """
    chosen = {desired.past_stage, desired.rollback.push.digest if desired.rollback and desired.rollback.push else ""}
    found = tuple(
        Hold("", hold.digest, hold.reason, f"at {target.name}: {hold.detail}", hold.since, hold.until, hold.by)
        for target in earlier
        for hold in holds.active(target.desired, target.release, now)
        if hold.digest and hold.digest not in chosen
    )
    return replace(desired, holds=(*desired.holds, *found)) if found else desired
