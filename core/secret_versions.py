"""Decides whether a secret that was read is as new as the version that an event named.

The ids of versions are random, so their creation times in the vault decide; both are of the vault's clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.events import SecretChanged
from core.model import UNKNOWN_TIME, Secret, SecretUnavailable, SecretVersion
from core.state.desired import NamedVersion

LAG = timedelta(seconds=30)
"""How long a read that gives an older version is repeated, counted from the event."""
LONGEST_LAG = timedelta(minutes=5)
"""The same, where the vault lists no such version and gives the one that was released already."""
REMEMBERED = timedelta(hours=1)
"""How long an event's version counts."""
PAUSE = timedelta(seconds=5)
MAX_NAMED = 50
"""Versions of events that are remembered, one for each secret."""


@dataclass(frozen=True, slots=True)
class LaggingSecret:
    """A secret whose newest version may not be readable yet."""

    detail: str
    since: datetime
    longest: timedelta = LAG

    def read_again_at(self, now: datetime, *, push_waits: bool) -> datetime | None:
        """When to read again; None where that was tried for long enough, which is sooner while a push waits for it."""
        end = self.since + (LAG if push_waits else self.longest)
        return min(now + PAUSE, end) if now < end else None


@dataclass(frozen=True, slots=True)
class ReadInstead:
    """The vault lists a newer version than it gives: that one is read by its own id."""

    version: str


@dataclass(frozen=True, slots=True)
class LaterVersion:
    """The newest version of a secret, which starts later; an older one is used until then, if there is a valid one."""

    secret: str
    version: str
    starts_at: datetime
    used: str = ""
    """The version that is used until then."""

    @property
    def detail(self) -> str:
        """What people must know of it."""
        starts = f"version {self.version} of secret {self.secret} starts at {self.starts_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{starts}, version {self.used} is used" if self.used else starts


def starts_later(version: Secret | SecretVersion, now: datetime) -> bool:
    """True while the start date of the version is in the future."""
    return version.not_before is not None and now < version.not_before


def version_in_force(listed: Iterable[SecretVersion], now: datetime) -> SecretVersion | None:
    """The newest version that is enabled and valid now."""
    usable = (item for item in listed if item.enabled and not starts_later(item, now) and not has_expired(item, now))
    return max(usable, key=_created_at, default=None)


def has_expired(version: Secret | SecretVersion, now: datetime) -> bool:
    """True once the version has expired."""
    return version.expires_on is not None and version.expires_on <= now


def next_start(listed: Iterable[SecretVersion], used: SecretVersion | None, now: datetime) -> datetime | None:
    """When the first of the versions starts that are newer than the one that is used."""
    since = _created_at(used) if used else UNKNOWN_TIME
    newer = (item for item in listed if item.enabled and starts_later(item, now) and _created_at(item) >= since)
    return min((item.not_before for item in newer if item.not_before), default=None)


def newest_version(listed: Iterable[SecretVersion]) -> SecretVersion | None:
    """The version that was created last, whether or not it is enabled and valid."""
    return max(listed, key=_created_at, default=None)


def version_to_run(listed: Sequence[SecretVersion], now: datetime) -> SecretVersion | None:
    """The version that a release uses; None where the newest one is disabled or expired, or nothing is valid yet."""
    newest = newest_version(listed)
    if newest is None or not newest.enabled or has_expired(newest, now):
        return None
    return version_in_force(listed, now) if starts_later(newest, now) else newest


def _created_at(version: SecretVersion) -> datetime:
    return version.created_at or UNKNOWN_TIME


def with_named_version(
    named: Mapping[str, NamedVersion], changed: SecretChanged, now: datetime
) -> Mapping[str, NamedVersion]:
    """What events named, with one more event; events come late and twice, so the latest by its own time counts."""
    before, at = named.get(changed.name), changed.at or now
    counts = before is not None and _counts(before, now)
    if before is not None and counts and (before.version == changed.version or at < before.at):
        return named
    kept = sorted(((name, item) for name, item in named.items() if name != changed.name), key=lambda kv: kv[1].since)
    return {**dict(kept[1 - MAX_NAMED :]), changed.name: NamedVersion(changed.version, at, now)}


def version_to_await(named: NamedVersion | None, found: Secret | SecretUnavailable, now: datetime) -> str | None:
    """The version that an event named, where another one was read, or none yet."""
    if named is None or not _counts(named, now) or found is SecretUnavailable.FORBIDDEN:
        return None
    return None if isinstance(found, Secret) and found.version.lower() == named.version else named.version


def judge(
    found: Secret | SecretUnavailable,
    named: NamedVersion,
    listed: Iterable[SecretVersion],
    released: str | None,
    now: datetime,
) -> LaggingSecret | ReadInstead | None:
    """Whether what was read is older than the named version; None where it is newer, or the named one is disabled.

    ``released`` is the version that the agent's last release had. Where the vault does not list the named version, an
    unreleased one may be newer, and is not waited for longer.
    """
    version = next((item for item in listed if item.version.lower() == named.version), None)
    if version is not None and not version.enabled:
        return None
    if isinstance(found, SecretUnavailable):
        return LaggingSecret(f"version {named.version} of an event cannot be read", named.since)
    longest = LONGEST_LAG if version is None and found.version == released else LAG
    lagging = LaggingSecret(f"an event named {named.version}, Key Vault gives {found.version}", named.since, longest)
    if version is None or version.created_at is None or found.created_at is None:
        return lagging
    if found.created_at > version.created_at:
        return None
    over = lagging.read_again_at(now, push_waits=False) is None
    return ReadInstead(version.version) if over and found.created_at < version.created_at else lagging


def _counts(named: NamedVersion, now: datetime) -> bool:
    return now - named.since < REMEMBERED
