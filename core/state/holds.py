"""Which definitions and images are held now."""

from __future__ import annotations

from datetime import datetime

from core.state.desired import DesiredState, Hold
from core.state.release import ReleaseState


def active(desired: DesiredState, release: ReleaseState, now: datetime) -> tuple[Hold, ...]:
    """Every hold, of Slipway and of operators, that has neither ended nor been removed."""
    return tuple(hold for hold in (*release.holds, *desired.holds) if not _over(hold, desired, now))


def of_digest(holds: tuple[Hold, ...], digest: str) -> Hold | None:
    """The hold on an image, whatever its definition."""
    return next((hold for hold in holds if digest and hold.digest == digest), None)


def of_fingerprint(holds: tuple[Hold, ...], fingerprint: str) -> Hold | None:
    """The hold on exactly this definition."""
    return next((hold for hold in holds if fingerprint and hold.fingerprint == fingerprint), None)


def _over(hold: Hold, desired: DesiredState, now: datetime) -> bool:
    if hold.until is not None and hold.until <= now:
        return True
    lifted = (desired.lifted_at.get(key) for key in (hold.fingerprint, hold.digest) if key)
    return any(at is not None and hold.since <= at for at in lifted)
