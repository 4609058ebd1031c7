"""Applies a push, a changed agents.yaml or a rotated secret to the desired state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import Rejection, check_newer, check_tag
from core.events import SecretChanged
from core.model import Push
from core.reasons import Reason
from core.secret_versions import with_named_version
from core.state import holds, rollbacks
from core.state.desired import (
    MAX_KEPT_TAGS,
    MAX_PREVIOUS_PUSHES,
    Cause,
    DesiredState,
    KeptTag,
    PreviousPush,
    WaitingPush,
)
from core.timing import MAX_CLOCK_SKEW
from core.waits import after_push, old_enough_at, with_quiet_time, with_waiting

RUNTIME_KEYS = {
    "repository", "image", "cpu", "memory", "protocols", "env", "env_from_vault", "tools", "more_definition",
}  # fmt: skip
"""Keys of an agent that change what it runs."""
ENQUEUES = {
    Reason.ACCEPTED, Reason.SAME_PUSH, Reason.CONFIG_CHANGED, Reason.APPROVED,
    Reason.RELEASE_REQUESTED, Reason.ROLLBACK_REQUESTED, Reason.HOLD_REMOVED, Reason.UNPAUSED,
    Reason.MISSED_PUSH_FOUND, Reason.MISSED_ROTATION_FOUND, Reason.TAG_MOVED, Reason.STAGE_SKIPPED_BY_OPERATOR,
}  # fmt: skip
"""Reasons after which a release message is sent."""
MAY_HAVE_CHANGED = frozenset({Reason.IMAGE_GONE, Reason.SIGNATURE_MISSING, Reason.SIGNATURE_INVALID})
"""Reasons of a rejection that are not about the digest itself."""


@dataclass(frozen=True, slots=True)
class DesiredUpdate:
    """The desired state after an event or a user command, and the reason to record."""

    desired: DesiredState
    reason: Reason
    detail: str = ""
    due: datetime | None = None
    """When the change is due, where it waits."""

    @property
    def enqueues(self) -> bool:
        """True if a release message must be sent; also for SAME_PUSH, whose first delivery may have failed."""
        return self.reason in ENQUEUES


def apply_push(
    desired: DesiredState, spec: AgentSpec, push: Push, traceparent: str | None, now: datetime
) -> DesiredUpdate:
    """Make a push the desired one, if its tag is allowed and newer, and its digest was not rejected."""
    push = not_in_the_future(push, now)
    desired = _with_kept_tag(desired, spec, push)
    rejection = check_tag(spec.tags, push.tag) or _rejected_before(desired, spec, push)
    newest = _believable(desired.newest_known_push, desired, now)
    rejection = rejection or check_newer(spec.tags, push, newest)
    if rejection is not None:
        is_same = rejection.reason is Reason.SAME_PUSH
        kept = _with_lagging_push(desired, push) if is_same else desired
        return DesiredUpdate(kept, rejection.reason, rejection.detail, due_of(kept, spec, now) if is_same else None)
    accepted = accept(desired, spec, push, now, traceparent)
    due = due_of(accepted, spec, now)
    return DesiredUpdate(accepted, Reason.ACCEPTED, f"old enough at {due:%Y-%m-%d %H:%M:%S} UTC" if due else "", due)


def not_in_the_future(push: Push, now: datetime) -> Push:
    """The push at a time that can be true; else no newer image would count until then."""
    return replace(push, pushed_at=now) if push.pushed_at > now + MAX_CLOCK_SKEW else push


def accept(
    desired: DesiredState, spec: AgentSpec, push: Push, now: datetime, traceparent: str | None = None
) -> DesiredState:
    """A push that is newer than all others: it is desired once it is old enough."""
    waiting = WaitingPush(push, now, traceparent)
    if old_enough_at(waiting, spec) > now:
        return with_waiting(desired, waiting)
    return replace(displace(desired, spec, push, now), traceparent=traceparent)


def due_of(desired: DesiredState, spec: AgentSpec, now: datetime) -> datetime | None:
    """When the newest push that waits is old enough."""
    ends = (old_enough_at(waiting, spec) for waiting in desired.waiting[:1])
    return next((end for end in ends if end > now), None)


def displace(desired: DesiredState, spec: AgentSpec, push: Push, now: datetime) -> DesiredState:
    """A push is desired from now on; what was desired before is remembered, in case the push is rejected.

    It ends a rollback, unless its image is held: then it cannot run in the place of what was rolled back to. Older
    pushes that wait are left out.
    """
    held = holds.of_digest(holds.set_by_people(desired, now), push.digest)
    changed = after_push(user_change(desired, Cause.PUSH, now), desired, now)
    position = next((number for number, item in enumerate(desired.waiting) if item.push == push), 0)
    return replace(
        with_push(changed, push, desired),
        newest_push=None,
        rollback=desired.rollback if held else None,
        runtime_hash=runtime_hash(spec),
        waiting=desired.waiting[:position],
        stage_wait=None,
    )


def with_push(changed: DesiredState, push: Push | None, before: DesiredState) -> DesiredState:
    """``changed``, the next generation, with another push in the place of that of ``before``."""
    if push == before.push:
        return changed
    previous = PreviousPush(
        before.push,
        before.push_generation,
        before.asked_generation,
        before.user_generation,
        before.newest_push,
        before.runtime_hash,
        before.rollback,
        before.due_generation,
    )
    return replace(
        changed,
        push=push,
        push_generation=changed.generation,
        previous_pushes=(previous, *before.previous_pushes)[:MAX_PREVIOUS_PUSHES],
        rejected=tuple(item for item in before.rejected if push is None or item.digest != push.digest),
        last_rejection=None,
        unconfirmed=None,
    )


def _with_lagging_push(desired: DesiredState, push: Push) -> DesiredState:
    """The desired image was pushed again while the registry lags: it is asked until it shows that."""
    lagging = desired.unconfirmed
    return replace(desired, unconfirmed=push) if lagging and push.pushed_at > lagging.pushed_at else desired


def _with_kept_tag(desired: DesiredState, spec: AgentSpec, push: Push) -> DesiredState:
    """A tag that keeps versions counts for ever: also one that the agent does not follow, or that moves later."""
    kept = KeptTag(push.digest, push.tag)
    if kept in desired.kept_tags or not spec.keep.keeps_tag(push.tag):
        return desired
    return replace(desired, kept_tags=(*desired.kept_tags, kept)[-MAX_KEPT_TAGS:])


def _rejected_before(desired: DesiredState, spec: AgentSpec, push: Push) -> Rejection | None:
    """A digest never changes, so a second event of it is rejected at once.

    One that was gone may be back, and one that was not signed as asked may be signed now. With ``inspect: never`` the
    registry's answer does not count any more.
    """
    if spec.inspect == "never":
        return None
    reason = desired.rejected_digests.get(push.digest, Reason.IMAGE_GONE)
    return None if reason in MAY_HAVE_CHANGED else Rejection(Reason[reason], "this digest was rejected before")


def _believable(push: Push | None, desired: DesiredState, now: datetime) -> Push | None:
    """A stored push with a time in our future counts from when it was accepted: it would be newer than all others."""
    if push is None or push.pushed_at <= now + MAX_CLOCK_SKEW:
        return push
    return replace(push, pushed_at=min(desired.updated_at or now, now))


def apply_config(desired: DesiredState, spec: AgentSpec, now: datetime) -> DesiredUpdate:
    """Release the desired push again, after ``debounce``, if a deployed agents.yaml changed what the agent runs.

    A rollback stands: the change waits for a newer push or a person's command.
    """
    new_hash = runtime_hash(spec)
    if desired.push is None or desired.runtime_hash == new_hash:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    if desired.push.repository != spec.repository:  # the agent waits for a push of its new repository
        return DesiredUpdate(replace(desired, runtime_hash=new_hash, waiting=()), Reason.NO_PUSH_YET)
    if desired.rollback is not None:
        rollback = replace(desired.rollback, config_at=now)
        waits = replace(desired, runtime_hash=new_hash, rollback=rollback)
        return DesiredUpdate(waits, Reason.ROLLED_BACK_BY, rollbacks.describe(rollback))
    changed = replace(user_change(desired, Cause.CONFIGURATION, now), runtime_hash=new_hash)
    updated = with_quiet_time(changed, desired, spec, now, of_secret=False)
    return DesiredUpdate(updated, Reason.CONFIG_CHANGED, due=updated.not_before)


def user_change(desired: DesiredState, cause: Cause, now: datetime) -> DesiredState:
    """The next generation, by a push, a changed agents.yaml or a person."""
    generation = desired.generation + 1
    return replace(desired, generation=generation, user_generation=generation, cause=cause, updated_at=now)


def runtime_hash(spec: AgentSpec) -> str:
    """A hash of the keys that change what the agent runs, and of whether ``release.mode`` is ``notify``.

    A push that was only reported in mode ``notify`` is released once the mode changes.
    """
    plain = spec.model_dump(mode="json", include=RUNTIME_KEYS) | {"notify_only": spec.release.mode == "notify"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def apply_rotation(
    desired: DesiredState,
    spec: AgentSpec,
    traceparent: str | None,
    now: datetime,
    changed: SecretChanged | None = None,
) -> DesiredUpdate:
    """Release the desired push again, after ``debounce``, because a secret of the agent has a new version."""
    answers = {"notify": Reason.SECRET_CHANGE_REPORTED, "ignore": Reason.SECRET_CHANGE_IGNORED}
    if (action := spec.release.on_secret_change) != "release":
        return DesiredUpdate(desired, answers[action], f"on_secret_change is {action}")
    if desired.push is None:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    updated = replace(
        desired,
        generation=desired.generation + 1,
        cause=Cause.SECRET,
        updated_at=now,
        traceparent=traceparent,
        named_secrets=with_named_version(desired.named_secrets, changed, now) if changed else desired.named_secrets,
    )
    updated = with_quiet_time(updated, desired, spec, now, of_secret=True)
    return DesiredUpdate(updated, Reason.ACCEPTED, "a secret has a new version", updated.not_before)
