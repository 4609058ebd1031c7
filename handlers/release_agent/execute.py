"""Executes one action for the holder of a lease. The loop takes over what the result says; nothing else assigns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from core.intake.secret_check import apply_start
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    REASONS,
    Action,
    Check,
    ConfirmActive,
    Create,
    DeleteDuplicate,
    EndRelease,
    Evaluate,
    FoundryWrite,
    MoveTraffic,
    NeedsRead,
    Pin,
    Poll,
    PruneForRoom,
    Read,
    ReadEvaluation,
    ReleaseAgain,
    ReplaceDesiredPush,
    Requeue,
    RollBack,
    StartRelease,
    Stop,
    UpdateState,
    Verify,
)
from core.release.gates.answers import ProbeOutcome
from core.release.gates.check import after_check
from core.release.gates.confirm import after_confirm
from core.release.gates.verify import after_verify
from core.release.inputs import DecisionInput, Observed
from core.release.poll_schedule import provisioned
from core.release_outcome import seconds_since
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.release_agent.evaluator import evaluate, read_evaluation
from handlers.release_agent.foundry_writer import WriteResult
from handlers.release_agent.next_message import enqueue_opening
from handlers.release_agent.release_context import ActionResult, ReleaseContext
from handlers.release_agent.release_trace import WAIT
from handlers.release_agent.replace_push import PushReplacement
from handlers.telemetry import metrics
from handlers.version_deleter import VersionDeleter

CONFIRM_GAP_SECONDS = 0.5
"""Between two reads of an active version; azd waits for two equal answers too, 10 s apart."""


async def execute(  # noqa: C901, PLR0911, PLR0912 - one case an action
    action: Action, inputs: DecisionInput, run: ReleaseContext
) -> ActionResult:
    """Do what the action says; raises LeaseLostError, TransientError or PermanentError."""
    match action:
        case Poll():
            return await _poll(action, inputs, run)
        case ReplaceDesiredPush():
            return await _replace_desired_push(action, inputs, run)
        case ReleaseAgain():
            return await _release_again(action, inputs, run)
        case Requeue() | Stop():
            return await _stop(action, inputs, run)
        case UpdateState():
            return await _update(action, inputs, run)
        case StartRelease():
            return await _start(action, inputs, run)
        case EndRelease():
            return await _end(action, inputs, run)
        case ConfirmActive():
            return await _confirm(action, inputs, run)
        case Verify():
            return await _verify(action, inputs, run)
        case Evaluate():
            return await evaluate(inputs, action.spec, run)
        case ReadEvaluation():
            return await read_evaluation(inputs, action.spec, run)
        case Check():
            return await _check(action, inputs, run)
        case PruneForRoom():
            return await _make_room(action, inputs, run)
        case DeleteDuplicate():
            return await _after_write(action, inputs, run, await run.writer.delete_duplicate(inputs, action))
        case Create():
            run.log.record_notes(action.notes, inputs.release, inputs.desired)
            return await _after_write(action, inputs, run, await run.writer.create(inputs, action))
        case Pin() | MoveTraffic():
            return await _after_write(action, inputs, run, await run.writer.set_routing(inputs.release, action))
        case RollBack():
            return await _after_write(action, inputs, run, await run.writer.set_routing(action.state, action))
        case NeedsRead():  # pragma: no cover - the loop answers it
            raise TypeError("NeedsRead is read, not executed")


async def _poll(action: Poll, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    state = action.state or inputs.release
    await run.save(state)
    run.log.trace.enter_step(WAIT)
    await _wait(run, state.provisioning_seconds)
    observed = inputs.observed.without_version(action.version) if action.version else Observed()
    return ActionResult(state, observed, polled_version=action.version)


async def _wait(run: ReleaseContext, known: Sequence[float] = ()) -> None:
    await run.log.flush()
    await run.poller.wait(known)


async def _replace_desired_push(action: ReplaceDesiredPush, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Swap the push, and decide again; somebody who changed the desired state meanwhile is not overwritten."""
    replacement = PushReplacement(run.spec, action, inputs, run.gateways.clock.now())
    desired = await run.gateways.state_store.update_desired(run.spec.name, replacement.apply)
    if replacement.applied and action.reason is not Reason.ACCEPTED:  # a push that waited was recorded when it came
        run.log.push_replaced(action, inputs, desired)
    return ActionResult(inputs.release, inputs.observed.without(Read.DESIRED_DEFINITION, Read.RECENT_TAGS))


