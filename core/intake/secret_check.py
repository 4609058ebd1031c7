"""Compares the secrets of an agent with what Key Vault lists: finds rotations whose event never came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec, SecretRef
from core.events import SecretChanged
from core.intake.events import DesiredUpdate, apply_rotation
from core.model import SecretVersion
from core.reasons import Reason
from core.secret_versions import version_to_run, with_named_version
from core.state.desired import DesiredState
from core.state.release import ReleaseState

Listed = Mapping[str, Sequence[SecretVersion]]
"""Secret name in lower case -> its versions."""
UNUSABLE = frozenset(
    {Reason.SECRET_MISSING, Reason.SECRET_DISABLED, Reason.SECRET_EXPIRED, Reason.SECRET_NOT_YET_VALID}
)
SERVES = frozenset({Reason.LIVE, Reason.SECRET_LAGS, Reason.SECRET_STARTS_LATER})
"""Ends with which an agent may serve an older version of a secret than an event named."""


def used_secrets(spec: AgentSpec, release: ReleaseState) -> Mapping[str, frozenset[str]]:
    """Secret name in lower case -> the versions that the agent pins; an empty version is the newest."""
    used = dict[str, set[str]]()
    for value in spec.env.values():
        if isinstance(value, SecretRef):
            used.setdefault(value.secret.lower(), set()).add(value.version or "")
    if spec.env_from_vault:
        tagged = {**release.tagged, **(release.last_good.tagged if release.last_good else {})}
        for item in tagged.values():
            used.setdefault(item.secret.lower(), set()).add("")
    return {name: frozenset(versions) for name, versions in used.items()}


@dataclass(frozen=True, slots=True)
class SecretUses:
    """Which secrets of one vault its targets use."""

    of_targets: Mapping[str, Mapping[str, frozenset[str]]]
    """Target -> what ``used_secrets`` gives."""

    @classmethod
    def of(cls, specs: Sequence[AgentSpec], releases: Sequence[ReleaseState]) -> SecretUses:
        """Those of these targets, whose release states are in the same order."""
        return cls({spec.name: used_secrets(spec, release) for spec, release in zip(specs, releases, strict=True)})

    @property
    def names(self) -> list[str]:
        """Each secret once."""
        return sorted({name for used in self.of_targets.values() for name in used})


def apply_missed_rotation(
    desired: DesiredState, release: ReleaseState, spec: AgentSpec, listed: Listed, now: datetime
) -> DesiredUpdate:
    """Release the agent again where a secret has a newer version, or can be used again; each version is found once."""
    unchanged = DesiredUpdate(desired, Reason.NO_PUSH_YET)
    follows = desired.generation > release.observed_generation or (release.secret_due and release.secret_due <= now)
    if follows or spec.release.on_secret_change != "release":
        return unchanged
    missed = _missed(desired, release, spec, listed, now)
    details = [f"version {version} of secret {name}" for name, version in missed.items()]
    if not details and _usable_again(release, spec, listed, now):
        details = [f"{release.detail} can be used again"]
    update = apply_rotation(desired, spec, None, now) if details else unchanged
    if update.reason is not Reason.ACCEPTED:
        return unchanged
    named = update.desired.named_secrets
    for name, version in missed.items():
        named = with_named_version(named, SecretChanged("", name, version, ""), now)
    return DesiredUpdate(replace(update.desired, named_secrets=named), Reason.MISSED_ROTATION_FOUND, "; ".join(details))


def apply_start(desired: DesiredState, generation: int, spec: AgentSpec, now: datetime) -> DesiredState:
    """Release the agent again because a version of a secret starts, unless something newer is desired by now."""
    if desired.generation != generation:
        return desired
    return apply_rotation(desired, spec, desired.traceparent, now).desired


def _missed(
    desired: DesiredState, release: ReleaseState, spec: AgentSpec, listed: Listed, now: datetime
) -> Mapping[str, str]:
    """The versions that the last definition did not have.

    One that an event named counts only where the agent serves all the same: the release that failed has its own reason.
    """
    released = {name.lower(): version.lower() for name, version in release.secrets.items()}
    missed = dict[str, str]()
    for name, versions in used_secrets(spec, release).items():
        newest = version_to_run(listed.get(name, ()), now) if "" in versions and name in released else None
        if newest is None or not _is_newer(newest, released[name], listed[name]):
            continue
        named = desired.named_secrets.get(name)
        if release.reason in SERVES or named is None or named.version != newest.version.lower():
            missed[name] = newest.version.lower()
    return missed


def _is_newer(newest: SecretVersion, released: str, listed: Sequence[SecretVersion]) -> bool:
    """Two versions of one second have no order: then none is newer."""
    before = next((item.created_at for item in listed if item.version.lower() == released), None)
    if newest.version.lower() == released:
        return False
    return before is None or newest.created_at is None or newest.created_at > before


def _usable_again(release: ReleaseState, spec: AgentSpec, listed: Listed, now: datetime) -> bool:
    """The last release ended because a secret could not be used, and each can be used now: Key Vault sends no event."""
    used = [(name, pinned) for name, versions in used_secrets(spec, release).items() for pinned in versions]
    usable = (
        version_to_run([item for item in listed.get(name, ()) if pinned in ("", item.version)], now)
        for name, pinned in used
    )
    return release.reason in UNUSABLE and bool(used) and all(usable)
