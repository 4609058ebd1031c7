"""Mutants of rollbacks: in each, something other than a newer push or a person undoes a rollback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.agents_file.spec import AgentSpec
from core.release import rules_start
from core.release.actions import Action, EndRelease, UpdateState
from core.release.inputs import DecisionInput
from core.state.desired import DesiredState
from handlers.gateways.interfaces import Gateways
from tests.simulation.mutants import Override, reading
from tests.simulation.release_mutants import instead_of
from tests.simulation.run import Mutant

Change = Callable[[DesiredState], DesiredState]


def _ends_with_its_generation(desired: DesiredState) -> DesiredState:
    rollback = desired.rollback
    return desired if rollback is None or rollback.generation == desired.generation else replace(desired, rollback=None)


def _moves_to_the_newest_generation(desired: DesiredState) -> DesiredState:
    rollback = desired.rollback
    return replace(desired, rollback=replace(rollback, generation=desired.generation)) if rollback else desired


def _deployment_ends_it(gateways: Gateways) -> Gateways:
    async def update_desired(agent: str, change: Change) -> DesiredState:
        def apply(desired: DesiredState) -> DesiredState:
            changed = change(desired)
            waits = changed.rollback is not None and changed.runtime_hash != desired.runtime_hash
            is_deployment = waits and changed.push == desired.push
            return change(replace(desired, rollback=None)) if is_deployment else changed

        updated: DesiredState = await gateways.state_store.update_desired(agent, apply)
        return updated

    store: Any = Override(gateways.state_store, update_desired=update_desired)
    return replace(gateways, state_store=store)


def _needs_another_run(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    action = rules_start.agent_deleted(inputs, spec, now)
    return EndRelease(action.reason, action.state) if isinstance(action, UpdateState) else action


ROLLBACK_MUTANTS: dict[str, Mutant] = {
    "a rotation ends a rollback": reading("get_desired", _ends_with_its_generation),
    "a rotation supersedes a rollback": reading("get_desired", _moves_to_the_newest_generation),
    "a deployment of agents.yaml ends a rollback": Mutant(_deployment_ends_it),
    "a push that finds its agent deleted needs another run": instead_of("agent_deleted", _needs_another_run),
}
"""By the fault."""
