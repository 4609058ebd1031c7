"""approval: in mode manual a person must approve the candidate."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    EndRelease,
    Stop,
)
from core.release.inputs import DecisionInput


def approval(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 24: in mode ``manual`` a person must have approved this very version with this very fingerprint.

    The mode may have become ``notify`` by a deployment since the release began: then it goes no further.
    """
    approved, record = world.desired.approval, world.release
    if rule.release.mode == "notify":
        return EndRelease(Reason.WOULD_RELEASE, transitions.ended(record, Reason.WOULD_RELEASE, now))
    named = (approved.version, approved.fingerprint) if approved else None
    waits = rule.release.mode == "manual" and named != (record.candidate, record.fingerprint)
    return Stop(Reason.AWAITING_APPROVAL) if waits else None