async def _release_again(action: ReleaseAgain, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """As a rotation does; somebody who changed the desired state meanwhile has asked for a release too."""
    change = partial(apply_start, generation=action.generation, spec=run.spec, now=run.gateways.clock.now())
    desired = await run.gateways.state_store.update_desired(run.spec.name, change)
    run.log.record(action.reason, action.state, desired, generation=desired.generation)
    return ActionResult(action.state)


async def _stop(action: Stop | Requeue, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Nothing to do now: recorded once, however many messages ask for the release."""
    reported = transitions.is_reported(inputs.release, inputs.desired, action.reason)
    reported = reported or (isinstance(action, Stop) and action.already_reported)
    state = inputs.release if reported else transitions.reported(inputs.release, inputs.desired, action.reason)
    if isinstance(action, Requeue) and action.reason is Reason.WINDOW_CLOSED:
        state, action = await enqueue_opening(run.spec.name, action, state, inputs.desired, run.gateways)
    await run.save(state)
    if not reported:
        if action.reason is Reason.APPROVAL_WAITING:
            run.log.announce(action.reason, state)
        run.log.stopped(action, state, inputs.desired)
    return ActionResult(state, ended=action)


async def _end(action: EndRelease, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Save the end of a release at once, and record it; a change that came meanwhile does not wait for the timer."""
    before, desired = inputs.release, inputs.desired
    state = transitions.reported(action.state, desired, action.reason)
    await run.save(state)
    if state.observed_generation > before.observed_generation:
        _supersede(before, state, desired, run)
    run.log.release_ended(action.reason, state, desired, action.detail)
    if desired.generation > state.observed_generation:
        return ActionResult(state, ended=Requeue(action.reason, run.gateways.clock.now()))
    return ActionResult(state, ended=Stop(action.reason, action.detail))


async def _start(action: StartRelease, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Record the start of a release; its state is saved with the next write."""
    before, state, desired, observed = inputs.release, action.state, inputs.desired, inputs.observed
    newer = state.observed_generation > before.observed_generation
    if newer:
        _supersede(before, state, desired, run)
    run.log.trace.enter_step("begin")
    if newer and Read.DESIRED_DEFINITION in observed.reads:
        reads = observed.reads | {Read.RELEASE_DEFINITION}
        observed = replace(observed, reads=reads, release_definition=observed.desired_definition)
    run.log.record(action.reason, state, desired)
    run.log.record_notes(action.notes, state, desired)
    return ActionResult(state, observed.without(Read.DESIRED_DEFINITION))


async def _update(action: UpdateState, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Record the new state, which is saved with the next write."""
    before, state, desired = inputs.release, action.state, inputs.desired
    if before.is_open and not state.is_open:  # the agent was deleted, and a newer change begins anew
        run.log.release_ended(action.reason, before, desired, stored_with=state)
    elif not (action.reported_at_end or action.already_reported):
        run.log.record(action.reason, state, desired, action.detail)
    return ActionResult(state, inputs.observed)


def _supersede(before: ReleaseState, state: ReleaseState, desired: DesiredState, run: ReleaseContext) -> None:
    """A newer change is answered: a release under way is over."""
    if before.is_open:
        run.log.release_ended(Reason.SUPERSEDED, before, desired, stored_with=state)
    run.log.trace.follow(desired.traceparent)


async def _confirm(action: ConfirmActive, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    clock, release = run.gateways.clock, provisioned(inputs.release, run.poller.provisioning_seconds)
    read, observed, definition = None, inputs.observed, inputs.observed.release_definition
    if not run.spec.release.verify:  # else the read after the questions is the second one: no traffic moves before
        await clock.sleep(run.poller.seconds_to_second_read(CONFIRM_GAP_SECONDS))
        read = await run.observer.read_for_traffic(inputs.desired, observed, action.version)
        observed = read.observed
    version = observed.versions[action.version]
    follow_up = after_confirm(release, version, clock.now(), definition)
    if isinstance(follow_up, UpdateState):
        metrics.version_activated(run.spec.name, seconds_since(release.started_at, clock.now()))
    return ActionResult(inputs.release, inputs.observed, follow_up, read)


async def _verify(action: Verify, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    prober = run.prober(action.version, inputs.release)
    questions = prober.verify(run.spec.release.verify)
    report, _ = await run.keeper.during(gather_two(questions, run.gateways.clock.sleep(CONFIRM_GAP_SECONDS)))
    run.log.container_log = report.log
    metrics.version_verified(run.spec.name, run.log.trace.step_seconds)
    read = await run.observer.read_for_traffic(inputs.desired, inputs.observed, action.version)  # asking took a while
    follow_up = after_verify(inputs, run.spec, report, run.gateways.clock.now())
    return ActionResult(inputs.release, inputs.observed, follow_up, read)


async def _check(action: Check, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """A failed check is rolled back at once, with no other read than the one beside the intent."""
    report_now = run.prober(action.version, inputs.release).check(run.spec.release.check)
    both = gather_two(report_now, run.observer.rollback_versions(action.rollback_versions))
    report, versions = await run.keeper.during(both)
    run.log.container_log = report.log
    observed = replace(inputs.observed, versions=versions)
    if report.outcome is ProbeOutcome.INCONCLUSIVE:
        observed = await run.observer.agent_again(observed)
    follow_up = after_check(replace(inputs, observed=observed), run.spec, report, run.gateways.clock.now())
    return ActionResult(inputs.release, next_action=follow_up)


async def _make_room(action: PruneForRoom, inputs: DecisionInput, run: ReleaseContext) -> ActionResult:
    """Delete, and remember the results for this release: a list may go on naming what is gone."""
    release, observed = inputs.release, inputs.observed
    await run.save(release)
    run.log.record(REASONS[PruneForRoom], release, inputs.desired, f"{len(action.deletions)} versions may go")
    deleter = VersionDeleter(run.spec, release, run.keeper, run.gateways, run.log.decisions)
    await deleter.delete_all(action.deletions)
    results = {**observed.prune_results, **deleter.results}
    return ActionResult(release, replace(observed.only(Read.RELEASE_DEFINITION), prune_results=results))


async def _after_write(
    action: FoundryWrite, inputs: DecisionInput, run: ReleaseContext, written: WriteResult
) -> ActionResult:
    """What follows from a write, or from one that was not sent."""
    kept = inputs.observed.only(Read.RELEASE_DEFINITION)
    if written.error is not None:
        return ActionResult(written.state, kept, error=written.error)
    if not written.sent:
        if not written.superseded:
            await _wait(run)  # the routing changed between two reads: decide again
        return ActionResult(written.state, kept)
    if isinstance(action, Pin):  # the list is the same, and a create reads again
        kept = inputs.observed.with_routing(written.state.expected_routing)
    elif written.agent is not None:  # reads at once would say the same, here and below
        kept = kept.with_agent(written.agent)
    if written.created is not None:
        kept = kept.with_version(written.created.number, written.created)
    run.log.record(REASONS[type(action)], written.state, inputs.desired, getattr(action, "detail", ""))
    return ActionResult(written.state, kept, receipt_due=True)
