"""Once a day, and when there is nothing yet: what the registry holds is held against what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.agents_file.spec import Agents, AgentSpec
from core.image_manifest import RegistryTag
from core.intake.events import DesiredUpdate, apply_push
from core.intake.registry_check import newest_allowed_push
from core.model import UNKNOWN_TIME
from core.reasons import Reason
from core.state.desired import DesiredState
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

EVERY = timedelta(days=1)
DONE = "catch-up"
AT_ONCE = 4
"""Repositories listed side by side."""


async def find_missed_pushes(
    agents: Agents, decisions: DecisionLog, gateways: Gateways, *, at_once: bool = False
) -> None:
    """Ask the registry for each followed repository, where nobody did today; raises where the ledger does.

    It counts as done once every agent's ledger says so: a crash or an outage on the way is followed by another try.
    ``at_once``: also where it was done, because agents.yaml may follow another repository, or other tags, now.
    """
    now = gateways.clock.now()
    since = now - _when(await gateways.state_store.read_marker(DONE))
    if timedelta(0) <= since < EVERY and not at_once:
        return
    turns = asyncio.Semaphore(AT_ONCE)
    repositories = sorted({spec.repository for spec in agents.agents.values()})

    async def listed(repository: str) -> tuple[str, Sequence[RegistryTag] | None]:
        async with turns:
            return repository, await _tags(repository, decisions, gateways)

    tags = dict(await asyncio.gather(*(listed(one) for one in repositories)))
    for spec in agents.agents.values():
        await _catch_up(spec, tags[spec.repository] or (), decisions, gateways)
    if None not in tags.values():
        await gateways.state_store.write_marker(DONE, now.isoformat())


def _when(told: str) -> datetime:
    """When it was last done; what cannot be read, because a person wrote it, is as good as never."""
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except (ValueError, OverflowError):
        return UNKNOWN_TIME


async def _tags(repository: str, decisions: DecisionLog, gateways: Gateways) -> Sequence[RegistryTag] | None:
    """None where the registry may answer the next time: it is asked again by the next run, not a day later."""
    try:
        return await gateways.registry.list_tags(repository)
    except GatewayError as error:
        decisions.record(Reason.MISSED_PUSH_CHECK_FAILED, str(error), repository=repository)
        return None if isinstance(error, TransientError) else ()


async def _catch_up(spec: AgentSpec, tags: Sequence[RegistryTag], decisions: DecisionLog, gateways: Gateways) -> None:
    push = newest_allowed_push(spec, tags)
    if push is None:
        return

    def judge(desired: DesiredState, now: datetime) -> DesiredUpdate:
        noted = apply_push(desired, spec, push, otel.current_traceparent(), now)
        return (
            noted if noted.reason is Reason.ACCEPTED else DesiredUpdate(desired, Reason.NOT_NEWER)
        )  # asks for nothing

    about: dict[str, Any] = {"repository": push.repository, "tag": push.tag, "digest": push.digest}
    with otel.span("catch_up", agent=spec.name, **about):
        noted = await update_and_enqueue(spec.name, judge, gateways)
    if noted.reason is Reason.ACCEPTED:
        decisions.record(
            Reason.MISSED_PUSH_FOUND, agent=spec.name, generation=noted.desired.generation, step="catch_up", **about
        )
