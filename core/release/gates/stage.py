"""stage: no version is made of an image that is held in an earlier stage, or was rolled back there, meanwhile.

Nor of one that never passed that stage. The image came from the stage before; that decision is older than this release.
"""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
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
    hold = holds.of_digest(holds.active(inputs.desired, release, now), release.push.digest)
    if hold is None:
        return None
    detail = holds.describe(hold)
    return EndRelease(Reason.HELD, transitions.ended(release, Reason.HELD, now, detail), detail)
