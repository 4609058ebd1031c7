"""The three proofs of a candidate: a second read, questions before it has traffic, questions with traffic."""

from __future__ import annotations

from dataclasses import replace

from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Check, ConfirmActive, EndRelease, Poll, Verify
from core.release.gates.check import after_check
from core.release.gates.verify import after_verify
from core.release.inputs import DecisionInput, Observed
from core.release_outcome import seconds_since
from core.state.release import Phase
from handlers.concurrency import gather_two
from handlers.release_agent.holder import Holder
from handlers.release_agent.observe import Prefetch
from handlers.release_agent.prober import Prover
from handlers.telemetry import metrics

CONFIRM_GAP = 1.0
"""Seconds between two reads of an active version; azd waits for two equal answers too, 10 s apart."""


async def prove(step: ConfirmActive | Verify | Check, holder: Holder) -> Action | None:
    """Ask what the step says; returns what follows from the answer, or None where the table goes on by itself."""
    if isinstance(step, ConfirmActive):
        return await _confirm(step, holder)
    return await (_verify(step, holder) if isinstance(step, Verify) else _check(step, holder))


async def _confirm(step: ConfirmActive, holder: Holder) -> Action | None:
    clock = holder.gateways.clock
    await clock.sleep(CONFIRM_GAP)
    glance = await _look(step.version.number, holder)
    wrong = holder.acts.confirm(glance.facts.versions[step.version.number])
    holder.ahead = glance
    if wrong is None:
        return _confirmed(holder)
    return EndRelease(
        Reason.DEFINITION_MISMATCH,
        transitions.ended(holder.acts.record, Reason.DEFINITION_MISMATCH, clock.now(), wrong),
        wrong,
    )


def _confirmed(holder: Holder) -> Action | None:
    release = holder.acts.record
    if release.phase is not Phase.CONFIRMED:
        return Poll(Reason.CREATE)
    metrics.version_activated(holder.rule.name, seconds_since(release.started_at, holder.gateways.clock.now()))
    return None


async def _verify(step: Verify, holder: Holder) -> Action:
    rule, gateways = holder.rule, holder.gateways
    prover = Prover(rule.name, step.version, gateways.foundry, gateways.clock)
    proof = await holder.pace.during(prover.verify(rule.release.verify))
    metrics.version_verified(rule.name, holder.trail.took)
    holder.ahead = await _look(step.version, holder)  # asking took its time
    return after_verify(DecisionInput(holder.desired, holder.acts.record), rule, proof, gateways.clock.now())


async def _check(step: Check, holder: Holder) -> Action:
    """A failure is taken back at once, with no other look than the one beside the intent."""
    rule, gateways = holder.rule, holder.gateways
    prover = Prover(rule.name, step.version, gateways.foundry, gateways.clock)
    asked = gather_two(prover.check(rule.release.check), holder.observer.versions(step.rollback_versions))
    proof, ways = await holder.pace.during(asked)
    facts, holder.facts = replace(holder.facts, versions=ways), Observed()
    return after_check(DecisionInput(holder.desired, holder.acts.record, facts), rule, proof, gateways.clock.now())


async def _look(number: str, holder: Holder) -> Prefetch:
    """What the traffic is moved on: the version, the routing and what is wanted, as they are now."""
    at = holder.gateways.clock.now()
    desired, facts = await gather_two(
        holder.gateways.state_store.get_desired(holder.rule.name), holder.observer.second_look(holder.facts, number)
    )
    return Prefetch(at, desired, holder.acts.record, holder.still_true(facts, desired))
