"""Once a day, and after a change of agents.yaml: looks in the registry for pushes whose event never arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.image_manifest import RegistryTag
from core.intake.events import DesiredUpdate
from core.intake.registry_check import apply_registry, believable_tags
from core.reasons import Reason
from core.state.desired import DesiredState
from handlers.concurrency import gather_limited
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.daily import is_due
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

MARKER = "missed-pushes"
MAX_CONCURRENT = 4
"""Repositories at a time."""


async def find_missed_pushes(agents: Agents, decisions: DecisionLog, gateways: Gateways, *, always: bool) -> None:
    """Read the tags of each followed repository, if that is due; raises where the state store fails.

    Each repository and agent is checked whatever happens to another; the first error is raised at the end.

    The marker is written after every agent, so that a crash or an outage on the way leads to another attempt.
    ``always``: also when it is not due, because a changed agents.yaml may follow other repositories or tags.
    """
    now = gateways.clock.now()
    if not is_due(await gateways.state_store.read_marker(MARKER), now) and not always:
        return
    repositories = sorted({spec.repository for spec in agents.agents.values()})

    async def check(repository: str) -> bool:
        tags = await _tags(repository, decisions, gateways)
        specs = followers_of(agents, repository)
        await gather_limited(1, (_compare(spec, tags, decisions, gateways) for spec in specs if tags))
        return tags is not None

    if all(await gather_limited(MAX_CONCURRENT, map(check, repositories))):
        await gateways.state_store.write_marker(MARKER, now.isoformat())


async def _tags(repository: str, decisions: DecisionLog, gateways: Gateways) -> Sequence[RegistryTag] | None:
    """None where a retry may help: the next run makes it, not the next day's."""
    try:
        return believable_tags(await gateways.registry.list_tags(repository), gateways.clock.now())
    except GatewayError as error:
        decisions.record(Reason.MISSED_PUSH_CHECK_FAILED, str(error), repository=repository)
        return None if isinstance(error, TransientError) else ()


async def _compare(spec: AgentSpec, tags: Sequence[RegistryTag], decisions: DecisionLog, gateways: Gateways) -> None:
    def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
        update = apply_registry(desired, spec, tags, now)
        changed = replace(update.desired, traceparent=otel.current_traceparent())
        return replace(update, desired=changed) if update.enqueues else update

    with otel.span("missed_push", agent=spec.name) as set_attributes:
        update = await update_and_enqueue(spec.name, change, gateways)
        push = update.desired.push
        if not update.enqueues or push is None:
            return
        image: dict[str, Any] = {"repository": push.repository, "tag": push.tag, "digest": push.digest}
        set_attributes(**image)
    generation = update.desired.generation
    decisions.record(update.reason, update.detail, agent=spec.name, generation=generation, step="missed_push", **image)
