"""``resume_releases``: what was lost, stuck or missed is taken up again, and a sign of life is given."""

from __future__ import annotations

from core.agents_file.spec import Agents
from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.config_changes import apply_config_changes
from handlers.resume_releases.drift_report import report_drift
from handlers.resume_releases.gauges import record_gauges
from handlers.resume_releases.missed_pushes import find_missed_pushes
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog, reason_fields

STEP = "resume"
UNFINISHED = frozenset({"open", "due"})


async def resume_releases(agents: Agents, gateways: Gateways) -> None:
    """Ask for every unfinished release again, found by one listing; raises TransientError or PermanentError."""
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    try:
        unfinished = await gateways.state_store.list_agents(UNFINISHED)
        for agent in unfinished:
            if agent in agents.agents:
                desired = await gateways.state_store.get_desired(agent)  # its push's trace goes on
                await gateways.release_queue.enqueue(
                    agent, traceparent=desired.traceparent or otel.current_traceparent()
                )
                decisions.record(Reason.REQUEUED, agent=agent)
            else:
                decisions.record(Reason.AGENT_UNKNOWN, agent=agent)
        at_rest = tuple(sorted(set(agents.agents) - set(unfinished)))
        await report_drift(at_rest, decisions, gateways)
        deployed = await apply_config_changes(agents, decisions, gateways)
        await find_missed_pushes(agents, decisions, gateways, at_once=deployed)
        await record_gauges(tuple(agents.agents), gateways)
        otel.log_decision(
            {**reason_fields(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}, severity="info"
        )
        metrics.heartbeat()
    finally:
        await decisions.flush()
