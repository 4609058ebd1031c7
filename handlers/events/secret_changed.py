"""``secret_changed``: every agent that uses the newest version of the secret is asked to take it up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.agents_file.spec import AgentRule, Agents, SecretRef
from core.events import SecretChanged
from core.intake.events import Noted, rotate
from core.reasons import Reason
from core.state.release import Cause, Wanted
from handlers.events.update_desired import note_and_ask, said_at
from handlers.gateways.interfaces import Gateways, PermanentError
from handlers.telemetry import otel
from handlers.telemetry.decision_log import Decisions

CAUSE, STEP = Cause.SECRET.value, "rotation"


async def handle(changed: SecretChanged, agents: Agents, decisions: Decisions, outside: Gateways) -> None:
    """Note the rotation where the secret is used; agents that pin a version are left alone."""
    said = said_at(STEP, changed.dry_run)
    about: dict[str, Any] = {"secret": changed.name, "event": changed.event_id, "cause": CAUSE, **said}
    users = [rule for rule in agents.agents.values() if await _uses(rule, changed.name, outside)]
    if not users:
        decisions.tell(Reason.SECRET_NOT_USED, **about)
    for rule in users:
        with otel.span(STEP, of=changed.traceparent, agent=rule.name, secret=changed.name) as describe:
            noted = await _note(rule, changed, outside)
            describe(reason=noted.reason.value)
            serial = None if changed.dry_run else noted.wanted.serial
            decisions.tell(noted.reason, noted.detail, agent=rule.name, serial=serial, **about)


async def _uses(rule: AgentRule, secret: str, outside: Gateways) -> bool:
    """True when the rule names the secret without a version, or the vault's tags give it to the agent."""
    refs = (value for value in rule.env.values() if isinstance(value, SecretRef) and value.version is None)
    if any(ref.secret.lower() == secret for ref in refs):
        return True
    if not rule.env_from_vault:
        return False
    if secret in {name.lower() for name in (await outside.ledger.record(rule.name)).secrets}:
        return True  # spares listing the vault
    try:
        return secret in {name.lower() for name in (await outside.vault.tagged(rule.name)).values()}
    except PermanentError as error:
        # two secrets for one variable, or no right to list: the release says so where the agent really needs it
        return error.code == "AMBIGUOUS"


async def _note(rule: AgentRule, changed: SecretChanged, outside: Gateways) -> Noted:
    def judge(wanted: Wanted, now: datetime) -> Noted:
        return rotate(wanted, rule, otel.carrier() or changed.traceparent, now)

    return await note_and_ask(rule.name, judge, outside, dry_run=changed.dry_run)
