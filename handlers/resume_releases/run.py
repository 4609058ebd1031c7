"""``resume_releases``: what was lost, stuck or missed is taken up again, and a sign of life is given."""

from __future__ import annotations

from core.agents_file.spec import Agents
from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases import config_changes, drift_report, gauges, missed_pushes
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import Decisions, told

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
                await outside.queue.send(agent, traceparent=wanted.traceparent or otel.carrier())
                decisions.tell(Reason.RESUMED, agent=agent)
            else:
                decisions.tell(Reason.AGENT_UNKNOWN, agent=agent)
        at_rest = tuple(sorted(set(agents.agents) - set(unfinished)))
        await drift_report.tell(at_rest, decisions, outside)
        deployed = await config_changes.handle(agents, decisions, outside)
        await missed_pushes.handle(agents, decisions, outside, at_once=deployed)
        await gauges.tell(tuple(agents.agents), outside)
        otel.decision({**told(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}, severity="info")
        metrics.heartbeat()
    finally:
        await decisions.flush()
