"""Decides whether a secret that was read is as new as the version that an event named.

The ids of versions are random, so their creation times in the vault decide; both are of the vault's clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.events import SecretChanged
from core.model import Secret, SecretUnavailable, SecretVersion
from core.state.desired import NamedVersion

LAG = timedelta(seconds=30)
"""How long a read that gives an older version is repeated, counted from the event."""
LONGEST_LAG = timedelta(minutes=5)
"""The same, where the vault lists no such version and gives the one that was released already."""
REMEMBERED = timedelta(hours=1)
"""How long an event's version counts."""
PAUSE = timedelta(seconds=5)


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


def with_named_version(
    named: Mapping[str, NamedVersion], changed: SecretChanged, now: datetime
) -> Mapping[str, NamedVersion]:
    """What events named, with one more event; events come late and twice, so the latest by its own time counts."""
    kept = {name: item for name, item in named.items() if _counts(item, now)}
    before, at = kept.get(changed.name), changed.at or now
    if before is not None and (before.version == changed.version or at < before.at):
        return kept
    return {**kept, changed.name: NamedVersion(changed.version, at, now)}


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
