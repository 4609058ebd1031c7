"""``secret_changed``: has every agent that uses the newest version of a secret released with its new value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, SecretRef
from core.events import SecretChanged
from core.intake.events import DesiredUpdate, apply_rotation
from core.reasons import Reason
from core.secret_versions import newest_version
from core.state.desired import Cause
from handlers import outcome_events
from handlers.concurrency import gather_limited
from handlers.events.update_desired import step_fields, update_and_enqueue
from handlers.gateways.errors import PermanentError
from handlers.gateways.interfaces import Gateways, KeyVault, OutcomeEvent
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

STEP = "rotation"
MAX_CONCURRENT = 8
"""Agents at a time."""


async def handle_secret_change(
    changed: SecretChanged, agents: Agents, decisions: DecisionLog, gateways: Gateways
) -> None:
    """Update the desired state of each target that uses the secret; those that pin a version stay as they are.

    An error of one agent stops none of the others; the first is raised at the end, so that the event comes again.
    """
    step = step_fields(STEP, changed.dry_run)
    common: dict[str, Any] = {"secret": changed.name, "event": changed.event_id, "cause": Cause.SECRET.value, **step}
    events: list[OutcomeEvent] = []
    specs = [spec for spec in agents.agents.values() if agents.vault_of(spec.name) == changed.address]
    tags = _SecretTags(changed.name, gateways.vault_of(specs[0].name) if specs else gateways.key_vault)

    async def offer(spec: AgentSpec) -> bool:
        if not await _uses(spec, tags, gateways):
            return False
        with otel.span(STEP, parent=changed.traceparent, agent=spec.name, secret=changed.name) as set_attributes:
            update = await _rotate(spec, changed, gateways)
            set_attributes(reason=update.reason.value)
            generation = None if changed.dry_run else update.desired.generation
            decisions.record(update.reason, update.detail, agent=spec.name, generation=generation, **common)
            if update.reason is Reason.SECRET_CHANGE_REPORTED and not changed.dry_run:
                events.append(outcome_events.secret_event(spec.name, changed))
        return True

    try:
        if not any(await gather_limited(MAX_CONCURRENT, map(offer, specs))):
            decisions.record(Reason.SECRET_NOT_USED, **common)
    finally:
        await outcome_events.publish(events, decisions, gateways)


class _SecretTags:
    """The tags of one secret, read once for all agents."""

    def __init__(self, secret: str, key_vault: KeyVault) -> None:
        self.secret = secret
        self._key_vault = key_vault
        self._agent: asyncio.Future[str] | None = None

    def agent(self) -> Awaitable[str]:
        """The agent to which the newest version's tags give a variable; raises TransientError."""
        if self._agent is None:
            self._agent = asyncio.ensure_future(self._read())
        return self._agent

    async def _read(self) -> str:
        try:
            versions = await self._key_vault.list_secret_versions(self.secret)
        except PermanentError:  # such as no right to list: the release reports it where the agent needs the secret
            return ""
        newest = newest_version(versions)
        return newest.agent if newest is not None and newest.enabled else ""


async def _uses(spec: AgentSpec, tags: _SecretTags, gateways: Gateways) -> bool:
    """True when the agent spec or a version that is rolled back to names the secret, or the vault's tags give it."""
    refs = (value for value in spec.env.values() if isinstance(value, SecretRef) and value.version is None)
    if any(ref.secret.lower() == tags.secret for ref in refs):
        return True
    rollback = (await gateways.state_store.get_desired(spec.name)).rollback
    if rollback is not None and tags.secret in rollback.secrets:
        return True
    if not spec.env_from_vault:
        return False
    if tags.secret in {name.lower() for name in (await gateways.state_store.get_release(spec.name)).secrets}:
        return True  # a new version has no tags unless they are set again
    return await tags.agent() == spec.agent.lower()


async def _rotate(spec: AgentSpec, changed: SecretChanged, gateways: Gateways) -> DesiredUpdate:
    traceparent = otel.current_traceparent() or changed.traceparent
    return await update_and_enqueue(
        spec.name,
        lambda desired, now: apply_rotation(desired, spec, traceparent, now, changed),
        gateways,
        dry_run=changed.dry_run,
    )
