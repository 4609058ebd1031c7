"""Wakes the targets of later stages whose message was lost, or whose image is not good in the stage before any more."""

from __future__ import annotations

from core.agents_file.spec import Agents, AgentSpec
from core.intake.promotion import UpstreamTarget, promote
from core.reasons import Reason
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_limited
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

MAX_CONCURRENT = 8


async def wake_stages(agents: Agents, states: AgentStates, decisions: DecisionLog, gateways: Gateways) -> None:
    """Enqueue each target that would take an image, or end or begin a wait; raises the first error at the end."""

    async def check(spec: AgentSpec) -> None:
        upstream = [UpstreamTarget(name, *(await states.get(name))) for name in spec.place.upstream]
        own = await states.get(spec.name)
        promotion = promote(own.desired, spec, upstream, gateways.clock.now(), own.release)
        if promotion.desired != own.desired:
            await gateways.release_queue.enqueue(spec.name, traceparent=upstream[0].desired.newest_traceparent)
            decisions.record(Reason.REQUEUED, agent=spec.name)

    await gather_limited(MAX_CONCURRENT, [check(spec) for spec in agents.agents.values() if spec.place.upstream])
