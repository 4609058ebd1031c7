"""``image_pushed``: offers a push to every agent that follows its repository."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.events import ImagePushed
from core.intake.events import DesiredUpdate, apply_push
from core.intake.repeated_push import apply_repeated_push, is_repeated
from core.reasons import Reason
from core.release_outcome import seconds_since
from core.state.desired import Cause, DesiredState
from handlers.concurrency import gather_limited
from handlers.events.update_desired import step_fields, update_and_enqueue
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

STEP = "push"
"""The first span of a release's trace, below the function's own."""
MAX_CONCURRENT = 8
"""Agents at a time."""


async def handle_push(pushed: ImagePushed, agents: Agents, decisions: DecisionLog, gateways: Gateways) -> None:
    """Update each agent's desired state; Foundry is never called: Event Grid waits 30 s at most."""
    push = pushed.push
    image = push.fields
    step = step_fields(STEP, pushed.dry_run)
    common: dict[str, Any] = {**image, "event": push.event_id, "cause": Cause.PUSH.value, **step}
    followers = followers_of(agents, push.repository)
    if not followers:
        decisions.record(Reason.NOT_FOLLOWED, **common)

    async def offer(spec: AgentSpec) -> None:
        with otel.span(STEP, parent=pushed.traceparent, agent=spec.name, **image) as set_attributes:
            update = await _apply(spec, pushed, gateways)
            set_attributes(reason=update.reason.value)
            generation = None if pushed.dry_run else update.desired.generation
            took = seconds_since(push.pushed_at, gateways.clock.now())
            fields = {**common, "generation": generation, "since_push_s": took}
            decisions.record(update.reason, update.detail, agent=spec.name, **fields)

    await gather_limited(MAX_CONCURRENT, map(offer, followers))  # an error of one agent stops none of the others


async def _apply(spec: AgentSpec, pushed: ImagePushed, gateways: Gateways) -> DesiredUpdate:
    push, traceparent = pushed.push, otel.current_traceparent() or pushed.traceparent
    update = await update_and_enqueue(
        spec.name,
        lambda desired, now: apply_push(desired, spec, push, traceparent, now),
        gateways,
        dry_run=pushed.dry_run,
    )
    if not is_repeated(update, push, gateways.clock.now()):
        return update
    release = await gateways.state_store.get_release(spec.name)

    def repeat(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_repeated_push(desired, release, spec, push, traceparent, now)

    repeated = repeat(update.desired, gateways.clock.now())  # decided first: what changes nothing is queued once
    if repeated.reason is not Reason.ACCEPTED:
        return repeated
    return await update_and_enqueue(spec.name, repeat, gateways, dry_run=pushed.dry_run)
