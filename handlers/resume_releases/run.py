"""``resume_releases``: finds lost, stuck, drifted and missed work, and sends the heartbeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

from core.agents_file.spec import Agents
from core.reasons import Reason
from core.release.gates import window
from core.waits import waits_until
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_limited
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.config_changes import apply_config_changes
from handlers.resume_releases.drift_report import report_drift
from handlers.resume_releases.gauges import record_gauges
from handlers.resume_releases.gone_images import report_gone_images
from handlers.resume_releases.missed_pushes import find_missed_pushes
from handlers.resume_releases.next_stage import wake_stages
from handlers.resume_releases.poison_queues import report_poison_queues
from handlers.resume_releases.secrets_check import check_secrets
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog, reason_fields

STEP = "resume"
HEARTBEAT = "heartbeat"
"""The marker with the time of the last complete run, for `slipway doctor`."""
MAX_CONCURRENT = 8


async def resume_releases(agents: Agents, gateways: Gateways) -> None:
    """Enqueue every unfinished release, found by one listing, and take the other steps of the sweep.

    The comparisons with Foundry and the registry come last, because they may be slow. An error of one agent or step
    stops none of the others; the first is raised at the end.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    states, changed = AgentStates(gateways.state_store), list[bool]()
    wake = partial(wake_stages, agents, states, decisions, gateways)
    find_rotations = partial(check_secrets, agents, states, decisions, gateways)
    unfinished = await gateways.state_store.list_agents(unfinished=True)
    at_work = set(unfinished)

    async def requeue() -> None:
        calls = (_requeue(agent, agents, decisions, gateways) for agent in unfinished)
        waits = await gather_limited(MAX_CONCURRENT, calls)
        at_work.difference_update(agent for agent, until in zip(unfinished, waits, strict=True) if until)

    async def apply_changes() -> None:
        changed.append(await apply_config_changes(agents, decisions, gateways))

    async def find_missed() -> None:
        await find_missed_pushes(agents, states, decisions, gateways, always=any(changed))

    async def measure() -> None:
        depths = await record_gauges(agents.agents, states, gateways)
        await report_poison_queues(depths, decisions, gateways)

    async def find_work() -> None:
        await _run_steps([requeue, apply_changes, find_missed, wake, measure, find_rotations], decisions)
        heartbeat = {**reason_fields(Reason.HEARTBEAT), "step": STEP, "unfinished": len(unfinished)}
        otel.log_decision(heartbeat, severity="info")
        metrics.heartbeat()
        await gateways.state_store.write_marker(HEARTBEAT, gateways.clock.now().isoformat())

    async def check_drift() -> None:
        at_rest = sorted(set(agents.agents) - at_work)
        await report_drift(at_rest, states, decisions, gateways)
        await report_gone_images(at_rest, states, decisions, gateways)

    await _run_steps([find_work, check_drift], decisions)


async def _run_steps(steps: Sequence[Callable[[], Awaitable[None]]], decisions: DecisionLog) -> None:
    """One after another; what a step did is journalled at its end, because the host may stop a later one."""

    async def run(step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        finally:
            await decisions.flush()

    await gather_limited(1, map(run, steps))


async def _requeue(agent: str, agents: Agents, decisions: DecisionLog, gateways: Gateways) -> datetime | None:
    """Returns until when the agent only waits: each run would add a message to the one that waits already."""
    if agent not in agents.agents:
        decisions.record(Reason.AGENT_UNKNOWN, agent=agent)
        return None
    desired, spec = await gateways.state_store.get_desired(agent), agents.agents[agent]
    if desired.waiting or desired.not_before or spec.release.windows:
        release, now = await gateways.state_store.get_release(agent), gateways.clock.now()
        if until := waits_until(desired, release, spec, now) or window.waits_until(desired, release, spec, now):
            return until
    traceparent = desired.newest_traceparent or otel.current_traceparent()  # of its push, where there is one
    await gateways.release_queue.enqueue(agent, traceparent=traceparent)
    decisions.record(Reason.REQUEUED, agent=agent)
    return None
