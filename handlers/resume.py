"""``resume_releases``: what was lost, stuck or missed is taken up again, and a sign of life is given."""

from __future__ import annotations

from core.reasons import Reason
from core.rules import Agents
from handlers import catch_up, configured, drifted, telemetry
from handlers.decisions import Decisions
from handlers.gateways import Gateways

UNFINISHED = frozenset({"open", "due"})


async def handle(agents: Agents, outside: Gateways) -> None:
    """Ask for every unfinished release again, found by one listing; raises TransientError or PermanentError."""
    decisions = Decisions(outside.journal, outside.clock, {})
    try:
        unfinished = await outside.ledger.agents(UNFINISHED)
        for agent in unfinished:
            if agent in agents.agents:
                await outside.queue.send(agent, traceparent=telemetry.carrier())
                decisions.tell(Reason.RESUMED, agent=agent)
            else:
                decisions.tell(Reason.AGENT_UNKNOWN, agent=agent)
        at_rest = tuple(sorted(set(agents.agents) - set(unfinished)))
        await drifted.tell(at_rest, decisions, outside)
        deployed = await configured.handle(agents, decisions, outside)
        await catch_up.handle(agents, decisions, outside, at_once=deployed)
        telemetry.decision({"reason": Reason.HEARTBEAT, "unfinished": len(unfinished)}, severity="info")
    finally:
        await decisions.flush()
