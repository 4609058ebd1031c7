"""``image_pushed``: every agent that follows the repository is held against the push."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.events import ImagePushed
from core.intake.events import DesiredUpdate, apply_push
from core.reasons import Reason
from core.release_outcome import seconds_since
from core.state.desired import Cause, DesiredState
from handlers.events.update_desired import step_fields, update_and_enqueue
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

STEP = "push"
"""The first span of a release's trace, below the function's own."""


async def handle_push(pushed: ImagePushed, agents: Agents, decisions: DecisionLog, gateways: Gateways) -> None:
    """Note the push where it is wanted and hand over; Foundry is never asked: Event Grid waits 30 s at most."""
    push = pushed.push
    about: dict[str, Any] = {"repository": push.repository, "tag": push.tag, "digest": push.digest}
    line: dict[str, Any] = {
        **about,
        "event": push.event_id,
        "cause": Cause.PUSH.value,
        **step_fields(STEP, pushed.dry_run),
    }
    followers = followers_of(agents, push.repository)
    if not followers:
        decisions.record(Reason.NOT_FOLLOWED, **line)
    for spec in followers:
        with otel.span(STEP, parent=pushed.traceparent, agent=spec.name, **about) as describe:
            noted = await _note(spec, pushed, gateways)
            describe(reason=noted.reason.value)
            took = seconds_since(push.pushed_at, gateways.clock.now())
            generation = None if pushed.dry_run else noted.desired.generation
            decisions.record(
                noted.reason, noted.detail, agent=spec.name, generation=generation, since_push_s=took, **line
            )


async def _note(spec: AgentSpec, pushed: ImagePushed, gateways: Gateways) -> DesiredUpdate:
    def judge(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_push(desired, spec, pushed.push, otel.current_traceparent() or pushed.traceparent, now)

    return await update_and_enqueue(spec.name, judge, gateways, dry_run=pushed.dry_run)
