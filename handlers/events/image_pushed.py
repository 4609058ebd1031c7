"""``image_pushed``: every agent that follows the repository is held against the push."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.agents_file.spec import AgentRule, Agents, match
from core.events import Pushed
from core.intake.events import Noted, desire
from core.reasons import Reason
from core.release_outcome import since
from core.state.release import Cause, Wanted
from handlers.events.update_desired import note_and_ask, said_at
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import Decisions

STEP = "push"
"""The first span of a release's trace, below the function's own."""


async def handle(pushed: Pushed, agents: Agents, decisions: Decisions, outside: Gateways) -> None:
    """Note the push where it is wanted and hand over; Foundry is never asked: Event Grid waits 30 s at most."""
    push = pushed.push
    about: dict[str, Any] = {"repository": push.repository, "tag": push.tag, "digest": push.digest}
    line: dict[str, Any] = {**about, "event": push.event_id, "cause": Cause.PUSH.value, **said_at(STEP, pushed.dry_run)}
    followers = match(agents, push.repository)
    if not followers:
        decisions.tell(Reason.NOT_FOLLOWED, **line)
    for rule in followers:
        with otel.span(STEP, of=pushed.traceparent, agent=rule.name, **about) as describe:
            noted = await _note(rule, pushed, outside)
            describe(reason=noted.reason.value)
            took = since(push.pushed_at, outside.clock.now())
            serial = None if pushed.dry_run else noted.wanted.serial
            decisions.tell(noted.reason, noted.detail, agent=rule.name, serial=serial, since_push_s=took, **line)


async def _note(rule: AgentRule, pushed: Pushed, outside: Gateways) -> Noted:
    def judge(wanted: Wanted, now: datetime) -> Noted:
        return desire(wanted, rule, pushed.push, otel.carrier() or pushed.traceparent, now)

    return await note_and_ask(rule.name, judge, outside, dry_run=pushed.dry_run)
