"""``resume_releases``: finds lost, stuck, drifted and missed work, and sends the heartbeat."""

from __future__ import annotations

from core.agents_file.spec import Agents
from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.config_changes import apply_config_changes
from handlers.resume_releases.drift_report import report_drift
from handlers.resume_releases.gauges import record_gauges
from handlers.resume_releases.missed_pushes import find_missed_pushes
from handlers.resume_releases.poison_queues import report_poison_queues
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog, reason_fields

STEP = "resume"
UNFINISHED = frozenset({"open", "due"})


async def resume_releases(agents: Agents, gateways: Gateways) -> None:
    """Enqueue every unfinished release, found by one listing; raises TransientError or PermanentError."""
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    try:
        unfinished = await gateways.state_store.list_agents(UNFINISHED)
        for agent in unfinished:
            if agent in agents.agents:
                desired = await gateways.state_store.get_desired(agent)
                traceparent = desired.traceparent or otel.current_traceparent()  # of its push, where there is one
                await gateways.release_queue.enqueue(agent, traceparent=traceparent)
                decisions.record(Reason.REQUEUED, agent=agent)
            else:
                decisions.record(Reason.AGENT_UNKNOWN, agent=agent)
        await report_drift(tuple(sorted(set(agents.agents) - set(unfinished))), decisions, gateways)
        changed = await apply_config_changes(agents, decisions, gateways)
        await find_missed_pushes(agents, decisions, gateways, always=changed)
        depths = await record_gauges(tuple(agents.agents), gateways)
        await report_poison_queues(depths, decisions, gateways)
        heartbeat = {**reason_fields(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}
        otel.log_decision(heartbeat, severity="info")
        metrics.heartbeat()
    finally:
        await decisions.flush()
