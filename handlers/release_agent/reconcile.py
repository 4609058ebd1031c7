"""Brings one agent's release as far as it goes: read, decide, execute, save, until a decision ends the loop."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core.agents_file.spec import Agents, AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    Check,
    ConfirmActive,
    Create,
    EndRelease,
    Evaluate,
    FoundryAction,
    FoundryWrite,
    MoveTraffic,
    NeedsRead,
    Pin,
    Read,
    Requeue,
    StartRelease,
    Stop,
    Verify,
)
from core.release.decide import RULES, Rule, next_action
from core.release.inputs import DecisionInput, Observed
from core.release.message import ReleaseMessage
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.timing import MAX_READ_AGE
from handlers.concurrency import gather_two
from handlers.gateways.errors import STORAGE, GatewayError, TransientError
from handlers.gateways.interfaces import Gateways, Lease
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.release_agent.commit_reporter import CommitReporter
from handlers.release_agent.execute import execute
from handlers.release_agent.foreign_words import ForeignWords
from handlers.release_agent.foundry_writer import FoundryWriter
from handlers.release_agent.next_message import REQUEUE_DELAY, enqueue_next, put_back
from handlers.release_agent.observe import Observer, Prefetch
from handlers.release_agent.polling import Poller
from handlers.release_agent.refusals import refusal_reason
from handlers.release_agent.release_context import ActionResult, ReleaseContext
from handlers.release_agent.release_log import ReleaseLog
from handlers.release_agent.release_trace import ReleaseTrace
from handlers.release_agent.session_closer import SessionCloser
from handlers.release_agent.stages import take_promotion, wake_next_stage
from handlers.settings import Settings
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog

MAX_RUN_TIME = timedelta(minutes=20)
"""How long one message may take; functionTimeout in host.json is longer."""
MAX_UNCLEAR_WRITES = 2
"""After so many writes without a clear answer the message goes back to the queue."""
NO_SLOT = "Foundry refuses requests (429), and other releases are before this one"


async def handle_message(message: str, agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Continue the release that the message names, and wake the next stage; one that names none is only recorded.

    A message whose release other instances take goes back to the queue.
    """
    parsed = ReleaseMessage.from_json(message)
    spec = agents.agents.get(parsed.target) if parsed else None
    if parsed and spec:
        if not await gateways.limiter_of(spec.name).takes_release(gateways.clock):
            await put_back(parsed, gateways)
        elif await take_promotion(spec, gateways):
            ended = await reconcile(
                spec, settings, gateways, parsed.traceparent, reports_commits=agents.github is not None
            )
            await wake_next_stage(spec, ended, agents, gateways)
        return
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": "release"})
    if parsed:
        decisions.record(Reason.AGENT_UNKNOWN, agent=parsed.target)
    else:
        decisions.record(Reason.MALFORMED_MESSAGE, 'expected {"target": …}')
    await decisions.flush()


async def reconcile(
    spec: AgentSpec,
    settings: Settings,
    gateways: Gateways,
    traceparent: str | None = None,
    rules: tuple[Rule, ...] = RULES,
    *,
    reports_commits: bool = False,
) -> Reason:
    """Bring the agent's release as far as it goes now; raises TransientError where storage does not answer."""
    observer = Observer(spec, settings.registry_login_server, gateways)
    async with SessionCloser(gateways.foundry) as closer:
        with ReleaseTrace(spec.name, gateways.clock, traceparent) as trace:
            commits = CommitReporter(spec.name, gateways, enabled=reports_commits)
            log = ReleaseLog(spec, gateways, trace, commits)
            prefetched, lease = await _prefetch(spec, gateways, observer)
            log.lease = lease
            if lease is None:  # its holder reads the desired state once more when it releases the lease
                await log.lease_taken()
                return Reason.LEASE_TAKEN
            keeper = LeaseKeeper(gateways.clock, lease)
            poller = Poller(gateways.clock, keeper, settings.poll_seconds, gateways.limiter_of(spec.name))
            writer = FoundryWriter(spec, lease, gateways, observer)
            words = ForeignWords(gateways.vault_of(spec.name), keeper)
            run = ReleaseContext(spec, gateways, lease, keeper, poller, observer, writer, log, closer, words, rules)
            try:
                started = gateways.clock.now()
                ended, desired = await _loop(run, prefetched)
            finally:
                await lease.release()
                await gather_two(log.flush(), log.publish())
                await log.flush()
            await enqueue_next(spec, gateways, ended, (desired, lease.state), started)
            return ended.reason


