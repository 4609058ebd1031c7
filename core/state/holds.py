"""Which definitions and images are held now."""

from __future__ import annotations

from datetime import datetime

from core.state.desired import DesiredState, Hold, LiftedHold
from core.state.release import ReleaseState


def active(desired: DesiredState, release: ReleaseState, now: datetime) -> tuple[Hold, ...]:
    """Every hold, of Slipway and of operators, that has neither ended nor been removed."""
    return tuple(hold for hold in (*release.holds, *desired.holds) if not _over(hold, desired, now))


def set_by_people(desired: DesiredState, now: datetime) -> tuple[Hold, ...]:
    """The holds of operators that have neither ended nor been removed."""
    return active(desired, ReleaseState(), now)


def of_digest(holds: tuple[Hold, ...], digest: str) -> Hold | None:
    """The hold on an image, whatever its definition."""
    return next((hold for hold in holds if digest and hold.digest == digest), None)


def of_fingerprint(holds: tuple[Hold, ...], fingerprint: str) -> Hold | None:
    """The hold on exactly this definition."""
    return next((hold for hold in holds if fingerprint and hold.fingerprint == fingerprint), None)


def describe(hold: Hold) -> str:
    """The hold for people: why, by whom, until when, and its detail."""
    until = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold.until else ""
    return f"{hold.reason} by {hold.by or 'Slipway'}{until}: {hold.detail}"


def lift_of(hold: Hold) -> LiftedHold:
    """What removes exactly this hold, whatever the clocks of the hosts say."""
    return LiftedHold(hold.fingerprint, hold.digest, hold.since)


def _over(hold: Hold, desired: DesiredState, now: datetime) -> bool:
    return (hold.until is not None and hold.until <= now) or lift_of(hold) in desired.lifted
