"""confirm: the candidate is active on a second read, and is what was asked for."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import ResolvedDefinition, differing_parts, own_variables
from core.model import Status, Version
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, ConfirmActive, EndRelease, Poll, UpdateState
from core.release.inputs import NOT_READ, DecisionInput, Resolution
from core.state.release import Phase, ReleaseState


def confirm(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """One read of ``active`` is not enough: a version can fall back to ``creating``."""
    release = inputs.release
    return ConfirmActive(release.candidate or "") if release.phase is Phase.STARTED else None


def after_confirm(
    release: ReleaseState, version: Version | None, now: datetime, definition: Resolution = NOT_READ
) -> Action:
    """What the second read leads to; ``definition`` is the release's, where it was read."""
    if version is None or version.status is not Status.ACTIVE:
        return Poll(Reason.CREATE)
    mismatch = _mismatch(release, version, definition)
    if mismatch is None:
        return UpdateState(Reason.CONFIRM_PASSED, transitions.in_phase(release, Phase.CONFIRMED))
    reason = Reason.DEFINITION_MISMATCH
    return EndRelease(reason, transitions.ended(release, reason, now, mismatch), mismatch)


def _mismatch(release: ReleaseState, version: Version, definition: Resolution) -> str | None:
    """How the candidate differs from what was asked for, or None; the platform may have added variables."""
    if version.image != release.image:
        return f"image {version.image} instead of {release.image}"
    actual, expected = own_variables(version.variables), own_variables(release.variables)
    if actual != expected:
        return f"variables {', '.join(sorted(actual ^ expected))} differ"
    if isinstance(definition, ResolvedDefinition) and definition.fingerprint == release.fingerprint:
        differing = differing_parts(version, definition.definition)
        return f"{', '.join(differing)} differ" if differing else None
    return None
