"""Applies user commands to the desired state: approve, hold, unhold, pause, unpause, release, rollback, adopt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.copied_definition import refs_of_version
from core.definition import existing_definition, push_of_version
from core.intake.events import DesiredUpdate, user_change, with_push
from core.intake.passed_stage import has_passed, with_passed
from core.model import Agent, Push, Status, Version
from core.reasons import Reason
from core.release_outcome import awaits_window
from core.state import holds
from core.state.desired import Approval, Cause, DesiredState, Hold, Pause, RollbackRequest
from core.state.release import WITHOUT_TRAFFIC, GoodVersion, ReleaseState
from core.state.rollbacks import is_done

NO_RELEASE = ReleaseState()
MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
"""By how much the clock of a laptop may be ahead."""
MAX_LIFTED_HOLDS = 100
"""Far more holds than an agent ever has; the oldest are forgotten first, and then count again."""


def approve(
    desired: DesiredState,
    release: ReleaseState,
    version: str | None,
    by: str,
    now: datetime,
    digest: str | None = None,
) -> DesiredUpdate:
    """Approve the waiting version; ``version`` and ``digest``, where given, must be its own.

    The approval of a version that waits for its window lets it through.
    """
    waiting, push = waiting_version(release), release.push
    if waiting is None or push is None:
        return DesiredUpdate(desired, Reason.NOTHING_TO_APPROVE, "no version waits")
    image = f"{push.tag} {push.digest}"
    if version not in (None, waiting) or digest not in (None, push.digest):
        return DesiredUpdate(desired, Reason.NOTHING_TO_APPROVE, f"version {waiting} waits: {image}")
    approval = Approval(waiting, release.fingerprint, by, now, release.created_at.get(waiting))
    requested = release.observed_generation if awaits_window(release) else desired.requested_generation
    approved = replace(desired, approval=approval, requested_generation=requested)
    return DesiredUpdate(approved, Reason.APPROVED, f"version {waiting} ({image}) by {by}")


def waiting_version(release: ReleaseState) -> str | None:
    """The version that waits, or may soon wait, for an approval."""
    return release.candidate if release.phase in WITHOUT_TRAFFIC else None


def hold(
    desired: DesiredState, digest: str | None, why: str, by: str, until: datetime | None, now: datetime
) -> DesiredUpdate:
    """Hold an image, by default the desired one, so that it is not released."""
    held = digest or (desired.next_push.digest if desired.next_push else "")
    if not held:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    others = (hold for hold in desired.holds if hold.digest != held)
    new = Hold("", held, Reason.HOLD_SET.value, why, now, until, by)
    return DesiredUpdate(replace(desired, holds=(*others, new)), Reason.HOLD_SET, f"{held} by {by}: {why}")


def unhold(desired: DesiredState, release: ReleaseState, digest: str | None, by: str, now: datetime) -> DesiredUpdate:
    """Lift the holds on an image, or all holds, and release the desired push."""
    lifted = [hold for hold in _may_hold(desired, release, now) if digest in (None, hold.digest)]
    if not lifted:
        return DesiredUpdate(desired, Reason.NOTHING_HELD)
    updated = user_change(_lift(desired, lifted), Cause.PERSON, now)
    rollback = desired.rollback
    if rollback is not None and any(hold.since == rollback.at for hold in lifted):
        rollback = None  # what it took back may run again
    updated = replace(updated, not_before=None, rollback=rollback)
    return DesiredUpdate(updated, Reason.HOLD_REMOVED, f"{len(lifted)} by {by}")


def pause(desired: DesiredState, why: str, by: str, until: datetime | None, now: datetime) -> DesiredUpdate:
    """Stop before the next action; a version that already has the traffic is still checked."""
    return DesiredUpdate(replace(desired, pause=Pause(why, by, now, until)), Reason.PAUSED, f"by {by}: {why}")


def unpause(desired: DesiredState, by: str) -> DesiredUpdate:
    """End the pause."""
    if desired.pause is None:
        return DesiredUpdate(desired, Reason.NOTHING_PAUSED)
    return DesiredUpdate(replace(desired, pause=None), Reason.UNPAUSED, f"by {by}")


def request_release(
    desired: DesiredState,
    release: ReleaseState,
    push: Push | None,
    by: str,
    now: datetime,
    stage: str = "",
    upstream: Sequence[str] = (),
) -> DesiredUpdate:
    """Release a push, by default the desired one again, whatever its tag and age, and lift the holds on it.

    ``upstream`` are the targets of the stage before, and ``stage`` says why the image may go past that: without it, an
    image that has not passed is refused.
    That ends a rollback; without a push a rollback that is not done yet is tried again.
    """
    rollback = desired.rollback
    if push is None and rollback is not None and _is_tried_again(rollback, release):
        updated = _choose_push(desired, rollback.push, now)
        updated = replace(updated, rollback=replace(rollback, generation=updated.generation))
        return DesiredUpdate(updated, Reason.ROLLBACK_REQUESTED, f"to version {rollback.version} by {by}, once more")
    chosen = push or desired.next_push
    if chosen is None:
        return _without_push(desired, upstream)
    if upstream and not stage.strip() and not has_passed(chosen.digest, desired, release):
        where = " and ".join(upstream)
        return DesiredUpdate(desired, Reason.STAGE_NOT_PASSED, f"{chosen.tag} did not pass the stage before, {where}")
    last = release.fingerprint if release.push is not None and release.push.digest == chosen.digest else None
    held = _may_hold(desired, release, now)
    lifted = [hold for hold in held if hold.digest == chosen.digest or hold.fingerprint == last]
    updated = _choose_push(_lift(desired, lifted), chosen, now)
    updated = replace(updated, requested_generation=updated.generation)
    if upstream and stage.strip():
        skipped = replace(with_passed(updated, chosen.digest), past_stage=chosen.digest, stage_wait=None)
        return DesiredUpdate(skipped, Reason.STAGE_SKIPPED_BY_OPERATOR, f"{chosen.tag} by {by}: {stage}")
    return DesiredUpdate(updated, Reason.RELEASE_REQUESTED, f"{chosen.tag} by {by}")


def _without_push(desired: DesiredState, upstream: Sequence[str]) -> DesiredUpdate:
    """Why there is nothing to release yet; a target of a later stage gets its images from the stage before."""
    where, wait = " and ".join(upstream), desired.stage_wait
    if not upstream:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    if wait is None:
        return DesiredUpdate(desired, Reason.STAGE_NOT_PASSED, f"no image has passed the stage before, {where}")
    good = f"{wait.push.tag} is good at {where}"
    if wait.reason != Reason.STAGE_WAITING:
        return DesiredUpdate(desired, Reason.STAGE_NOT_PASSED, f"{good}, and is not taken: {wait.reason}")
    return DesiredUpdate(desired, Reason.STAGE_WAITING, f"{good}; goes on at {wait.until:%Y-%m-%d %H:%M:%S} UTC")


@dataclass(frozen=True, slots=True)
class NoRollback:
    """Why there is no version to roll back to."""

    detail: str


def rollback_target(
    release: ReleaseState, agent: Agent | None, versions: Sequence[Version], to: str | None
) -> Version | NoRollback:
    """The version to roll back to: ``to``, or else the newest good version that is not live."""
    if agent is None:
        return NoRollback("the agent does not exist")
    good = [good.version for good in (release.last_good, release.previous_good) if good and good.version != agent.live]
    number = to or next(iter(good), None)
    if number is None:
        return NoRollback("no version was good before the live one")
    target = next((version for version in versions if version.number == number), None)
    if target is None:
        existing = ", ".join(version.number for version in versions) or "none"
        return NoRollback(f"version {number} does not exist; the versions are: {existing}")
    problem = _rollback_problem(target, agent)
    return NoRollback(f"version {number} {problem}") if problem else target


def _rollback_problem(version: Version, agent: Agent) -> str:
    if version.number == agent.live:
        return "is live already"
    if version.status is not Status.ACTIVE:
        return f"is {version.status}"
    return "" if push_of_version(version) else "does not name its image by digest"


def request_rollback(
    desired: DesiredState,
    to: Version,
    live: Version | None,
    why: str,
    by: str,
    now: datetime,
    release: ReleaseState = NO_RELEASE,
) -> DesiredUpdate:
    """Make an earlier version live again, as it is, and hold the live one: its image, if ``to`` has another image."""
    push, live_push = (push_of_version(item, release.image_facts) if item else None for item in (to, live))
    fingerprint, digest = existing_definition(to).fingerprint, push.digest if push else ""
    live_digest = live_push.digest if live_push and push and live_push.digest != digest else ""
    held = _may_hold(desired, release, now)
    lifted = [hold for hold in held if hold.fingerprint == fingerprint or (digest and hold.digest == digest)]
    updated = _choose_push(_lift(desired, lifted), push, now)
    kept = tuple(hold for hold in updated.holds if not live_digest or hold.digest != live_digest)
    live_fingerprint = existing_definition(live).fingerprint if live else ""
    new = Hold(live_fingerprint, live_digest, Reason.HOLD_SET.value, why, now, None, by)
    refs = refs_of_version(to, {}).values()
    secrets = tuple(sorted({ref.secret.lower() for ref in refs if ref.version is None}))
    updated = replace(
        updated,
        rollback=RollbackRequest(to.number, updated.generation, to.created_at, push, by, why, now, secrets),
        approval=Approval(to.number, fingerprint, by, now, to.created_at),
        holds=(*kept, new) if live else kept,
    )
    return DesiredUpdate(updated, Reason.ROLLBACK_REQUESTED, f"to version {to.number} by {by}: {why}")


def adopt(
    agent: Agent, live: Version, push: Push, runtime_hash: str, by: str, now: datetime
) -> tuple[DesiredState, ReleaseState]:
    """The first state of an agent that existed before: its live version counts as good, and its push as desired."""
    desired = DesiredState(
        generation=1, user_generation=1, push=push, cause=Cause.PERSON, updated_at=now, runtime_hash=runtime_hash
    )
    good = GoodVersion(push, existing_definition(live).fingerprint, live.number, since=now)
    release = ReleaseState(
        observed_generation=1,
        push=push,
        fingerprint=good.fingerprint,
        reason=Reason.AGENT_ADOPTED.value,
        detail=f"by {by}",
        candidate=live.number,
        expected_routing=agent.routing,
        last_good=good,
        identity=agent.identity,
        created_at={live.number: live.created_at},
    )
    return desired, release


def _may_hold(desired: DesiredState, release: ReleaseState, now: datetime) -> tuple[Hold, ...]:
    """The holds that are active by any clock: a laptop may be ahead of the instances, where a hold ends later."""
    return holds.active(desired, release, now - MAX_CLOCK_DIFFERENCE)


def _lift(desired: DesiredState, lifted: Sequence[Hold]) -> DesiredState:
    """Remove the operators' holds among these, and name those of Slipway, which only a lease holder may remove."""
    named = (*desired.lifted, *(holds.lift_of(hold) for hold in lifted if hold not in desired.holds))
    kept = tuple(hold for hold in desired.holds if hold not in lifted)
    return replace(desired, holds=kept, lifted=named[-MAX_LIFTED_HOLDS:])


def _choose_push(desired: DesiredState, push: Push | None, now: datetime) -> DesiredState:
    newest = desired.newest_known_push
    updated = with_push(user_change(desired, Cause.PERSON, now), push, desired)
    newest = newest if newest != push else None
    return replace(updated, newest_push=newest, not_before=None, waiting=(), rollback=None)


def _is_tried_again(rollback: RollbackRequest, release: ReleaseState) -> bool:
    """True for a rollback that is not done, and whose version may still exist."""
    gone = release.reason in (Reason.CANDIDATE_GONE, Reason.AGENT_DELETED)
    waits = rollback.generation > release.observed_generation
    return waits or not (gone or is_done(rollback, release))
