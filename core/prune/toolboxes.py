"""Decides which versions of an agent's toolbox pruning deletes, by the same settings as for the agent's versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agents_file.spec import KeepSpec
from core.definition import TOOLBOX, TOOLBOX_ENDPOINT
from core.model import UNKNOWN_TIME, Version
from core.reasons import Reason

MIN_TOOLBOX_AGE = timedelta(hours=1)
"""A toolbox version is created before the agent version that uses it, so a younger one may be about to be used."""


@dataclass(frozen=True, slots=True)
class ToolboxVersion:
    """A version of a toolbox, as the service describes it."""

    version: str
    created_at: datetime
    is_ours: bool
    """True if its metadata says that Slipway created it."""
    default: bool = False


@dataclass(frozen=True, slots=True)
class ToolboxDecision:
    """Why a toolbox version stays or is deleted."""

    version: str
    reason: Reason

    @property
    def deletes(self) -> bool:
        """True if the version is deleted."""
        return self.reason is Reason.PRUNED_STALE


def plan_toolbox(
    versions: Iterable[ToolboxVersion], kept: Iterable[Version], keep: KeepSpec, now: datetime
) -> tuple[ToolboxDecision, ...]:
    """A decision for every toolbox version, oldest first; ``kept`` are the agent versions that stay."""
    ordered = sorted(versions, key=lambda version: int(version.version))
    users = [version for version in kept if TOOLBOX_ENDPOINT in version.variables]
    used = {version.metadata.get(TOOLBOX) for version in users}  # None: an old version without this metadata

    def reason(version: ToolboxVersion) -> Reason:
        if version.version in used or None in used:
            return Reason.KEPT_IN_RELEASE
        if version.default or version is ordered[-1]:
            return Reason.KEPT_LIVE
        if not version.is_ours:
            return Reason.KEPT_FOREIGN
        if version.created_at == UNKNOWN_TIME:
            return Reason.KEPT_UNDATED
        return (
            Reason.KEPT_YOUNG if now - version.created_at < max(keep.min_age, MIN_TOOLBOX_AGE) else Reason.PRUNED_STALE
        )

    return tuple(ToolboxDecision(version.version, reason(version)) for version in ordered)
