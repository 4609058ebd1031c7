"""Which versions of an agent's toolbox may go: the same rules as for the agent's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agents_file.spec import KeepSpec
from core.definition import TOOLBOX, TOOLBOX_ENDPOINT
from core.model import UNKNOWN_TIME, Version
from core.reasons import Reason

MIN_TOOLBOX_AGE = timedelta(hours=1)
"""A toolbox version is made before the agent version that names it: a younger one may be waited for."""


@dataclass(frozen=True, slots=True)
class ToolboxVersion:
    """One version of a toolbox as the service tells it."""

    version: str
    created_at: datetime
    is_ours: bool
    """True when its metadata says that we made it."""
    default: bool = False


@dataclass(frozen=True, slots=True)
class ToolboxDecision:
    """One toolbox version, and why it stays or goes."""

    version: str
    reason: Reason

    @property
    def deletes(self) -> bool:
        """True where nothing needs it."""
        return self.reason is Reason.PRUNED_STALE


def plan_toolbox(
    versions: Iterable[ToolboxVersion], kept: Iterable[Version], keep: KeepSpec, now: datetime
) -> tuple[ToolboxDecision, ...]:
    """One line and one reason for each toolbox version, oldest first; ``kept`` are the agent versions that stay."""
    ordered = sorted(versions, key=lambda one: int(one.version))
    users = [version for version in kept if TOOLBOX_ENDPOINT in version.variables]
    named = {version.metadata.get(TOOLBOX) for version in users}  # None: made before versions said what they use

    def why(one: ToolboxVersion) -> Reason:
        if one.version in named or None in named:
            return Reason.KEPT_IN_RELEASE
        if one.default or one is ordered[-1]:
            return Reason.KEPT_LIVE
        if not one.is_ours:
            return Reason.KEPT_FOREIGN
        if one.created_at == UNKNOWN_TIME:
            return Reason.KEPT_UNDATED
        return Reason.KEPT_YOUNG if now - one.created_at < max(keep.min_age, MIN_TOOLBOX_AGE) else Reason.PRUNED_STALE

    return tuple(ToolboxDecision(one.version, why(one)) for one in ordered)
