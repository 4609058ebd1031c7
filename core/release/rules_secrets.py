"""Decides what to do while Key Vault gives an older version of a secret than an event named."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Action, Read, Requeue
from core.release.inputs import DecisionInput


def secret_lags(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The version that an event named cannot be read yet: read again, for a limited time."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.DESIRED_DEFINITION):
        return needed
    again_at = _read_again_at(inputs, now)
    return Requeue(Reason.SECRET_LAGS, again_at) if again_at else None


def _read_again_at(inputs: DecisionInput, now: datetime) -> datetime | None:
    lagging = inputs.observed.desired_definition.lagging
    waits = inputs.has_pending and Read.DESIRED_DEFINITION in inputs.observed.reads and lagging is not None
    if not waits or lagging is None:
        return None
    return lagging.read_again_at(now, push_waits=inputs.has_pending_user_change)
