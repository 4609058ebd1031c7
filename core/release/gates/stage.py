"""stage: no version is made of an image that is held in an earlier stage, or was rolled back there, meanwhile.

Nor of one that never passed that stage, or from which somebody moved the traffic there. The image came from the stage
before; that decision is older than this release.
"""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.intake.passed_stage import is_withdrawn
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease
from core.release.inputs import DecisionInput
from core.state import holds


def stage(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """End the release before its create; later, ``held_meanwhile`` keeps the traffic away."""
    release = inputs.release
    if not spec.place.earlier or release.candidate is not None or release.push is None:
        return None
    if withdrawn := withdrawn_meanwhile(inputs, spec, now):
        return withdrawn
    hold = holds.of_digest(holds.active(inputs.desired, release, now), release.push.digest)
    if hold is None:
        return None
    detail = holds.describe(hold)
    return EndRelease(Reason.HELD, transitions.ended(release, Reason.HELD, now, detail), detail)


def withdrawn_meanwhile(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Somebody moved the traffic of the stage before after the image was taken; its candidate gets no traffic.

    What is live here already goes on, with new secrets too.
    """
    release = inputs.release
    if not spec.place.upstream or not is_withdrawn(inputs.desired, release):
        return None
    detail = f"somebody moved the traffic of the stage before, {' and '.join(spec.place.upstream)}"
    return EndRelease(Reason.STAGE_CANCELLED, transitions.ended(release, Reason.STAGE_CANCELLED, now, detail), detail)
