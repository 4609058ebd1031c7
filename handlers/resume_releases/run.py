"""``resume_releases``: what was lost, stuck or missed is taken up again, and a sign of life is given."""

from __future__ import annotations

from core.reasons import Reason
from core.rules import Agents
from handlers import catch_up, configured, drifted, measures, telemetry, vitals
from handlers.decisions import Decisions, told
from handlers.gateways import Gateways

STEP = "resume"
UNFINISHED = frozenset({"open", "due"})


async def handle(agents: Agents, outside: Gateways) -> None:
    """Ask for every unfinished release again, found by one listing; raises TransientError or PermanentError."""
    decisions = Decisions(outside.journal, outside.clock, {"step": STEP})
    try:
        unfinished = await outside.ledger.agents(UNFINISHED)
        for agent in unfinished:
            if agent in agents.agents:
                wanted = await outside.ledger.wanted(agent)  # its push's trace goes on
                await outside.queue.send(agent, traceparent=wanted.traceparent or telemetry.carrier())
                decisions.tell(Reason.RESUMED, agent=agent)
            else:
                decisions.tell(Reason.AGENT_UNKNOWN, agent=agent)
        at_rest = tuple(sorted(set(agents.agents) - set(unfinished)))
        await drifted.tell(at_rest, decisions, outside)
        deployed = await configured.handle(agents, decisions, outside)
        await catch_up.handle(agents, decisions, outside, at_once=deployed)
        await vitals.tell(tuple(agents.agents), outside)
        telemetry.decision({**told(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}, severity="info")
        measures.heartbeat()
    finally:
        await decisions.flush()
