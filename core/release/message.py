"""A message of the queue ``releases``: whose release, and which trace it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.agents_file.spec import Agents
from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import reconcile
from handlers.settings import Settings
from handlers.telemetry.decision_log import DecisionLog


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message says."""

    agent: str
    traceparent: str | None


async def handle_message(message: str, agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Take the named agent's release up; a message that names none is recorded and done with."""
    asked = parse(message)
    rule = agents.agents.get(asked.agent) if asked else None
    if asked and rule:
        await reconcile(rule, settings, gateways, asked.traceparent)
        return
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": "release"})
    if asked:
        decisions.record(Reason.AGENT_UNKNOWN, agent=asked.agent)
    else:
        decisions.record(Reason.MALFORMED_MESSAGE, 'expected {"agent": …}')
    await decisions.flush()


def parse(message: str) -> Asked | None:
    """Read ``{"agent", "traceparent"}``; None for anything else."""
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("agent"), str):
        return None
    traceparent = body.get("traceparent")
    return Asked(body["agent"], traceparent if isinstance(traceparent, str) else None)
