"""confirm: the candidate is active on a second read and matches what was asked for."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import own_variables
from core.model import Version
from core.release.actions import (
    Action,
    ConfirmActive,
)
from core.release.inputs import DecisionInput
from core.release.rules_candidate import _seen
from core.state.release import Phase, ReleaseState


def confirm(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 22: active once is not active: a second read, to be compared with what was meant."""
    return ConfirmActive(_seen(inputs)) if inputs.release.phase is Phase.STARTED else None


def mismatch(release: ReleaseState, version: Version) -> str | None:
    """How an active candidate differs from what was asked for, or None; the platform may have added variables."""
    if version.image != release.image:
        return f"image {version.image} instead of {release.image}"
    there, meant = own_variables(version.variables), own_variables(release.variables)
    if there != meant:
        return f"variables {', '.join(sorted(there ^ meant))} differ"
    return None
