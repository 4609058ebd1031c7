"""Mutants of the release loop: each puts one fault back that the loop once had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.agents_file.spec import AgentSpec
from core.model import Version
from core.reasons import Reason
from core.release import rules_candidate, rules_start, transitions
from core.release.actions import Action, Poll, StartRelease
from core.release.decide import Rule
from core.release.gates import approval
from core.release.inputs import DecisionInput
from core.release.rules_start import MAX_SUPERSEDES_IN_A_ROW
from core.state.desired import DesiredState, Hold
from core.state.holds import lift_of
from core.state.release import Phase, ReleaseState
from handlers.gateways.interfaces import Gateways
from tests.simulation.faults import PROCESS
from tests.simulation.mutants import Override
from tests.simulation.run import Mutant, Rules
from tests.simulation.virtual_time import START


def instead_of(name: str, rule: Rule) -> Mutant:
    """The app with another rule in the place of the one with this name."""

    def mutate(rules: Rules) -> Rules:
        assert name in [known.__name__ for known in rules]
        return tuple(rule if known.__name__ == name else known for known in rules)

    return Mutant(rules=mutate)


def _deletion_is_forgotten(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    if inputs.release.reason == Reason.AGENT_DELETED:
        return None
    return rules_start.agent_deleted(inputs, spec, now)


def _duplicate_counts_as_known(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    deleted = inputs.release.deleted_duplicate
    created_at = {**inputs.release.created_at, deleted.version: deleted.created_at} if deleted else {}
    known = replace(inputs, release=replace(inputs.release, created_at=created_at)) if deleted else inputs
    return rules_start.agent_deleted(known, spec, now)


def _new_agent_is_nobodys(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    if inputs.release.expected_routing is None:
        return None
    return rules_start.routing_changed_outside(inputs, spec, now)


def _finished_first(rule: Rule) -> Rule:
    def finished_first(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
        release = inputs.release
        starves = release.is_open and release.supersede_count >= MAX_SUPERSEDES_IN_A_ROW
        return None if starves and spec.release.mode != "manual" else rule(inputs, spec, now)

    return finished_first


def _always_finished_first(rules: Rules) -> Rules:
    starting = (rules_start.pin_traffic, rules_start.start_release)
    return tuple(_finished_first(rule) if rule in starting else rule for rule in rules)


def _approved_by_number(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    given = inputs.desired.approval
    undated = replace(inputs.desired, approval=replace(given, created_at=None)) if given else inputs.desired
    return approval.approval(replace(inputs, desired=undated), spec, now)


def _only_listed(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    listed = replace(inputs, release=replace(inputs.release, fingerprints={}))
    action = rules_candidate.adopt_existing_version(listed, spec, now)
    return None if isinstance(action, Poll) else action


def _unread_counts_as_gone(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    action = rules_start.start_release(inputs, spec, now)
    candidate = action.state.candidate if isinstance(action, StartRelease) else None
    if isinstance(action, StartRelease) and candidate and inputs.version(candidate) is None:
        return StartRelease(replace(transitions.without_candidate(action.state), fingerprints={}))
    return action


def _waits_for_the_timer(gateways: Gateways) -> Gateways:
    """A message is sent only if the desired state changed since the release read it."""
    last_read: dict[Any, list[DesiredState]] = {}

    async def get_desired(agent: str) -> DesiredState:
        desired = await gateways.state_store.get_desired(agent)
        last_read[PROCESS.get()] = [*last_read.get(PROCESS.get(), [])[-1:], desired]
        return desired

    async def enqueue(agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        process = PROCESS.get()
        reads = last_read.get(process, [])
        if process.name.startswith("worker") and not delay and len(set(map(id, reads))) == 1:
            return
        await gateways.release_queue.enqueue(agent, delay=delay, traceparent=traceparent)

    store: Any = Override(gateways.state_store, get_desired=get_desired)
    queue: Any = Override(gateways.release_queue, enqueue=enqueue)
    return replace(gateways, state_store=store, release_queue=queue)


def _lifts_by_the_clock(gateways: Gateways) -> Gateways:
    """A lift voids every hold that is older by the clock of the person's laptop."""
    lifts: dict[str, datetime] = {}
    store = gateways.state_store

    async def update_desired(agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        before = await store.get_desired(agent)
        after = await store.update_desired(agent, change)
        for lift in after.lifted:
            if lift not in before.lifted:
                lifts.update(dict.fromkeys(filter(None, (lift.fingerprint, lift.digest)), after.updated_at or START))
        return after

    async def get_desired(agent: str) -> DesiredState:
        desired, release = await store.get_desired(agent), await store.get_release(agent)

        def is_lifted(hold: Hold) -> bool:
            keys = (hold.fingerprint, hold.digest)
            return any(hold.since <= lifts[key] for key in keys if key in lifts)

        lifted = tuple(lift_of(hold) for hold in release.holds if is_lifted(hold))
        return replace(desired, lifted=(*desired.lifted, *lifted)) if lifted else desired

    changed: Any = Override(store, update_desired=update_desired, get_desired=get_desired)
    return replace(gateways, state_store=changed)


def _reports_are_forgotten(gateways: Gateways) -> Gateways:
    """What was reported is not in the state."""

    async def acquire_lease(agent: str) -> Any:
        lease: Any = await gateways.state_store.acquire_lease(agent)

        async def write(release: ReleaseState) -> bool:
            written: bool = await lease.write(replace(release, reported=()))
            return written

        return lease and Override(lease, write=write)

    store: Any = Override(gateways.state_store, acquire_lease=acquire_lease)
    return replace(gateways, state_store=store)


def _versions(change: Callable[[Version, ReleaseState], Version | None]) -> Mutant:
    """The app for which the read of a single version gives something else."""

    def mutate(gateways: Gateways) -> Gateways:
        async def get_version(agent: str, number: str) -> Version | None:
            version = await gateways.foundry.get_version(agent, number)
            release = await gateways.state_store.get_release(agent)
            rolls_back = release.phase in (Phase.TRAFFIC_MOVED, Phase.CHECK_FAILED)
            return change(version, release) if version and rolls_back else version

        foundry: Any = Override(gateways.foundry, get_version=get_version)
        return replace(gateways, foundry=foundry)

    return Mutant(mutate)


def _without_digest(version: Version, release: ReleaseState) -> Version | None:
    if version.number == release.candidate:
        return version
    metadata = {key: value for key, value in version.metadata.items() if key != "slipway.digest"}
    return replace(version, image="", metadata=metadata)


def _without_previous(version: Version, release: ReleaseState) -> Version | None:
    named: Sequence[Any] = (release.last_good, release.previous_good)
    last, previous = (good.version if good else None for good in named)
    at_start = release.routing_at_start is not None and release.routing_at_start.routes_to(version.number)
    return None if version.number == previous != last and not at_start else version


RELEASE_MUTANTS: dict[str, Mutant] = {
    "a rotation creates a deleted agent again": instead_of("agent_deleted", _deletion_is_forgotten),
    "a known change waits for the timer": Mutant(_waits_for_the_timer),
    "a deleted duplicate counts as the agent's deletion": instead_of("agent_deleted", _duplicate_counts_as_known),
    "a person's routing of a new agent is not noticed": instead_of("routing_changed_outside", _new_agent_is_nobodys),
    "a release is finished first over a person's routing": Mutant(rules=_always_finished_first),
    "an approval outlives its version": instead_of("approval", _approved_by_number),
    "a rollback does not see that an image is held": _versions(_without_digest),
    "a version that is not listed yet is created again": instead_of("adopt_existing_version", _only_listed),
    "a version that is not readable yet counts as gone": instead_of("start_release", _unread_counts_as_gone),
    "a lift voids later holds": Mutant(_lifts_by_the_clock),
    "what was reported is forgotten": Mutant(_reports_are_forgotten),
    "the good version before the last one is never rolled back to": _versions(_without_previous),
}
"""By the fault."""
