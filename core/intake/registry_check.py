"""Compares the desired push with the registry, which is right where an event was late, lost, stale or wrong.

A release and the search for missed pushes share these functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.events import ARTIFACT_TAG
from core.image_manifest import RegistryTag
from core.intake.events import DesiredUpdate, accept, due_of, runtime_hash
from core.model import UNKNOWN_TIME, Push
from core.reasons import Reason
from core.state.desired import (
    MAX_REJECTED_DIGESTS,
    DesiredState,
    PreviousPush,
    RejectedDigest,
    RejectedPush,
    Restored,
)
from core.timing import FIRST_TIME, add

EVENT_ID = "registry-check"
"""The event id of a push whose event never came."""
NEVER_PUSHED = PreviousPush()
MAX_REGISTRY_SKEW = timedelta(days=1)
"""How far a registry's clock may be ahead of ours: it decides, so it may differ more than that of an event."""
EVENT_TIME = timedelta(minutes=2)
"""The event of a younger push may still be on its way."""
MIN_LAG_PAUSE, MAX_LAG_PAUSE = timedelta(seconds=2), timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Correction:
    """The push that the registry says the agent should run, and why."""

    push: Push
    reason: Reason
    detail: str = ""


def believable_tags(tags: Iterable[RegistryTag], now: datetime) -> tuple[RegistryTag, ...]:
    """The tags, where one with a time that cannot be true counts as old: it would be newer than every push."""
    last = add(now, MAX_REGISTRY_SKEW)
    return tuple(tag if FIRST_TIME <= tag.pushed_at <= last else replace(tag, pushed_at=UNKNOWN_TIME) for tag in tags)


def find_correction(spec: AgentSpec, desired: DesiredState, tags: Sequence[RegistryTag]) -> Correction | None:
    """What the registry says, where that is not the desired push.

    The tag of the desired push names another digest now, or a newer tag is allowed. Times are the registry's, so an
    event with a wrong time does not win. A push that an operator chose is replaced by newer pushes alone; so is the
    desired one while a newer push waits, which may have moved its tag.
    """
    chosen = desired.newest_known_push if desired.waiting else desired.newest_push
    current = chosen or _current(spec, desired, tags)
    newest = newest_allowed_push(spec, tags, desired.rejected_digests)
    if newest is not None and check_newer(spec.tags, newest, current) is None:
        return Correction(newest, _reason(newest, desired), _detail(newest, desired))
    if chosen is None and current is not None and not current.is_same(desired.push):
        return Correction(current, Reason.TAG_MOVED, _detail(current, desired))
    return None


def newest_allowed_push(
    spec: AgentSpec, tags: Iterable[RegistryTag], rejected: Collection[str] = frozenset()
) -> Push | None:
    """The push that the agent would run if every event had come; None if no tag is allowed."""
    newest: Push | None = None
    for tag in tags:
        push = Push(spec.repository, tag.digest, tag.tag, tag.pushed_at, EVENT_ID)
        is_image = ARTIFACT_TAG.fullmatch(tag.tag) is None and tag.digest not in rejected
        if is_image and check_tag(spec.tags, tag.tag) is None and check_newer(spec.tags, push, newest) is None:
            newest = push
    return newest


def _current(spec: AgentSpec, desired: DesiredState, tags: Iterable[RegistryTag]) -> Push | None:
    """The desired push, with the digest and the time that the registry has for its tag.

    A digest that was rejected does not displace the one that was deployed before its tag moved. Nor does an older
    answer of the registry, whose replicas differ for a while, displace a newer one.
    """
    push = desired.push
    if push is None or push.repository != spec.repository:
        return push
    tag = next((tag for tag in tags if tag.tag == push.tag), None)
    if tag is None or tag.digest in desired.rejected_digests:
        return push
    if push.event_id == EVENT_ID and tag.pushed_at < push.pushed_at:
        return push
    pushed_at = push.pushed_at if tag.pushed_at == UNKNOWN_TIME else tag.pushed_at
    event_id = push.event_id if tag.digest == push.digest else EVENT_ID
    return replace(push, digest=tag.digest, pushed_at=pushed_at, event_id=event_id)


def _reason(push: Push, desired: DesiredState) -> Reason:
    same_tag = desired.push is not None and push.tag == desired.push.tag
    return Reason.TAG_MOVED if same_tag else Reason.MISSED_PUSH_FOUND


def _detail(push: Push, desired: DesiredState) -> str:
    if desired.push is None or push.tag != desired.push.tag:
        return f"{push.tag} is newer than {desired.push.tag}" if desired.push else ""
    return f"{push.tag} names {push.digest[:19]} now, not {desired.push.digest[:19]}"


def apply_correction(
    desired: DesiredState, spec: AgentSpec, correction: Correction, observed_generation: int, now: datetime
) -> DesiredState:
    """The registry's push is desired.

    Where a stale event had displaced it and nothing was released since, that event is as if it had never come.
    """
    push = correction.push
    accepted = accept(desired, spec, push, now)
    if accepted.push == desired.push:  # it waits until it is old enough
        return accepted
    newer = (item for item in (desired.push, desired.unconfirmed) if item and push.pushed_at < item.pushed_at)
    unconfirmed = next(newer, None)
    position = next((number for number, entry in enumerate(desired.previous_pushes) if push.is_same(entry.push)), None)
    if position is None or not _never_ran(desired, position, observed_generation):
        return replace(accepted, unconfirmed=unconfirmed)
    restored = restore(desired, spec, position, observed_generation, now)
    earlier = restored.push or push
    return replace(restored, push=replace(push, event_id=earlier.event_id), unconfirmed=unconfirmed)


