"""The release loop of one lease holder: look, decide, act, record, until a decision ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    Check,
    Create,
    EndRelease,
    MoveTraffic,
    NeedsRead,
    Pin,
    Requeue,
    RollBack,
    StartRelease,
    Stop,
)
from core.release.decide import next_action
from core.release.inputs import DecisionInput, Observed
from core.state.release import Phase, ReleaseState
from core.timing import MAX_READ_AGE_SECONDS
from handlers.concurrency import gather_two
from handlers.gateways.errors import STORAGE, TOO_MANY_VERSIONS, PermanentError, TransientError
from handlers.lease_keeper import LeaseLostError
from handlers.release_agent.execute import execute
from handlers.release_agent.holder import Ending, Holder
from handlers.release_agent.observe import Prefetch

MAX_RUN_TIME = timedelta(minutes=20)
"""How long one message may take; functionTimeout in host.json is longer."""
REQUEUE_DELAY = timedelta(seconds=60)
MAX_READ_AGE = timedelta(seconds=MAX_READ_AGE_SECONDS)
MAX_UNCLEAR_WRITES = 2
"""Acts without an answer, each looked for until it can land no more, before the message goes back to the queue."""
NO_SLOT = "Foundry refuses requests (429), and other releases are before this one"


async def in_turn(holder: Holder) -> Ending:
    """Take turns once Foundry has room for this release; raises TransientError where storage does not answer."""
    try:
        if not await holder.pace.wait_for_slot():
            return holder.told(Requeue(Reason.SERVICE_UNAVAILABLE, holder.gateways.clock.now()), NO_SLOT)
    except LeaseLostError:
        return holder.told(Stop(Reason.LEASE_LOST))
    try:
        return await run(holder)
    finally:
        holder.gateways.rate_limiter.end_release()


async def run(holder: Holder) -> Ending:
    """Take turns until one of them ends it; raises TransientError where storage does not answer."""
    clock = holder.gateways.clock
    started = clock.now()
    try:
        while True:
            now = clock.now()
            if now - started >= MAX_RUN_TIME:
                await holder.acts.save()
                return holder.told(Requeue(Reason.TIME_BUDGET_SPENT, now))
            await holder.pace.keep_lease()
            ending = await _turn(holder, now)
            if ending is not None:
                return ending
    except LeaseLostError:
        return holder.told(Stop(Reason.LEASE_LOST))


async def _turn(holder: Holder, now: datetime) -> Ending | None:
    try:
        glance = holder.ahead or await _look_ahead(holder)
    except TransientError as error:
        return await _wait_out(holder, error)
    holder.ahead, holder.facts, holder.desired = None, glance.facts, glance.desired
    world = DecisionInput(glance.desired, holder.acts.record, holder.facts)
    step: Action = NeedsRead("agent")
    try:
        while isinstance(step := next_action(world, holder.rule, glance.at), NeedsRead):
            world = replace(world, observed=await holder.observer.look(world, step, glance.at))
        holder.facts = world.observed
        ending = None if _hung(step, holder, glance) else await execute(step, holder)
    except TransientError as error:
        return await _wait_out(holder, error)
    except PermanentError as error:
        return await _stop(holder, error, step, world, now)
    holder.pace.answered()
    if isinstance(step, StartRelease | Pin) and holder.facts.agent is not None:
        # the create that follows looks at what is wanted beside its intent, which is also the receipt of the pin
        holder.ahead = replace(glance, release=holder.acts.record, facts=holder.facts)
    return ending


def _hung(action: Action, holder: Holder, glance: Prefetch) -> bool:
    """True where the turn stood still between its look and its act: a version may be gone since it was read.

    What was resolved stays as it is: a vault or a registry that takes longer than this would be asked for ever.
    """
    if not isinstance(action, Create | Pin | MoveTraffic) or holder.gateways.clock.now() - glance.at <= MAX_READ_AGE:
        return False
    holder.facts = Observed(
        desired_definition=holder.facts.desired_definition, release_definition=holder.facts.release_definition
    )
    return True


async def _look_ahead(holder: Holder) -> Prefetch:
    """What is wanted now, beside the last act's receipt and the version that is waited for."""
    at = holder.gateways.clock.now()  # before the reads: a slow turn may look old, never fresh
    reads = gather_two(holder.gateways.state_store.get_desired(holder.rule.name), _waited_for(holder))
    _, (desired, facts) = await gather_two(holder.acts.write_receipt(), reads)
    return Prefetch(at, desired, holder.acts.record, holder.still_true(facts, desired))


async def _waited_for(holder: Holder) -> Observed:
    number, holder.waits_for = holder.waits_for, ""
    if not number:
        return holder.facts
    try:
        version = await holder.gateways.foundry.get_version(holder.rule.name, number)
    except PermanentError:
        return holder.facts  # the row that asks for the version meets the refusal, and says so
    return holder.facts.with_version(number, version)


async def _wait_out(holder: Holder, error: TransientError) -> Ending | None:
    """Faults of others are waited out here: redeliveries of a message are few, and are for bugs."""
    if error.service == STORAGE:
        raise error
    holder.facts = Observed()
    await holder.acts.save()
    await holder.decisions.flush()
    holder.unanswered += error.unclear
    if holder.unanswered < MAX_UNCLEAR_WRITES and await holder.pace.back_off(error):
        return None
    wish = timedelta(seconds=error.retry_after or 0.0)
    until = holder.gateways.clock.now() + max(REQUEUE_DELAY, wish)
    return holder.told(Requeue(Reason.SERVICE_UNAVAILABLE, until), str(error))


async def _stop(
    holder: Holder, error: PermanentError, action: Action, inputs: DecisionInput, now: datetime
) -> Ending | None:
    """What will never be answered otherwise ends the release, and says so."""
    if error.service == STORAGE:
        raise error
    reason, release = _refusal(error, action, holder.acts.record), holder.acts.record
    if inputs.has_pending:
        ended = transitions.answered_without_release(release, inputs.desired, reason, now, str(error))
    else:
        ended = transitions.ended(release, reason, now, str(error))
    return await execute(EndRelease(reason, ended, str(error)), holder)


def _refusal(error: PermanentError, action: Action, release: ReleaseState) -> Reason:
    if error.status in (401, 403):
        return Reason.FORBIDDEN
    if isinstance(action, Create):
        return Reason.VERSION_LIMIT if error.code == TOO_MANY_VERSIONS else Reason.CREATE_REFUSED
    if isinstance(action, Check | RollBack) or release.phase is Phase.TRAFFIC_MOVED:
        return Reason.ROLLBACK_REFUSED
    return Reason.ROUTE_REFUSED if isinstance(action, Pin | MoveTraffic) else Reason.REQUEST_REFUSED
