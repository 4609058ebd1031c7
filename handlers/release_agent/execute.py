"""Takes one step for a lease holder: rest, write down, or act on Foundry."""

from __future__ import annotations

from dataclasses import replace

from core.reasons import Reason
from core.release.actions import (
    Action,
    Check,
    ConfirmActive,
    Create,
    DeleteDuplicate,
    EndRelease,
    FoundryAction,
    MoveTraffic,
    NeedsRead,
    Pin,
    Poll,
    PruneForRoom,
    Requeue,
    RollBack,
    StartRelease,
    Stop,
    UpdateState,
    Verify,
)
from core.release.inputs import Observed
from handlers.release_agent.holder import Ending, Holder
from handlers.release_agent.proofs import prove
from handlers.release_agent.release_trace import WAIT
from handlers.telemetry import otel
from handlers.version_deleter import VersionDeleter


async def execute(action: Action, holder: Holder) -> Ending | None:
    """Do what the step says; returns what ends the turns, or None to go on."""
    if isinstance(action, Poll | Requeue | Stop):
        return await _rest(action, holder)
    if isinstance(action, UpdateState | EndRelease | StartRelease):
        return await _write_down(action, holder)
    if isinstance(action, NeedsRead):  # pragma: no cover - the turn answered it
        return None
    if isinstance(action, ConfirmActive):
        holder.pace.became_active()
    holder.pace.acted()
    holder.trail.at(action.reason.value.lower())
    with otel.span(f"release.{holder.trail.step}", agent=holder.rule.name):
        after = await _to_foundry(action, holder)
        return await execute(after, holder) if after else None


async def _to_foundry(step: FoundryAction, holder: Holder) -> Action | None:
    """Ask Foundry for something; returns the step that its answer means, where it means one."""
    if isinstance(step, ConfirmActive | Verify | Check):
        after = await prove(step, holder)
        if after is None:
            holder.tell(step.reason, holder.acts.record)
        return after
    await (_make_room(step, holder) if isinstance(step, PruneForRoom) else _act(step, holder))
    return None


async def _rest(step: Poll | Requeue | Stop, holder: Holder) -> Ending | None:
    if isinstance(step, Stop):
        return await _done(step, holder)
    await holder.acts.save()
    if isinstance(step, Requeue):
        return holder.told(step)
    holder.trail.at(WAIT)
    holder.waits_for = step.version
    holder.facts = holder.facts.without_version(step.version) if step.version else Observed()
    await holder.poll()
    return None


async def _done(step: Stop, holder: Holder) -> Ending:
    """Nothing to do: told once, and not again at every look, however often somebody asks."""
    release = holder.acts.record
    told = f"{holder.desired.generation} {step.reason} {release.candidate or ''}"
    again = step.already_reported or release.last_reported == told
    if not again:
        holder.acts.record = replace(release, last_reported=told)
    await holder.acts.save()
    if again:
        return step
    if step.reason is Reason.APPROVAL_WAITING:
        holder.announce(step.reason, holder.acts.record)
    return holder.told(step)


async def _write_down(step: UpdateState | EndRelease | StartRelease, holder: Holder) -> Ending | None:
    before, holder.acts.record = holder.acts.record, step.state
    if isinstance(step, EndRelease):
        await holder.acts.save()
    newer = step.state.observed_generation > before.observed_generation
    if newer and before.is_open:
        holder.ended(Reason.SUPERSEDED, before)
    if newer:
        holder.trail.follow(holder.desired.traceparent)
    if isinstance(step, EndRelease):
        holder.ended(step.reason, step.state, step.detail)
        return Stop(step.reason, step.detail)
    if isinstance(step, StartRelease):
        holder.trail.at("begin")
        holder.facts = replace(
            holder.facts,
            desired_definition=None,
            release_definition=holder.facts.desired_definition if newer else holder.facts.release_definition,
        )
    holder.tell(step.reason, step.state)
    return None


async def _make_room(step: PruneForRoom, holder: Holder) -> None:
    """Delete, and remember until the turn's end what became of each: the list may go on telling what is gone."""
    facts, release = holder.facts, holder.acts.record
    deleting = VersionDeleter(holder.rule, release, holder.pace, holder.gateways, holder.decisions, _nobody_waits)
    holder.tell(step.reason, release, f"{len(step.deletions)} versions may go")
    await deleting.delete_all(step.deletions)
    holder.facts = Observed(release_definition=facts.release_definition, pruned={**facts.pruned, **deleting.results})


async def _nobody_waits() -> bool:
    """A release makes room for itself: a newer wish overtakes it afterwards."""
    return False


async def _act(step: Create | Pin | MoveTraffic | RollBack | DeleteDuplicate, holder: Holder) -> None:
    acts, facts = holder.acts, holder.facts
    holder.facts = Observed(release_definition=facts.release_definition)
    if isinstance(step, DeleteDuplicate):
        await acts.clear_twin(step)
    elif not await (acts.create(step, facts, holder.desired) if isinstance(step, Create) else acts.route(step)):
        if not acts.overtaken:
            await holder.poll()  # the routing moved between two reads: decide again
        return
    if isinstance(step, Pin):
        holder.facts = facts.with_routing(
            acts.record.expected_routing
        )  # the list has not changed, and a look precedes the next act
    holder.tell(step.reason, acts.record, acts.record.detail if isinstance(step, RollBack) else "")
