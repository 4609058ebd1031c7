"""Decides what to do where the newest version of a secret cannot be used yet: it lags, or it starts later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Action, Read, ReleaseAgain, Requeue, UpdateState
from core.release.inputs import DecisionInput
from core.release.rules_registry import lag_read_due
from core.release_outcome import awaits_approval
from core.state.desired import DesiredState
from core.state.release import ReleaseState

SOON = timedelta(minutes=10)
"""Longer than the timer's interval: each release that ends before the date would add a message to the queue."""


def secret_lags(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The version that an event named cannot be read yet: read again, for a limited time."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.DESIRED_DEFINITION):
        return needed
    again_at = _read_again_at(inputs, now)
    return Requeue(Reason.SECRET_LAGS, again_at) if again_at else None


def secret_starts(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A version of a secret starts that the last definition could not use yet."""
    release, desired = inputs.release, inputs.desired
    if release.secret_due is None or now < release.secret_due or inputs.has_pending or _goes_on(release):
        return None
    state = replace(release, secret_due=None)
    if spec.release.on_secret_change != "release":
        return UpdateState(Reason.SECRET_CHANGE_IGNORED, state)
    return ReleaseAgain(Reason.SECRET_NOW_VALID, state, desired.generation)


def next_message_due(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> datetime | None:
    """When an agent whose release ended needs a message: the registry lags, or a version of a secret starts soon.

    The timer finds later dates, and missed ones.
    """
    starts_at = release.secret_due
    soon = starts_at if starts_at is not None and now < starts_at <= now + SOON else None
    return min(filter(None, (lag_read_due(desired, spec, now), soon)), default=None)


def _goes_on(release: ReleaseState) -> bool:
    return release.is_open and not awaits_approval(release)


def _read_again_at(inputs: DecisionInput, now: datetime) -> datetime | None:
    lagging = inputs.observed.desired_definition.lagging
    waits = inputs.has_pending and Read.DESIRED_DEFINITION in inputs.observed.reads and lagging is not None
    if not waits or lagging is None:
        return None
    return lagging.read_again_at(now, push_waits=inputs.has_pending_user_change)