async def _prefetch(spec: AgentSpec, gateways: Gateways, observer: Observer) -> tuple[Prefetch | None, Lease | None]:
    """The lease, and the reads of the first pass of the loop, where its reads answer."""
    with otel.span("release.read", agent=spec.name):
        states, lease = await gather_two(observer.prefetch_desired(), gateways.state_store.acquire_lease(spec.name))
        push = states.desired.push if states else None
        if push:
            otel.set_attributes(repository=push.repository, tag=push.tag, digest=push.digest)
        if states is None or lease is None or states.desired.generation < lease.state.known_generation:
            return None, lease  # the last: the process stood still between the two reads
        prefetched = await observer.prefetch(states, lease.state)
    if Read.VERSION_LIST in prefetched.observed.reads:
        metrics.version_counts(spec.name, prefetched.observed.version_list, spec.keep.limit)
    return prefetched, lease


@dataclass(frozen=True, slots=True)
class Progress:
    """What one pass of the loop hands to the next."""

    state: ReleaseState
    desired: DesiredState = field(default_factory=DesiredState)
    observed: Observed = field(default_factory=Observed)
    prefetched: Prefetch | None = None
    polled_version: str = ""
    receipt_due: bool = False
    unclear_writes: int = 0
    ended: Stop | Requeue | None = None


async def _loop(run: ReleaseContext, prefetched: Prefetch | None) -> tuple[Stop | Requeue, DesiredState]:
    """Pass after pass until one ends it; returns the end and the desired state that it answers."""
    clock, log = run.gateways.clock, run.log
    started, progress = clock.now(), Progress(run.lease.state, prefetched=prefetched)
    try:
        async with run.gateways.limiter_of(run.spec.name).slot(clock, run.keeper.sleep) as has_slot:
            if not has_slot:
                end = Requeue(Reason.SERVICE_UNAVAILABLE, clock.now())
                return log.stopped(end, progress.state, progress.desired, NO_SLOT), progress.desired
            while progress.ended is None:
                if clock.now() - started >= MAX_RUN_TIME:
                    await run.save(progress.state)
                    end = Requeue(Reason.TIME_BUDGET_SPENT, clock.now())
                    return log.stopped(end, progress.state, progress.desired), progress.desired
                await run.keeper.keep()
                progress = await _pass(run, progress)
            return progress.ended, progress.desired
    except LeaseLostError:
        return log.lease_lost(progress.desired), progress.desired


async def _pass(run: ReleaseContext, progress: Progress) -> Progress:
    """Read, decide, execute."""
    action: Action = NeedsRead()
    read: Prefetch | None = None
    try:
        read = progress.prefetched or await _read(run, progress)
        inputs, action = await _decide(run, progress.state, read)
    except GatewayError as error:
        failed = replace(progress, desired=read.desired if read else progress.desired)
        return await _after_error(run, failed, progress.state, action, error)
    if isinstance(action, Create | Pin | MoveTraffic) and run.gateways.clock.now() - read.at > MAX_READ_AGE:
        # The pass stood still: what it read of Foundry is too old to write on. The definition stays, since a vault or
        # registry that takes longer than that would be asked for ever.
        definitions = inputs.observed.only(Read.DESIRED_DEFINITION, Read.RELEASE_DEFINITION, Read.RECENT_TAGS)
        result = ActionResult(progress.state, definitions)
    else:
        if progress.receipt_due and isinstance(action, Verify | Evaluate | Check):
            await run.save(progress.state)  # agents may take minutes to answer
        result = await _execute(run, action, inputs)
    if result.error is not None:
        return await _after_error(run, replace(progress, desired=read.desired), result.state, action, result.error)
    run.keeper.reset_faults()
    return Progress(
        state=result.state,
        desired=read.desired,
        observed=result.observed,
        prefetched=result.prefetched or _still_fresh(action, read, result.observed),
        polled_version=result.polled_version,
        receipt_due=result.receipt_due or (progress.receipt_due and progress.prefetched is not None),
        unclear_writes=progress.unclear_writes,
        ended=result.ended,
    )