def reject(
    desired: DesiredState,
    spec: AgentSpec,
    rejection: tuple[Reason, str],
    tags: Sequence[RegistryTag],
    observed_generation: int,
    now: datetime,
) -> DesiredState:
    """The desired push cannot be deployed: what was desired before is desired again, or else the registry's newest."""
    push, (reason, detail) = desired.push, rejection
    if push is None:  # pragma: no cover - only a desired push is rejected
        return desired
    others = (item for item in desired.rejected if item.digest != push.digest)
    rejected = (RejectedDigest(push.digest, reason.value), *others)[:MAX_REJECTED_DIGESTS]
    if reason is Reason.TAG_UNKNOWN:  # the digest may be that of another push, which may even be live
        rejected = desired.rejected
    digests, entries = {item.digest for item in rejected}, enumerate(desired.previous_pushes)
    position = next((n for n, entry in entries if entry.push is None or entry.push.digest not in digests), None)
    restored = restore(desired, spec, position, observed_generation, now)
    is_idle = restored.push is None and not restored.waiting and not spec.place.upstream
    if is_idle and (newest := newest_allowed_push(spec, tags, digests)) is not None:
        restored = accept(restored, spec, newest, now)
    return replace(restored, rejected=rejected, last_rejection=RejectedPush(push, reason.value, detail, now))


def _never_ran(desired: DesiredState, position: int, observed_generation: int) -> bool:
    """True where no release answered the desired push, nor those between it and the earlier one at the position."""
    between = (entry.push_generation for entry in desired.previous_pushes[:position])
    return all(number > observed_generation for number in (desired.push_generation, *between))


def restore(
    desired: DesiredState, spec: AgentSpec, position: int | None, observed_generation: int, now: datetime
) -> DesiredState:
    """An earlier push is desired again, or none; what came after the push that it replaces stays asked for."""
    entries = desired.previous_pushes
    undone = (*entries, NEVER_PUSHED) if position is None else entries[: position + 1]
    entry, generation, hash_now = undone[-1], desired.generation + 1, undone[-1].runtime_hash
    asked, user_generation, push_generation = desired.asked_generation, desired.user_generation, desired.push_generation
    due_generation = desired.due_generation
    for earlier in undone:
        due_generation = earlier.due_generation if due_generation == push_generation else due_generation
        user_generation = earlier.user_generation if user_generation == push_generation else user_generation
        asked = earlier.generation if asked == push_generation else asked
        push_generation = earlier.push_generation
    rollback = entry.rollback
    if entry.push is not None and hash_now != runtime_hash(spec):  # agents.yaml changed since
        hash_now = runtime_hash(spec)
        user_generation = user_generation if rollback else generation
        rollback = replace(rollback, config_at=now) if rollback else None
    repeats = _never_ran(desired, len(undone) - 1, observed_generation) and user_generation < generation
    if rollback and (rollback.generation > observed_generation or (repeats and asked == rollback.generation)):
        rollback = replace(rollback, generation=generation)
    requested = desired.requested_generation
    return replace(
        desired,
        generation=generation,
        user_generation=user_generation,
        requested_generation=generation if repeats and asked == requested else requested,
        push=entry.push,
        push_generation=entry.push_generation,
        newest_push=entry.newest_push,
        due_generation=due_generation,
        runtime_hash=hash_now,
        rollback=rollback,
        previous_pushes=entries[len(undone) :],
        restored=Restored(generation, asked) if repeats else None,
        updated_at=now,
    )


def apply_registry(desired: DesiredState, spec: AgentSpec, tags: Sequence[RegistryTag], now: datetime) -> DesiredUpdate:
    """Compare with the registry outside a release: each correction counts as a new push."""
    correction = find_correction(spec, desired, tags)
    if correction is None:
        return DesiredUpdate(desired, Reason.NOT_NEWER)
    updated = apply_correction(desired, spec, correction, desired.generation, now)
    return DesiredUpdate(updated, correction.reason, correction.detail, due_of(updated, spec, now))


def apply_recent_tags(
    desired: DesiredState, spec: AgentSpec, tags: Sequence[RegistryTag], now: datetime
) -> DesiredUpdate:
    """The same with the last pushed tags alone, where those decide; a push whose event may still come is left to it.

    Where tags are ordered by what they say, an older tag may be newer, unless the agent follows a desired push already.
    """
    push = desired.push
    is_followed = push is not None and push.repository == spec.repository and check_tag(spec.tags, push.tag) is None
    if spec.tags.order != "pushed" and not is_followed:
        return DesiredUpdate(desired, Reason.NOT_NEWER)
    settled = [tag for tag in tags if not timedelta(0) <= now - tag.pushed_at < EVENT_TIME]
    return apply_registry(desired, spec, settled, now)


def still_undecided(specs: Iterable[AgentSpec], page: Sequence[RegistryTag]) -> list[AgentSpec]:
    """The agents whose newest push may be on a later page of tags, where pages list the last pushed tags first."""
    return [spec for spec in specs if spec.tags.order != "pushed" or newest_allowed_push(spec, page) is None]


def is_fresh(push: Push, spec: AgentSpec, now: datetime) -> bool:
    """True while a registry that does not know a push may only lag."""
    return now - push.pushed_at < spec.release.readable_within


def next_registry_read(push: Push, spec: AgentSpec, now: datetime) -> datetime:
    """When to ask a registry that lags again: after seconds at first, then more rarely."""
    age = max(now - push.pushed_at, timedelta(0))
    pause = min(max(age / 2, MIN_LAG_PAUSE), MAX_LAG_PAUSE)
    return max(min(now + pause, add(push.pushed_at, spec.release.readable_within)), now + MIN_LAG_PAUSE)
