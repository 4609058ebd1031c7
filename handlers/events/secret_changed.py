"""``secret_changed``: every agent that uses the newest version of the secret is asked to take it up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, SecretRef
from core.events import SecretChanged
from core.intake.events import DesiredUpdate, apply_rotation
from core.reasons import Reason
from core.state.desired import Cause, DesiredState
from handlers.events.update_desired import step_fields, update_and_enqueue
from handlers.gateways.errors import PermanentError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

CAUSE, STEP = Cause.SECRET.value, "rotation"


async def handle_secret_change(
    changed: SecretChanged, agents: Agents, decisions: DecisionLog, gateways: Gateways
) -> None:
    """Note the rotation where the secret is used; agents that pin a version are left alone."""
    said = step_fields(STEP, changed.dry_run)
    about: dict[str, Any] = {"secret": changed.name, "event": changed.event_id, "cause": CAUSE, **said}
    users = [spec for spec in agents.agents.values() if await _uses(spec, changed.name, gateways)]
    if not users:
        decisions.record(Reason.SECRET_NOT_USED, **about)
    for spec in users:
        with otel.span(STEP, parent=changed.traceparent, agent=spec.name, secret=changed.name) as describe:
            noted = await _note(spec, changed, gateways)
            describe(reason=noted.reason.value)
            generation = None if changed.dry_run else noted.desired.generation
            decisions.record(noted.reason, noted.detail, agent=spec.name, generation=generation, **about)


async def _uses(spec: AgentSpec, secret: str, gateways: Gateways) -> bool:
    """True when the rule names the secret without a version, or the vault's tags give it to the agent."""
    refs = (value for value in spec.env.values() if isinstance(value, SecretRef) and value.version is None)
    if any(ref.secret.lower() == secret for ref in refs):
        return True
    if not spec.env_from_vault:
        return False
    if secret in {name.lower() for name in (await gateways.state_store.get_release(spec.name)).secrets}:
        return True  # spares listing the vault
    try:
        return secret in {name.lower() for name in (await gateways.key_vault.tagged_secrets(spec.name)).values()}
    except PermanentError as error:
        # two secrets for one variable, or no right to list: the release says so where the agent really needs it
        return error.code == "AMBIGUOUS"


async def _note(spec: AgentSpec, changed: SecretChanged, gateways: Gateways) -> DesiredUpdate:
    def judge(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_rotation(desired, spec, otel.current_traceparent() or changed.traceparent, now)

    return await update_and_enqueue(spec.name, judge, gateways, dry_run=changed.dry_run)
