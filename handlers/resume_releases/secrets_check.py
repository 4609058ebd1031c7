"""Once a day: finds rotations whose event never came, and reports secrets that expire soon."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.agents_file.projects import by_vault
from core.agents_file.spec import Agents, AgentSpec
from core.intake.events import DesiredUpdate
from core.intake.secret_check import Listed, SecretUses, apply_missed_rotation
from core.model import Secret, SecretVersion
from core.reasons import Reason
from core.secret_expiry import Expiry, find_expiries
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.agent_states import AgentState, AgentStates
from handlers.concurrency import gather_all, gather_limited
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.daily import is_due
from handlers.telemetry.decision_log import DecisionLog
from handlers.vault import read_secret

MARKER = "secrets-check"
MAX_CONCURRENT = 4
"""Secrets, and agents, at a time."""


async def check_secrets(agents: Agents, states: AgentStates, decisions: DecisionLog, gateways: Gateways) -> None:
    """List the versions of each secret once, for all targets that use it; raises where the state store fails.

    The marker has the time of the last complete run, and what was reported: each expiry once.
    """
    store, now = gateways.state_store, gateways.clock.now()
    last_run, *reported = (await store.read_marker(MARKER)).split("\n")
    if not is_due(last_run, now):
        return
    checks = [_VaultCheck(specs, states, decisions, gateways) for specs in by_vault(agents)]
    vaults = await gather_all([check.run(now) for check in checks])
    expiries = [expiry for vault in vaults for expiry in vault.expiries]
    for expiry in expiries:
        if expiry.key not in reported:
            decisions.record(Reason.SECRET_EXPIRES_SOON, expiry.detail(now), secret=expiry.secret)
    this_run = now.isoformat() if all(vault.is_complete for vault in vaults) else last_run
    unlisted = {key for key in reported if any(key.partition("@")[0] in vault.unlisted for vault in vaults)}
    keys = dict.fromkeys([*(expiry.key for expiry in expiries), *sorted(unlisted)])
    await store.write_marker(MARKER, "\n".join([this_run, *keys]))


@dataclass(frozen=True, slots=True)
class _VaultSecrets:
    """What is known about the secrets of one vault."""

    expiries: Sequence[Expiry]
    unlisted: Collection[str]
    """The secrets in use whose versions are unknown."""
    is_complete: bool
    """False where a retry may list more."""


class _VaultCheck:
    """The check of the targets whose secrets are in one vault."""

    def __init__(
        self, specs: Sequence[AgentSpec], states: AgentStates, decisions: DecisionLog, gateways: Gateways
    ) -> None:
        self._specs, self._states, self._decisions, self._gateways = specs, states, decisions, gateways
        self._vault = gateways.vault_of(specs[0].name)

    async def run(self, now: datetime) -> _VaultSecrets:
        """Compare what each target uses with what the vault lists."""
        found_states = await gather_limited(MAX_CONCURRENT, (self._states.get(spec.name) for spec in self._specs))
        uses = SecretUses.of(self._specs, [state.release for state in found_states])
        names = uses.names
        found = await gather_limited(MAX_CONCURRENT, map(self._list, names))
        listed = {name: versions for name, versions in zip(names, found, strict=True) if versions is not None}

        async def compare(spec: AgentSpec, state: AgentState) -> None:
            if apply_missed_rotation(state.desired, state.release, spec, listed, now).enqueues:
                await _release(spec, state.release, listed, self._decisions, self._gateways)
                self._states.forget(spec.name)

        await gather_limited(MAX_CONCURRENT, map(compare, self._specs, found_states))
        unlisted = [name for name in names if not listed.get(name)]
        return _VaultSecrets(find_expiries(uses.of_targets, listed, now), unlisted, None not in found)

    async def _list(self, name: str) -> Sequence[SecretVersion] | None:
        """The versions, or the newest one where the app may not list them; None where a retry may help."""
        try:
            return await self._versions(name)
        except (PermanentError, TransientError) as error:
            self._decisions.record(Reason.ROTATION_CHECK_FAILED, str(error), secret=name)
            return None if isinstance(error, TransientError) else ()

    async def _versions(self, name: str) -> Sequence[SecretVersion]:
        try:
            return await self._vault.list_secret_versions(name)
        except PermanentError:
            secret = await read_secret(self._vault, name)
            if not isinstance(secret, Secret):
                raise
            return [SecretVersion(secret.version, True, secret.created_at, secret.not_before, secret.expires_on)]


async def _release(
    spec: AgentSpec, release: ReleaseState, listed: Listed, decisions: DecisionLog, gateways: Gateways
) -> None:
    def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_missed_rotation(desired, release, spec, listed, now)

    update = await update_and_enqueue(spec.name, change, gateways)
    if update.enqueues:
        generation = update.desired.generation
        decisions.record(update.reason, update.detail, agent=spec.name, generation=generation, step="missed_rotation")
