"""``resume_releases``: finds lost, stuck, drifted and missed work, and sends the heartbeat."""

from __future__ import annotations

from core.agents_file.spec import Agents
from core.reasons import Reason
from handlers.concurrency import gather_limited
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.config_changes import apply_config_changes
from handlers.resume_releases.drift_report import report_drift
from handlers.resume_releases.gauges import record_gauges
from handlers.resume_releases.missed_pushes import find_missed_pushes
from handlers.resume_releases.poison_queues import report_poison_queues
from handlers.resume_releases.secrets_check import check_secrets
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog, reason_fields

STEP = "resume"
UNFINISHED = frozenset({"open", "due"})


async def resume_releases(agents: Agents, gateways: Gateways) -> None:
    """Enqueue every unfinished release, found by one listing, and take the other steps of the sweep.

    An error of one agent or step stops none of the others; the first is raised at the end.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    changed = list[bool]()

    async def apply_changes() -> None:
        changed.append(await apply_config_changes(agents, decisions, gateways))

    async def find_missed() -> None:
        await find_missed_pushes(agents, decisions, gateways, always=any(changed))

    async def measure() -> None:
        await report_poison_queues(await record_gauges(tuple(agents.agents), gateways), decisions, gateways)

    try:
        unfinished = await gateways.state_store.list_agents(UNFINISHED)
        steps = (
            gather_limited(1, (_requeue(agent, agents, decisions, gateways) for agent in unfinished)),
            report_drift(tuple(sorted(set(agents.agents) - set(unfinished))), decisions, gateways),
            apply_changes(),
            find_missed(),
            check_secrets(agents, decisions, gateways),
            measure(),
        )
        await gather_limited(1, steps)
        heartbeat = {**reason_fields(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}
        otel.log_decision(heartbeat, severity="info")
        metrics.heartbeat()
    finally:
        await decisions.flush()


async def _requeue(agent: str, agents: Agents, decisions: DecisionLog, gateways: Gateways) -> None:
    if agent not in agents.agents:
        decisions.record(Reason.AGENT_UNKNOWN, agent=agent)
        return
    desired = await gateways.state_store.get_desired(agent)
    traceparent = desired.traceparent or otel.current_traceparent()  # of its push, where there is one
    await gateways.release_queue.enqueue(agent, traceparent=traceparent)
    decisions.record(Reason.REQUEUED, agent=agent)
