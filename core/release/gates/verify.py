"""verify: asks the candidate while it has no traffic."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    EndRelease,
    UpdateState,
    Verify,
)
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput
from core.release.rules_candidate import _candidate
from core.state.release import Phase


def verify(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 23: ask the candidate while it has no traffic."""
    return Verify(_candidate(inputs)) if spec.release.verify and inputs.release.phase is Phase.CONFIRMED else None


def after_verify(inputs: DecisionInput, spec: AgentSpec, report: ProbeReport, now: datetime) -> Action:
    """What the answers mean: on to the traffic, a hold, or the end without one where nothing is known."""
    if report.outcome is ProbeOutcome.PASSED:
        return UpdateState(Reason.VERIFY, transitions.verified(inputs.release))
    reason, release = NOT_VERIFIED[report.outcome], inputs.release
    if report.outcome is ProbeOutcome.FAILED:
        release = transitions.held(release, reason, report.detail, spec.release.hold_for, now)
    return EndRelease(reason, transitions.ended(release, reason, now, report.detail), report.detail)


NOT_VERIFIED = {
    ProbeOutcome.FAILED: Reason.VERIFY_FAILED,
    ProbeOutcome.FORBIDDEN: Reason.VERIFY_FORBIDDEN,
    ProbeOutcome.DISABLED: Reason.AGENT_DISABLED,
    ProbeOutcome.INCONCLUSIVE: Reason.VERIFY_INCONCLUSIVE,
}
