"""Finds secrets in use that expire soon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.model import SecretVersion
from core.secret_versions import newest_version, version_to_run

DAYS = (7, 30)
"""So many days ahead an expiry is reported, once each."""
MAX_SHOWN_AGENTS = 5
Uses = Mapping[str, Mapping[str, frozenset[str]]]
"""Agent -> secret in lower case -> the versions that the agent pins; an empty version is the newest."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """A version in use that expires soon."""

    secret: str
    version: str
    expires_on: datetime
    days: int
    """For which of the numbers of days it is reported."""
    agents: tuple[str, ...]

    @property
    def key(self) -> str:
        """What is remembered of the report."""
        return f"{self.secret}@{self.version} {self.days}"

    def detail(self, now: datetime) -> str:
        """The version with its date, and some of the agents that use it."""
        left = (self.expires_on - now).days
        when = "expired on" if left < 0 else f"expires in {left} days, on"
        dated = f"version {self.version} of secret {self.secret} {when} {self.expires_on:%Y-%m-%d %H:%M} UTC"
        shown, more = ", ".join(self.agents[:MAX_SHOWN_AGENTS]), len(self.agents[MAX_SHOWN_AGENTS:])
        return f"{dated}; used by {shown}" + (f" and {more} more" if more else "")


def find_expiries(uses: Uses, listed: Mapping[str, Sequence[SecretVersion]], now: datetime) -> tuple[Expiry, ...]:
    """The versions in use that expire within 30 days."""
    agents = dict[tuple[str, str], list[str]]()
    for agent, used in sorted(uses.items()):
        for secret, pinned in ((secret, pinned) for secret, versions in used.items() for pinned in versions):
            version = _version_in_use([item for item in listed.get(secret, ()) if pinned in ("", item.version)], now)
            if version is not None:
                agents.setdefault((secret, version.version), []).append(agent)
    dates = {(secret, item.version): item.expires_on for secret, items in listed.items() for item in items}
    found = ((key, expires_on, users) for key, users in sorted(agents.items()) if (expires_on := dates[key]))
    return tuple(
        Expiry(*key, expires_on, days, tuple(users))
        for key, expires_on, users in found
        if (days := next((days for days in DAYS if expires_on - now <= timedelta(days=days)), 0))
    )


def _version_in_use(versions: Sequence[SecretVersion], now: datetime) -> SecretVersion | None:
    """The version that a release uses; an expired one is in use too until there is another one."""
    return version_to_run(versions, now) or newest_version(versions)
