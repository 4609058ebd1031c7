"""verify: asks the candidate while it has no traffic."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, UpdateState, Verify
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput
from core.state.release import Phase

REASON_OF = {
    ProbeOutcome.FAILED: Reason.VERIFY_FAILED,
    ProbeOutcome.FORBIDDEN: Reason.VERIFY_FORBIDDEN,
    ProbeOutcome.DISABLED: Reason.AGENT_DISABLED,
    ProbeOutcome.INCONCLUSIVE: Reason.VERIFY_INCONCLUSIVE,
}


def verify(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Ask what ``release.verify`` says."""
    asks = spec.release.verify and inputs.release.phase is Phase.CONFIRMED
    return Verify(inputs.release.candidate or "") if asks else None


def after_verify(inputs: DecisionInput, spec: AgentSpec, report: ProbeReport, now: datetime) -> Action:
    """What the report leads to: on to the traffic, an end with a hold, or an end without one where nothing is known."""
    if report.outcome is ProbeOutcome.PASSED:
        return UpdateState(Reason.VERIFY_PASSED, transitions.in_phase(inputs.release, Phase.VERIFIED))
    reason, state = REASON_OF[report.outcome], inputs.release
    if report.outcome is ProbeOutcome.FAILED:
        state = transitions.held(state, reason, report.detail, spec.release.hold_for, now)
    return EndRelease(reason, transitions.ended(state, reason, now, report.detail), report.detail)
