"""Decides which changes a release under way does not see: they follow once it has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.release.actions import Read
from core.release.gates.approval import is_approved
from core.release.gates.window import is_let_through
from core.release.inputs import DecisionInput
from core.release.rules_registry import correction, is_lagging
from core.release.rules_signature import is_unsigned
from core.release_outcome import awaits_approval, awaits_window
from core.waits import quiet_until


def without_what_follows(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> DecisionInput:
    """A release under way goes on as if the change that follows it had not come."""
    if not _follows(inputs, spec, now):
        return inputs
    desired, observed = inputs.desired, inputs.release.observed_generation
    user_generation = min(desired.user_generation, observed)
    return replace(inputs, desired=replace(desired, generation=observed, user_generation=user_generation))


def _follows(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> bool:
    """True for a change in its quiet time, a rotated secret, and a push whose image is not readable or signed yet.

    A release that waits for an approval, or for its window, has nothing to go on with: there the last two are waited
    for. Nor does a version whose secrets were rotated while it waited for its window go live.
    """
    desired, release = inputs.desired, inputs.release
    observed = release.observed_generation
    if not release.is_open or desired.asked_generation <= observed:
        return False
    waited, is_open = awaits_window(release), spec.release.opens_at(now) is None
    if waited and is_open and not inputs.has_pending_user_change:
        return False
    if quiet_until(desired, observed, spec, now) is not None:
        return True
    is_closed = waited and not is_open and not is_let_through(inputs)
    if is_closed or (awaits_approval(release) and not is_approved(inputs)):
        return False
    return not inputs.has_pending_user_change or _push_lags(inputs, spec, now) or is_unsigned(inputs, spec, now)


def _push_lags(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> bool:
    corrected = Read.RECENT_TAGS in inputs.observed.reads and correction(inputs, spec) is not None
    return is_lagging(inputs, spec, now) and not corrected
