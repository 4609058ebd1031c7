"""approval: in mode manual an operator must approve the candidate."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, Stop
from core.release.inputs import DecisionInput


def approval(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The approval must be of this version, which its creation time names, with this fingerprint.

    A deployment of agents.yaml may have changed the mode to ``notify`` since the release began: then it ends here.
    """
    if spec.release.mode == "notify":
        return EndRelease(Reason.WOULD_RELEASE, transitions.ended(inputs.release, Reason.WOULD_RELEASE, now))
    return Stop(Reason.APPROVAL_WAITING) if spec.release.mode == "manual" and not is_approved(inputs) else None


def is_approved(inputs: DecisionInput) -> bool:
    """True where an operator approved the candidate of the release under way."""
    release, given = inputs.release, inputs.desired.approval
    if given is None or (given.version, given.fingerprint) != (release.candidate, release.fingerprint):
        return False
    return given.created_at in (None, release.created_at.get(given.version))