async def _read(run: ReleaseContext, progress: Progress) -> Prefetch:
    """The next reads; beside them the receipt of the last write is saved, and the commit's statuses are sent."""
    await run.poller.wait_to_go_on()
    reads = run.observer.read_again(progress.desired, progress.observed, progress.polled_version)
    sending = run.log.commits.send()  # what is not accepted stays for the next reads
    if not progress.receipt_due:
        return (await gather_two(sending, reads))[1]
    return (await gather_two(gather_two(run.save(progress.state), sending), reads))[1]


async def _decide(run: ReleaseContext, state: ReleaseState, read: Prefetch) -> tuple[DecisionInput, Action]:
    """The next action, once everything that it needs was read."""
    inputs = DecisionInput(read.desired, state, read.observed)
    while isinstance(action := next_action(inputs, run.spec, read.at, run.rules), NeedsRead):
        await run.keeper.keep()  # each read may take as long as a lease lasts
        inputs = replace(inputs, observed=await run.observer.read(inputs, action, read.at))
    if isinstance(action, EndRelease):
        inputs = await run.words.with_failure(inputs)
        action = next_action(inputs, run.spec, read.at, run.rules)
    return inputs, action


async def _execute(run: ReleaseContext, action: Action, inputs: DecisionInput) -> ActionResult:
    """Execute an action and what its answers lead to; a service's error is part of the result."""
    state, prefetched, next_up = inputs.release, None, action
    try:
        with ExitStack() as spans:
            while True:
                if isinstance(next_up, FoundryAction):
                    spans.enter_context(_step(run, next_up))
                state = getattr(next_up, "state", None) or state  # some actions carry the state that follows from them
                result = await execute(next_up, inputs, run)
                state, prefetched = result.state, result.prefetched or prefetched
                if result.error is not None:
                    raise result.error
                if result.next_action is None:
                    return replace(result, prefetched=prefetched)
                inputs, next_up = replace(inputs, observed=result.observed), result.next_action
    except GatewayError as error:
        return ActionResult(state, error=error)


def _step(run: ReleaseContext, action: FoundryAction) -> AbstractContextManager[None]:
    """The span of an action on Foundry; the release polls often again after it."""
    if isinstance(action, ConfirmActive):
        run.poller.version_active()
    run.poller.restart(provisions=isinstance(action, Create))
    return run.log.trace.step_span(action.step)


def _still_fresh(action: Action, read: Prefetch, observed: Observed) -> Prefetch | None:
    """After these the same reads count: what is written next reads again beside its intent, or has polled before."""
    kept = isinstance(action, StartRelease | ConfirmActive | FoundryWrite) and Read.AGENT in observed.reads
    return replace(read, observed=observed) if kept else None


async def _after_error(
    run: ReleaseContext, progress: Progress, state: ReleaseState, action: Action, error: GatewayError
) -> Progress:
    """Wait a transient fault out; a refusal ends the release. ``state`` is what is known after the error."""
    if error.service == STORAGE:
        raise error
    if isinstance(error, TransientError) and (waited := await _wait_out(run, progress, state, error)):
        return waited
    detail = await run.words.describe(error, state)
    reason, now = refusal_reason(error, action, state), run.gateways.clock.now()
    if DecisionInput(progress.desired, progress.state).has_pending:
        ended = transitions.answered_without_release(state, progress.desired, reason, now, detail)
    else:
        ended = transitions.ended(state, reason, now, detail)
    result = await execute(EndRelease(reason, ended, detail), DecisionInput(progress.desired, state), run)
    return replace(progress, state=result.state, ended=result.ended)


async def _wait_out(
    run: ReleaseContext, progress: Progress, state: ReleaseState, error: TransientError
) -> Progress | None:
    """Faults are waited out here: redeliveries of a message are few, and are for bugs.

    None for a conflict that lasts: the service refuses the request, whatever it says about a retry.
    """
    await run.save(state)
    await run.log.flush()
    unclear_writes = progress.unclear_writes + error.unclear
    if unclear_writes < MAX_UNCLEAR_WRITES and await run.keeper.back_off(error):
        return Progress(state, progress.desired, unclear_writes=unclear_writes)
    if error.conflict and run.keeper.has_given_up:
        return None
    delay = max(REQUEUE_DELAY, timedelta(seconds=error.retry_after or 0.0))
    end = Requeue(Reason.SERVICE_UNAVAILABLE, run.gateways.clock.now() + delay)
    detail = await run.words.describe(error, state)
    return replace(progress, state=state, ended=run.log.stopped(end, state, progress.desired, detail))
