"""``release_agent``: take the lease, bring the release as far as it goes, ask for the next turn."""

from __future__ import annotations

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Requeue
from core.state.desired import DesiredState
from handlers import outcome_events
from handlers.concurrency import gather_two
from handlers.gateways.interfaces import Gateways, Lease
from handlers.lease_keeper import LeaseKeeper
from handlers.release_agent import turns
from handlers.release_agent.foundry_writer import FoundryWriter
from handlers.release_agent.holder import Ending, Holder
from handlers.release_agent.observe import Observer
from handlers.release_agent.release_trace import ReleaseTrace
from handlers.release_agent.turns import REQUEUE_DELAY
from handlers.settings import Settings
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog


async def reconcile(spec: AgentSpec, settings: Settings, gateways: Gateways, traceparent: str | None = None) -> Reason:
    """Bring the agent's release as far as it goes now; raises TransientError where storage does not answer."""
    decisions = DecisionLog(gateways.journal, gateways.clock, {"agent": spec.name})
    observer = Observer(spec, settings.registry_login_server, gateways)
    with ReleaseTrace(spec.name, gateways.clock, traceparent) as trail:
        with otel.span("release.look", agent=spec.name):
            # what a release needs is read while the lease is asked for: it counts where nobody wrote the record since
            glance, lease = await gather_two(observer.glance(), gateways.state_store.acquire_lease(spec.name))
            push = glance.desired.push if glance else None
            if push:
                otel.set_attributes(repository=push.repository, tag=push.tag, digest=push.digest)
        if lease is None:
            # its holder looks at what is wanted when it gives the lease back
            decisions.record(Reason.LEASE_TAKEN, step="release.look")
            await decisions.flush()
            return Reason.LEASE_TAKEN
        acts = FoundryWriter(spec.name, lease, gateways.foundry, gateways.state_store, gateways.clock)
        pace = LeaseKeeper(gateways.clock, lease, settings.poll_seconds, gateways.rate_limiter)
        holder = Holder(spec, gateways, observer, acts, pace, decisions, trail)
        holder.ahead = glance if glance is not None and glance.release == lease.state else None
        return await _held(holder, lease)


async def _held(holder: Holder, lease: Lease) -> Reason:
    if holder.ahead is not None and holder.ahead.facts.version_list is not None:
        metrics.version_counts(holder.rule.name, holder.ahead.facts.version_list, holder.rule.keep.limit)
    try:
        ending = await turns.in_turn(holder)
    finally:
        await lease.release()
        await gather_two(
            holder.decisions.flush(), outcome_events.publish(holder.events, holder.decisions, holder.gateways)
        )
        await holder.decisions.flush()
    await _go_on(holder.rule.name, ending, holder.desired, holder.gateways)
    return ending.reason


async def _go_on(agent: str, ending: Ending, considered: DesiredState, gateways: Gateways) -> None:
    """Ask for the next turn where one is due: for a yield, a lost lease, or what came while we held the lease."""
    if isinstance(ending, Requeue):
        delay = max(0.0, (ending.until - gateways.clock.now()).total_seconds())
    elif ending.reason is Reason.LEASE_LOST:
        delay = REQUEUE_DELAY.total_seconds()
    elif (desired := await gateways.state_store.get_desired(agent)) != considered:
        considered, delay = desired, 0.0
    else:
        return
    await gateways.release_queue.enqueue(
        agent, delay=delay, traceparent=considered.traceparent or otel.current_traceparent()
    )
