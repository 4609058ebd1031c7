"""Once a day: finds rotations whose event never came, and reports secrets that expire soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.agents_file.spec import Agents, AgentSpec
from core.intake.events import DesiredUpdate
from core.intake.secret_check import Listed, apply_missed_rotation, used_secrets
from core.model import Secret, SecretVersion
from core.reasons import Reason
from core.secret_expiry import find_expiries
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_limited
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.redaction import register_secret
from handlers.resume_releases.agent_states import AgentState, AgentStates
from handlers.resume_releases.daily import is_due
from handlers.telemetry.decision_log import DecisionLog

MARKER = "secrets-check"
MAX_CONCURRENT = 4
"""Secrets, and agents, at a time."""


async def check_secrets(agents: Agents, states: AgentStates, decisions: DecisionLog, gateways: Gateways) -> None:
    """List the versions of each secret once, for all agents that use it; raises where the state store fails.

    The marker has the time of the last complete run, and what was reported: each expiry once.
    """
    store, now = gateways.state_store, gateways.clock.now()
    last_run, *reported = (await store.read_marker(MARKER)).split("\n")
    if not is_due(last_run, now):
        return
    specs = list(agents.agents.values())
    found_states = await gather_limited(MAX_CONCURRENT, (states.get(spec.name) for spec in specs))
    uses = [used_secrets(spec, state.release) for spec, state in zip(specs, found_states, strict=True)]
    names = sorted({name for used in uses for name in used})
    found = await gather_limited(MAX_CONCURRENT, (_list(name, decisions, gateways) for name in names))
    listed = {name: versions for name, versions in zip(names, found, strict=True) if versions is not None}

    async def compare(spec: AgentSpec, state: AgentState) -> None:
        if apply_missed_rotation(state.desired, state.release, spec, listed, now).enqueues:
            await _release(spec, state.release, listed, decisions, gateways)
            states.forget(spec.name)

    await gather_limited(MAX_CONCURRENT, map(compare, specs, found_states))
    expiries = find_expiries({spec.name: used for spec, used in zip(specs, uses, strict=True)}, listed, now)
    for expiry in expiries:
        if expiry.key not in reported:
            decisions.record(Reason.SECRET_EXPIRES_SOON, expiry.detail(now), secret=expiry.secret)
    this_run = now.isoformat() if None not in found else last_run
    unlisted = [key for key in reported if (name := key.partition("@")[0]) in names and not listed.get(name)]
    await store.write_marker(MARKER, "\n".join([this_run, *(expiry.key for expiry in expiries), *unlisted]))


async def _list(name: str, decisions: DecisionLog, gateways: Gateways) -> Sequence[SecretVersion] | None:
    """The versions, or the newest one where the app may not list them; None where a retry may help."""
    try:
        try:
            return await gateways.key_vault.list_secret_versions(name)
        except PermanentError:
            secret = await gateways.key_vault.get_secret(name, None)
            if not isinstance(secret, Secret):
                raise
            register_secret(secret.value.reveal())
            return [SecretVersion(secret.version, True, secret.created_at, secret.not_before, secret.expires_on)]
    except (PermanentError, TransientError) as error:
        decisions.record(Reason.ROTATION_CHECK_FAILED, str(error), secret=name)
        return None if isinstance(error, TransientError) else ()


async def _release(
    spec: AgentSpec, release: ReleaseState, listed: Listed, decisions: DecisionLog, gateways: Gateways
) -> None:
    def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_missed_rotation(desired, release, spec, listed, now)

    update = await update_and_enqueue(spec.name, change, gateways)
    if update.enqueues:
        generation = update.desired.generation
        decisions.record(update.reason, update.detail, agent=spec.name, generation=generation, step="missed_rotation")
