"""``image_pushed``: every agent that follows the repository is held against the push."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.desired import Noted, desire
from core.events import Pushed
from core.reasons import Reason
from core.record import Wanted
from core.rules import AgentRule, Agents, match
from handlers.decisions import Decisions
from handlers.gateways import Gateways
from handlers.noting import note_and_ask


async def handle(pushed: Pushed, agents: Agents, decisions: Decisions, outside: Gateways) -> None:
    """Note the push where it is wanted and hand over; Foundry is never asked: Event Grid waits 30 s at most."""
    push = pushed.push
    about: dict[str, Any] = {
        "repository": push.repository,
        "tag": push.tag,
        "digest": push.digest,
        "event": push.event_id,
    }
    followers = match(agents, push.repository)
    if not followers:
        decisions.tell(Reason.NOT_FOLLOWED, **about)
    for rule in followers:
        noted = await _note(rule, pushed, outside)
        decisions.tell(noted.reason, noted.detail, agent=rule.name, serial=noted.wanted.serial, **about)


async def _note(rule: AgentRule, pushed: Pushed, outside: Gateways) -> Noted:
    def judge(wanted: Wanted, now: datetime) -> Noted:
        return desire(wanted, rule, pushed.push, pushed.traceparent, now)

    return await note_and_ask(rule.name, judge, outside)
