"""Faults to be found: each wraps the gateways that the product is given, and takes one of its safeguards away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from core.model import Agent, Answer, Version
from core.state.desired import Approval, DesiredState
from core.state.release import ReleaseState
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import Foundry, StateStore
from tests.simulation.faults import PROCESS
from tests.simulation.run import Plant


class Instead:
    """A gateway of which one method is another."""

    def __init__(self, target: Any, **methods: Any) -> None:
        self._target = target
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._target, name)


def _foundry(make: Callable[[Any], dict[str, Any]]) -> Plant:
    return lambda whole: replace(whole, foundry=cast("Foundry", Instead(whole.foundry, **make(whole.foundry))))


def _ledger(make: Callable[[Any], dict[str, Any]]) -> Plant:
    return lambda whole: replace(
        whole, state_store=cast("StateStore", Instead(whole.state_store, **make(whole.state_store)))
    )


def _no_intention(ledger: Any) -> dict[str, Any]:
    async def lease(agent: str) -> Any:
        taken = await ledger.acquire_lease(agent)

        async def write(release: ReleaseState) -> bool:
            wrote: bool = await taken.write(replace(release, pending_write=None))
            return wrote

        return taken and Instead(taken, write=write)

    return {"acquire_lease": lease}


def _holds_unheard(ledger: Any) -> dict[str, Any]:
    async def wanted(agent: str) -> Any:
        return replace(await ledger.get_desired(agent), holds=())

    return {"get_desired": wanted}


def _pause_unheard(ledger: Any) -> dict[str, Any]:
    async def wanted(agent: str) -> Any:
        return replace(await ledger.get_desired(agent), pause=None)

    return {"get_desired": wanted}


def _approves_itself(ledger: Any) -> dict[str, Any]:
    async def wanted(agent: str) -> Any:
        found, release = await ledger.get_desired(agent), await ledger.get_release(agent)
        leave = Approval(release.candidate or "", release.fingerprint, "nobody", release.started_at)
        return replace(found, approval=leave)

    return {"get_desired": wanted}


def _last_writer_wins(ledger: Any) -> dict[str, Any]:
    async def note(agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        stale = await ledger.get_desired(agent)
        after: DesiredState = await ledger.update_desired(agent, lambda _: change(stale))
        return after

    return {"update_desired": note}


def _answers(before: bool) -> Callable[[Any], dict[str, Any]]:
    def make(foundry: Any) -> dict[str, Any]:
        async def ask(agent: str, probe: Any, session: str | None, within: float) -> Answer:
            answer: Answer = await foundry.ask(agent, probe, session, within)
            return replace(answer, status=200, text="pong") if before is (session is not None) else answer

        return {"ask": ask}

    return make


def _sees_no_versions(foundry: Any) -> dict[str, Any]:
    async def versions(agent: str) -> Sequence[Version]:
        return ()

    return {"list_versions": versions}


def _routing_as_first_read(foundry: Any) -> dict[str, Any]:
    first: dict[Any, Agent] = {}

    async def agent(name: str) -> Agent | None:
        found: Agent | None = await foundry.get_agent(name)
        kept = first.setdefault(PROCESS.get(), found) if found else None
        return replace(found, routing=kept.routing) if found and kept else found

    return {"get_agent": agent}


def _unclear_is_clear(foundry: Any) -> dict[str, Any]:
    async def create(*given: Any) -> Version:
        try:
            made: Version = await foundry.create_version(*given)
        except TransientError as error:
            raise TransientError(error.service, error.code, error.message) from error
        return made

    return {"create_version": create}


PLANTED: dict[str, Plant] = {
    "an act is sent and its intention was never noted": _ledger(_no_intention),
    "a hold of people's is not heard": _ledger(_holds_unheard),
    "a pause is not heard": _ledger(_pause_unheard),
    "every candidate counts as approved": _ledger(_approves_itself),
    "the ledger's last writer wins": _ledger(_last_writer_wins),
    "verify always says passed": _foundry(_answers(before=True)),
    "check always says passed": _foundry(_answers(before=False)),
    "a create does not look for twins": _foundry(_sees_no_versions),
    "the traffic is looked at once and never again": _foundry(_routing_as_first_read),
    "a lost answer counts as a refusal": _foundry(_unclear_is_clear),
}
"""What is taken away -> how; the shell around the decisions is whole, so each is the only thing that is wrong."""
