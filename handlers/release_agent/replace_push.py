"""Replaces the desired push by a push that waited, or by what the registry says, as a compare-and-swap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.intake.events import displace
from core.intake.registry_check import Correction, apply_correction, reject
from core.release.actions import ReplaceDesiredPush
from core.release.inputs import DecisionInput
from core.state.desired import DesiredState


@dataclass(slots=True)
class PushReplacement:
    """The change of one action; ``applied`` is False where somebody else changed the desired state first."""

    spec: AgentSpec
    action: ReplaceDesiredPush
    inputs: DecisionInput
    now: datetime
    applied: bool = False

    def apply(self, desired: DesiredState) -> DesiredState:
        """The corrected desired state, or the same where it is not the one that was decided on."""
        action, observed_generation = self.action, self.inputs.release.observed_generation
        waiting = next((item for item in desired.waiting if item.push == action.push), None)
        if waiting is not None:  # whatever else has changed, it is old enough
            self.applied = True
            return replace(displace(desired, self.spec, waiting.push, self.now), traceparent=waiting.traceparent)
        before = self.inputs.desired
        unchanged = desired.push == before.push and desired.waiting == before.waiting  # an event may have come since
        self.applied = unchanged and desired.generation == action.generation
        if not self.applied:
            return desired
        if action.push is None:
            tags = self.inputs.observed.recent_tags or ()
            return reject(desired, self.spec, (action.reason, action.detail), tags, observed_generation, self.now)
        correction = Correction(action.push, action.reason, action.detail)
        return apply_correction(desired, self.spec, correction, observed_generation, self.now)
