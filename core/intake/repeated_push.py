"""Answers a second push of the newest image: it releases what did not go live, unless the image is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.intake.events import DesiredUpdate, displace, not_in_the_future
from core.model import Push
from core.reasons import Reason
from core.state import holds
from core.state.desired import DesiredState, Hold
from core.state.release import ReleaseState

MAX_TIME_DIFFERENCE = timedelta(seconds=5)
"""One push may have two times so far apart: that of its event and that of the registry's tag."""


def is_repeated(update: DesiredUpdate, push: Push, now: datetime) -> bool:
    """True for a later push of the image and tag that is desired; a redelivered event has the time of the first.

    A time in the future was corrected when the event came first: there the ids of the events decide.
    """
    known = update.desired.newest_known_push
    if update.reason is not Reason.SAME_PUSH or known is None:
        return False
    is_redelivered = not_in_the_future(push, now) != push and push.event_id == known.event_id
    return push.pushed_at - known.pushed_at > MAX_TIME_DIFFERENCE and not is_redelivered


def apply_repeated_push(
    desired: DesiredState,
    release: ReleaseState,
    spec: AgentSpec,
    push: Push,
    traceparent: str | None,
    now: datetime,
) -> DesiredUpdate:
    """Release the image again where it did not go live, as ``slipway retry`` does; a hold stays in force."""
    unchanged = DesiredUpdate(desired, Reason.SAME_PUSH)
    if not push.is_same(desired.newest_known_push) or not is_repeated(unchanged, push, now):
        return unchanged
    if hold := _hold_on(desired, release, push, now):
        return DesiredUpdate(desired, Reason.HELD, holds.describe(hold))
    believed = not_in_the_future(push, now)
    if not (why := _why_again(desired, release, believed)):
        return unchanged
    again = replace(displace(desired, spec, believed, now), traceparent=traceparent, not_before=None)
    return DesiredUpdate(again, Reason.ACCEPTED, f"pushed again {why}")


def _hold_on(desired: DesiredState, release: ReleaseState, push: Push, now: datetime) -> Hold | None:
    active = holds.active(desired, release, now)
    is_of_release = push.is_same(release.push)
    by_definition = holds.of_fingerprint(active, release.fingerprint) if is_of_release else None
    return holds.of_digest(active, push.digest) or by_definition


def _why_again(desired: DesiredState, release: ReleaseState, push: Push) -> str:
    """Why a later push of the newest image releases it; empty where it is live, under way or still to be released."""
    if desired.waiting or desired.push is None:
        return ""
    if not push.is_same(desired.push):  # a person chose another image, which stands until a later push
        is_later = desired.updated_at is not None and push.pushed_at > desired.updated_at
        return f"after a person chose {desired.push.tag}" if is_later else ""
    if desired.user_generation > release.observed_generation or (not release.reason and not release.is_open):
        return ""
    if release.push is not None and release.push.digest != push.digest:  # a rotated secret released the good image
        return f"after the last release was of {release.push.tag}"
    return f"after {release.reason}" if _has_failed(release) else ""


def _has_failed(release: ReleaseState) -> bool:
    """True where the newest release ended without LIVE, for a reason that a person can remove."""
    if release.is_open:
        return False
    reason = Reason[release.reason]
    return reason.severity != "info" and reason is not Reason.ROUTING_CHANGED
