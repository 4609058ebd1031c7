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


def approval(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 24: in mode ``manual`` a person must have approved this very version with this very fingerprint.

    The mode may have become ``notify`` by a deployment since the release began: then it goes no further.
    """
    approved, release = inputs.desired.approval, inputs.release
    if spec.release.mode == "notify":
        return EndRelease(Reason.WOULD_RELEASE, transitions.ended(release, Reason.WOULD_RELEASE, now))
    named = (approved.version, approved.fingerprint) if approved else None
    waits = spec.release.mode == "manual" and named != (release.candidate, release.fingerprint)
    return Stop(Reason.APPROVAL_WAITING) if waits else None
