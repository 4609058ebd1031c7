"""Decides which images of a later stage have passed the stage before; no other image is released there.

A push may be desired that has not: it was followed before agents.yaml got the stage, or a program wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.intake.registry_check import restore
from core.reasons import Reason
from core.state.desired import DesiredState, Hold
from core.state.release import WITHOUT_TRAFFIC, ReleaseState

MAX_PASSED_DIGESTS = 40
"""More than a desired state has pushes: the desired one, those that wait and the previous ones."""


def with_passed(desired: DesiredState, digest: str) -> DesiredState:
    """The desired state once an image was taken from the stage before, or an operator sent it past that."""
    others = tuple(item for item in desired.passed_digests if item != digest)
    return replace(desired, passed_digests=(*others, digest)[-MAX_PASSED_DIGESTS:], withdrawn_digest="")


def taken_digests(desired: DesiredState, release: ReleaseState) -> frozenset[str]:
    """Digests that were taken from the stage before and have not had traffic here: they wait, or are released now."""
    push, good = desired.push, release.last_good
    is_over = desired.generation <= release.observed_generation and release.phase not in WITHOUT_TRAFFIC
    is_live = push is not None and good is not None and good.push.digest == push.digest
    desired_now = [push] if push is not None and not (is_over or is_live or desired.rollback) else []
    digests = {item.digest for item in (*desired_now, *(waiting.push for waiting in desired.waiting))}
    return frozenset(digests & set(desired.passed_digests) - {desired.past_stage})


def with_withdrawn(desired: DesiredState, digest: str) -> DesiredState:
    """The desired state once an image that was taken does not serve in the stage before any more."""
    waiting = tuple(item for item in desired.waiting if item.push.digest != digest)
    withdrawn = digest if desired.push is not None and desired.push.digest == digest else desired.withdrawn_digest
    return replace(desired, waiting=waiting, withdrawn_digest=withdrawn)


def is_withdrawn(desired: DesiredState, release: ReleaseState) -> bool:
    """True where the image of the release under way is not the one that serves in the stage before any more."""
    push, good = release.push, release.last_good
    if push is None or push.digest != desired.withdrawn_digest:
        return False
    return desired.rollback is None and (good is None or good.push.digest != push.digest)


def has_unknown(desired: DesiredState) -> bool:
    """True where the release state decides whether each image has passed: it may have run before the stage existed."""
    waiting = (item.push for item in desired.waiting)
    pushes = (desired.push, *waiting, *(item.push for item in desired.previous_pushes))
    return any(push is not None and push.digest not in desired.passed_digests for push in pushes)


def has_passed(digest: str, desired: DesiredState, release: ReleaseState) -> bool:
    """True for an image that passed the stage before, or was good here already, or is rolled back to."""
    good = {version.push.digest for version in (release.last_good, release.previous_good) if version}
    back = desired.rollback.push if desired.rollback else None
    return digest in {*desired.passed_digests, *good} or (back is not None and digest == back.digest)


def unpassed_tags(desired: DesiredState, release: ReleaseState) -> tuple[str, ...]:
    """The tags of desired pushes that have not passed the stage before."""
    pushes = (*([desired.push] if desired.push else []), *(item.push for item in desired.waiting))
    return tuple(push.tag for push in pushes if not has_passed(push.digest, desired, release))


def without_unpassed(desired: DesiredState, spec: AgentSpec, release: ReleaseState, now: datetime) -> DesiredState:
    """What was desired before is desired again, in the place of pushes that have not passed the stage before."""
    waiting = tuple(item for item in desired.waiting if has_passed(item.push.digest, desired, release))
    kept = desired if waiting == desired.waiting else replace(desired, waiting=waiting)
    if kept.push is None or has_passed(kept.push.digest, kept, release):
        return kept
    entries = enumerate(kept.previous_pushes)
    passed = (n for n, entry in entries if entry.push is None or has_passed(entry.push.digest, kept, release))
    restored = restore(kept, spec, next(passed, None), release.observed_generation, now)
    good = release.last_good
    return replace(restored, push=good.push) if restored.push is None and good is not None else restored


def with_unpassed_held(
    desired: DesiredState, release: ReleaseState, upstream: Sequence[str], now: datetime
) -> DesiredState:
    """The desired state with a hold on each image, also of the release under way, that has not passed the stage."""
    pushes = (desired.push, *(item.push for item in desired.waiting), release.push)
    digests = dict.fromkeys(push.digest for push in pushes if push is not None)
    detail = f"it did not pass the stage before, {' and '.join(upstream)}"
    found = tuple(
        Hold("", digest, Reason.STAGE_NOT_PASSED.value, detail, now)
        for digest in digests
        if not has_passed(digest, desired, release)
    )
    return replace(desired, holds=(*desired.holds, *found)) if found else desired
