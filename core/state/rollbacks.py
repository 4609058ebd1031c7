"""Which rollback is in force, how far it is, and what it gives the agent to run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.model import Push
from core.state.desired import DesiredState, RollbackRequest
from core.state.release import ReleaseState


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The version whose definition the agent runs since a rollback, and its push."""

    version: str
    push: Push | None
    at: datetime | None
    created_at: datetime | None = None
    """When the version was created, where that is known."""


def under_way_first(desired: DesiredState, release: ReleaseState) -> DesiredState:
    """The desired state as of the rollback until that is answered: what came since, such as a rotation, follows it."""
    rollback = desired.rollback
    if rollback is None or rollback.generation == desired.generation or not _is_unanswered(rollback, release):
        return desired
    generation, push = rollback.generation, rollback.push or desired.push
    return replace(desired, generation=generation, user_generation=generation, push=push, not_before=None, waiting=())


def rolled_back(desired: DesiredState, release: ReleaseState) -> RolledBack | None:
    """What the rollback in force gives: its version, or the newest one that was made from that."""
    rollback, good = desired.rollback, release.last_good
    if rollback is None:
        return None
    if good is not None and is_done(rollback, release):
        return RolledBack(good.version, good.push, rollback.at)
    return RolledBack(rollback.version, rollback.push or desired.push, rollback.at, rollback.created_at)


def is_done(rollback: RollbackRequest, release: ReleaseState) -> bool:
    """True once the version went live and passed its check."""
    good = release.last_good
    return good is not None and rollback.at is not None and good.rollback_at == rollback.at


def describe(rollback: RollbackRequest) -> str:
    """To which version, by whom, since when and why."""
    since = f" since {rollback.at:%Y-%m-%d %H:%M} UTC" if rollback.at else ""
    return f"to version {rollback.version} by {rollback.by or 'somebody'}{since}: {rollback.why or 'no reason given'}"


def _is_unanswered(rollback: RollbackRequest, release: ReleaseState) -> bool:
    observed = release.observed_generation
    return observed < rollback.generation or (release.is_open and observed == rollback.generation)
