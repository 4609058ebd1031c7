"""Takes one step for a lease holder: rest, write down, or act on Foundry."""

from __future__ import annotations

from dataclasses import replace

from core import notes
from core.reasons import Reason
from core.steps import Begin, ClearTwin, Confirm, Create, Done, End, Look, Note, Pin, Promote, Step, Wait, Yield
from core.world import Facts
from handlers import telemetry
from handlers.holder import Ending, Holder
from handlers.observe import Glance
from handlers.together import together

CONFIRM_GAP = 1.0
"""Seconds between two reads of an active version; azd waits for two equal answers too, 10 s apart."""

ToFoundry = Create | Pin | Promote | ClearTwin | Confirm


async def take(step: Step, holder: Holder) -> Ending | None:
    """Do what the step says; returns what ends the turns, or None to go on."""
    if isinstance(step, Wait | Yield | Done):
        return await _rest(step, holder)
    if isinstance(step, Note | End | Begin):
        return await _write_down(step, holder)
    if isinstance(step, Look):  # pragma: no cover - the turn answered it
        return None
    holder.pace.acted()
    with telemetry.span(f"release.{step.reason.value.lower()}", agent=holder.rule.name):
        return await _act(step, holder)


async def _rest(step: Wait | Yield | Done, holder: Holder) -> Ending | None:
    await holder.acts.save()
    if isinstance(step, Done) and step.told:
        return step
    if not isinstance(step, Wait):
        return holder.told(step)
    holder.waits_for = step.for_version
    holder.facts = holder.facts.without_version(step.for_version) if step.for_version else Facts()
    await holder.poll()
    return None


async def _write_down(step: Note | End | Begin, holder: Holder) -> Ending | None:
    before, holder.acts.record = holder.acts.record, step.record
    if isinstance(step, End):
        await holder.acts.save()
        if before.open and step.record.seen > before.seen:
            holder.tell(Reason.SUPERSEDED, before)
        holder.tell(step.reason, step.record, step.detail)
        return Done(step.reason, step.detail)
    if isinstance(step, Begin):
        if step.superseded is not None:
            holder.tell(Reason.SUPERSEDED, step.superseded)
        holder.facts = replace(holder.facts, wish=None, resolved=holder.facts.wish)
    holder.tell(step.reason, step.record)
    return None


async def _act(step: ToFoundry, holder: Holder) -> Ending | None:
    if isinstance(step, Confirm):
        return await _confirm(step, holder)
    acts, facts = holder.acts, holder.facts
    holder.facts = Facts(resolved=facts.resolved)
    if isinstance(step, ClearTwin):
        await acts.clear_twin(step)
    elif not await (acts.create(step, facts) if isinstance(step, Create) else acts.route(step)):
        await holder.poll()  # the routing moved between two reads: decide again
        return None
    if isinstance(step, Pin):
        holder.facts = facts.routed(acts.record.selector)  # the list has not changed, and a look precedes the next act
    holder.tell(step.reason, acts.record)
    return None


async def _confirm(step: Confirm, holder: Holder) -> Ending | None:
    clock, number = holder.outside.clock, step.version.number
    await clock.sleep(CONFIRM_GAP)
    at = clock.now()
    wanted, facts = await together(
        holder.outside.ledger.wanted(holder.rule.name), holder.observer.second_look(holder.facts, number)
    )
    wrong = holder.acts.confirm(facts.versions[number])
    if wrong is None:
        holder.ahead = Glance(at, wanted, holder.acts.record, facts)
        return None
    ended = notes.ended(holder.acts.record, Reason.DEFINITION_MISMATCH, clock.now(), wrong)
    return await _write_down(End(Reason.DEFINITION_MISMATCH, ended, wrong), holder)
