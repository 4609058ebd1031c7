"""Mutants that wrap the gateways of the app: each removes one safeguard, and the simulation must find it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from core.model import Agent, Answer, Version
from core.state.desired import Approval, DesiredState
from core.state.release import ReleaseState
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import Foundry, Gateways, StateStore
from tests.simulation.faults import PROCESS
from tests.simulation.run import Mutant
from tests.simulation.virtual_time import START


class Override:
    """A gateway with some methods replaced."""

    def __init__(self, target: Any, **methods: Any) -> None:
        self._target = target
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._target, name)


def reading(method: str, change: Callable[[Any], Any]) -> Mutant:
    """The app that reads another state than is stored: ``change`` makes it of what ``method`` returns."""

    def mutate(gateways: Gateways) -> Gateways:
        async def read(agent: str) -> Any:
            return change(await getattr(gateways.state_store, method)(agent))

        store: Any = Override(gateways.state_store, **{method: read})
        return replace(gateways, state_store=store)

    return Mutant(mutate)


Methods = Callable[[Any], dict[str, Any]]
"""From a gateway to its replaced methods."""


def _foundry(methods: Methods) -> Mutant:
    return Mutant(
        lambda gateways: replace(
            gateways, foundry=cast("Foundry", Override(gateways.foundry, **methods(gateways.foundry)))
        )
    )


def _state_store(methods: Methods) -> Mutant:
    return Mutant(
        lambda gateways: replace(
            gateways, state_store=cast("StateStore", Override(gateways.state_store, **methods(gateways.state_store)))
        )
    )


def _no_intent(state_store: Any) -> dict[str, Any]:
    async def acquire_lease(agent: str) -> Any:
        lease = await state_store.acquire_lease(agent)

        async def write(release: ReleaseState) -> bool:
            is_written: bool = await lease.write(replace(release, pending_write=None))
            return is_written

        return lease and Override(lease, write=write)

    return {"acquire_lease": acquire_lease}


def _no_own_holds(state_store: Any) -> dict[str, Any]:
    async def acquire_lease(agent: str) -> Any:
        lease = await state_store.acquire_lease(agent)

        async def write(release: ReleaseState) -> bool:
            written: bool = await lease.write(replace(release, holds=()))
            return written

        return lease and Override(lease, write=write)

    return {"acquire_lease": acquire_lease}


def _no_holds(state_store: Any) -> dict[str, Any]:
    async def get_desired(agent: str) -> Any:
        return replace(await state_store.get_desired(agent), holds=())

    return {"get_desired": get_desired}


def _no_pause(state_store: Any) -> dict[str, Any]:
    async def get_desired(agent: str) -> Any:
        return replace(await state_store.get_desired(agent), pause=None)

    return {"get_desired": get_desired}


def _always_approved(state_store: Any) -> dict[str, Any]:
    async def get_desired(agent: str) -> Any:
        desired, release = await state_store.get_desired(agent), await state_store.get_release(agent)
        created_at = release.created_at.get(release.candidate or "")
        approval = Approval(release.candidate or "", release.fingerprint, "nobody", START, created_at)
        return replace(desired, approval=approval)

    return {"get_desired": get_desired}


def _last_writer_wins(state_store: Any) -> dict[str, Any]:
    async def update_desired(agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        stale = await state_store.get_desired(agent)
        desired: DesiredState = await state_store.update_desired(agent, lambda _: change(stale))
        return desired

    return {"update_desired": update_desired}


def _always_passes(*, has_traffic: bool) -> Methods:
    def methods(foundry: Any) -> dict[str, Any]:
        async def ask(agent: str, probe: Any, session: str | None, within: float) -> Answer:
            answer: Answer = await foundry.ask(agent, probe, session, within)
            return replace(answer, status=200, text="pong") if has_traffic is (session is None) else answer

        return {"ask": ask}

    return methods


def _no_versions(foundry: Any) -> dict[str, Any]:
    async def list_versions(agent: str) -> Sequence[Version]:
        return ()

    return {"list_versions": list_versions}


def _first_routing(foundry: Any) -> dict[str, Any]:
    first: dict[Any, Agent] = {}

    async def get_agent(name: str) -> Agent | None:
        agent: Agent | None = await foundry.get_agent(name)
        return replace(agent, routing=first.setdefault(PROCESS.get(), agent).routing) if agent else None

    return {"get_agent": get_agent}


def _clear_errors(foundry: Any) -> dict[str, Any]:
    async def create_version(*arguments: Any) -> Version:
        try:
            version: Version = await foundry.create_version(*arguments)
        except TransientError as error:
            raise TransientError(error.service, error.code, error.message) from error
        return version

    return {"create_version": create_version}


MUTANTS: dict[str, Mutant] = {
    "a write is sent without a saved intent": _state_store(_no_intent),
    "a rollback is saved without its hold": _state_store(_no_own_holds),
    "a person's hold is ignored": _state_store(_no_holds),
    "a pause is ignored": _state_store(_no_pause),
    "every candidate counts as approved": _state_store(_always_approved),
    "the last writer of the desired state wins": _state_store(_last_writer_wins),
    "verify always passes": _foundry(_always_passes(has_traffic=False)),
    "check always passes": _foundry(_always_passes(has_traffic=True)),
    "a create does not search for an existing version": _foundry(_no_versions),
    "the routing is read once per process": _foundry(_first_routing),
    "a lost answer counts as a refusal": _foundry(_clear_errors),
}
"""By the missing safeguard; the decisions are unchanged."""
