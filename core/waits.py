"""The two times for which a change waits.

A push waits until it is old enough (``release.min_push_age``); a changed secret or agents.yaml until nothing more has
changed for a while (``release.debounce``). The quiet time of a secret holds up no push.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.state.desired import MAX_WAITING_PUSHES, DesiredState, WaitingPush
from core.state.release import ReleaseState
from core.timing import CONSISTENCY_LAG, add


def old_enough_at(waiting: WaitingPush, spec: AgentSpec) -> datetime:
    """The end of ``min_push_age``, with today's agents.yaml.

    The age counts from the push. A registry whose clock is ahead cannot prolong it: it counts from its event then.
    """
    return add(min(waiting.push.pushed_at, waiting.since), spec.release.min_push_age)


def newest_old_enough(desired: DesiredState, spec: AgentSpec, now: datetime) -> WaitingPush | None:
    """The newest of the pushes that have waited long enough."""
    return next((waiting for waiting in desired.waiting if old_enough_at(waiting, spec) <= now), None)


def with_waiting(desired: DesiredState, waiting: WaitingPush) -> DesiredState:
    """One more push waits. Where the list is full, the push that is closest to its neighbours is left out.

    The oldest stays, so that a branch that is pushed more often than its minimum age still goes live.
    """
    pushes = (waiting, *desired.waiting)
    if len(pushes) > MAX_WAITING_PUSHES:
        middle = range(1, len(pushes) - 1)
        left_out = min(middle, key=lambda number: pushes[number - 1].since - pushes[number + 1].since)
        pushes = (*pushes[:left_out], *pushes[left_out + 1 :])
    return replace(desired, waiting=pushes)


def with_quiet_time(
    changed: DesiredState, before: DesiredState, spec: AgentSpec, now: datetime, *, of_secret: bool
) -> DesiredState:
    """``changed``, the next generation, waits until nothing more has changed for ``debounce``.

    A trickle of changes prolongs the quiet time, but not for ever: what had its longest quiet time is due, also where
    no release has started meanwhile. A secret does not prolong it while a push, or agents.yaml, waits for its end.
    """
    since, due = before.quiet_since, before.due_generation
    if since is None or not _is_quiet(before, now):
        since, due = now, before.generation
    elif of_secret and _others_wait(before):
        return changed
    end = min(add(now, spec.release.debounce), add(since, spec.release.longest_debounce))
    return replace(changed, not_before=end, quiet_since=since, due_generation=due)


def after_push(changed: DesiredState, before: DesiredState, now: datetime) -> DesiredState:
    """``changed``, the next generation, has a push that is old enough: it waits only while agents.yaml is not quiet."""
    if before.not_before is None or (_is_quiet(before, now) and _others_wait(before)):
        return changed
    return replace(changed, due_generation=changed.generation)


def quiet_until(desired: DesiredState, observed_generation: int, spec: AgentSpec, now: datetime) -> datetime | None:
    """The end of the quiet time, where nothing that no release has answered is due before.

    A quiet time that began in our future is over: its end cannot be known. So is one that is longer than agents.yaml
    allows.
    """
    since, end = desired.quiet_since or desired.updated_at, desired.not_before
    is_over = observed_generation < desired.due_generation or desired.generation <= observed_generation
    if end is None or since is None or is_over or now >= end or since - now > CONSISTENCY_LAG:
        return None
    return end if end - since <= spec.release.longest_debounce else None


def waits_until(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> datetime | None:
    """When the next change is due, where there is nothing to do before; None where a release goes on or starts now."""
    if release.is_open or release.pending_write is not None:
        return None
    ends = [old_enough_at(waiting, spec) for waiting in desired.waiting]
    if desired.generation > release.observed_generation:
        quiet = quiet_until(desired, release.observed_generation, spec, now)
        if quiet is None:
            return None
        ends.append(quiet)
    if ends and release.secret_due is not None:
        ends.append(release.secret_due)
    first = min(ends, default=now)
    return first if first > now else None


def _is_quiet(desired: DesiredState, now: datetime) -> bool:
    """Whether a quiet time is running."""
    since, end = desired.quiet_since, desired.not_before
    return since is not None and end is not None and since - now <= CONSISTENCY_LAG and now < end


def _others_wait(desired: DesiredState) -> bool:
    """Whether the quiet time is not that of secrets alone."""
    return desired.user_generation > desired.due_generation
