"""Sends the message with which an agent's release goes on after this one."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Requeue, Stop
from core.release.message import ReleaseMessage
from core.release.rules_secrets import next_message_due
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.timing import MAX_CLOCK_SKEW
from core.waits import old_enough_at
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.stages import read_desired
from handlers.telemetry import otel

REQUEUE_DELAY = timedelta(seconds=60)
PUT_BACK_SECONDS = 1.0
"""Hidden for a moment, since the instance that puts a message back would often be the first to see it."""


async def put_back(message: ReleaseMessage, gateways: Gateways) -> None:
    """Leave a message to other instances."""
    await gateways.release_queue.enqueue(message.target, delay=PUT_BACK_SECONDS, traceparent=message.traceparent)


async def enqueue_opening(
    agent: str, action: Requeue, state: ReleaseState, desired: DesiredState, gateways: Gateways
) -> tuple[ReleaseState, Stop]:
    """Enqueue for the opening of a window; the state that says so is stored afterwards, so that no crash loses it."""
    delay = max(0.0, (action.until - gateways.clock.now()).total_seconds())
    traceparent = desired.newest_traceparent or otel.current_traceparent()
    await gateways.release_queue.enqueue(agent, delay=delay, traceparent=traceparent)
    return transitions.resumes(state, action.until), Stop(action.reason, action.detail)


async def enqueue_next(
    spec: AgentSpec,
    gateways: Gateways,
    ended: Stop | Requeue,
    left: tuple[DesiredState, ReleaseState],
    started: datetime,
) -> None:
    """Enqueue after a requeue, a lost lease, or a change that came while the lease was held; ``left``: both states.

    A push that became old enough in that time, or does so now, is such a change: its message found the lease taken.
    """
    (answered, release), now, delay = left, gateways.clock.now(), timedelta(0)
    desired = answered
    if isinstance(ended, Requeue):
        delay = ended.until - now
    elif ended.reason is Reason.LEASE_LOST:
        delay = REQUEUE_DELAY
    else:
        desired = await read_desired(spec, gateways)
        ends = [old_enough_at(waiting, spec) for waiting in desired.waiting]
        ends = [end for end in ends if started < end <= now + MAX_CLOCK_SKEW]
        ends += filter(None, [next_message_due(desired, release, spec, now)])
        if desired == answered and not ends:
            return
        delay = min(ends) - now if desired == answered else delay
    traceparent = desired.newest_traceparent or otel.current_traceparent()
    await gateways.release_queue.enqueue(spec.name, delay=max(0.0, delay.total_seconds()), traceparent=traceparent)
