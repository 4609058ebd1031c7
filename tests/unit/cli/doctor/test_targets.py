"""``slipway doctor``: what should run is compared with what serves, and what keeps a release back is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.doctor import services, targets
from cli.doctor.result import Check
from core.model import Agent, Routing
from core.state.desired import DesiredState
from handlers.agent_states import AgentStates
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from tests.support.app import AGENT, App
from tests.unit.cli.support import make_live, run


async def found(app: App) -> dict[str, Check]:
    states = AgentStates(app.gateways.state_store)
    return {check.name: check for check in await targets.checks(app.agents, states, app.gateways)}


async def test_an_agent_that_runs_what_it_should_is_ok(app: App) -> None:
    await make_live(app, "a")
    checks = await found(app)
    assert checks[f"{AGENT}: traffic"] == Check(f"{AGENT}: traffic", "ok", "version 1 (v1), as desired")
    assert checks[f"{AGENT}: release"].status == "ok"
    assert checks[f"{AGENT}: release"].detail.startswith("LIVE")
    assert {check.status for check in checks.values()} == {"ok"}


async def test_traffic_that_somebody_moved_is_wrong(app: App) -> None:
    await make_live(app, "a", "b")
    await app.foundry.set_routing(AGENT, Routing.to("1"))
    check = (await found(app))[f"{AGENT}: traffic"]
    assert check.detail == "version 1 serves instead of version 2 serves: somebody else moved it"
    assert (check.status, check.fix) == ("failed", f"slipway retry {AGENT}")


async def test_a_deleted_agent_is_wrong(app: App) -> None:
    await make_live(app, "a")
    app.foundry.agents.clear()
    check = (await found(app))[f"{AGENT}: traffic"]
    assert (check.status, check.fix) == ("failed", f"slipway retry {AGENT}")


async def test_a_pause_and_what_it_keeps_back_are_wrong(app: App) -> None:
    await make_live(app, "a")
    await run(app, "pause", why="lunch")
    assert (await found(app))[f"{AGENT}: pause"].fix == f"slipway resume {AGENT}"
    await app.pushed("v2", "b")
    checks = await found(app)
    assert checks[f"{AGENT}: release"].fix == f"slipway resume {AGENT}"
    assert f"{AGENT}: pause" not in checks
    assert checks[f"{AGENT}: traffic"].detail == "version 1 (v1); v2 is desired"


async def test_a_release_that_ended_badly_is_wrong(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    check = (await found(app))[f"{AGENT}: release"]
    assert (check.status, check.fix) == ("failed", f"slipway retry {AGENT}")
    assert check.detail.startswith("SECRET_FORBIDDEN")


async def test_a_release_that_nothing_begins_is_wrong_after_some_minutes(app: App) -> None:
    await app.pushed("v1", "a")
    assert (await found(app))[f"{AGENT}: release"].status == "ok"
    app.clock.passed += 700
    check = (await found(app))[f"{AGENT}: release"]
    assert (check.status, check.fix) == ("failed", f"slipway retry {AGENT}")


class DeafFoundry(InMemoryFoundry):
    """Answers nothing."""

    async def get_agent(self, name: str) -> Agent | None:
        raise TransientError("Foundry", "unreachable", "get the agent")


class DeafStateStore(InMemoryStateStore):
    """Answers nothing."""

    async def get_desired(self, agent: str) -> DesiredState:
        raise TransientError("storage", "unreachable", "read the state")


@pytest.mark.parametrize("part", ["foundry", "state_store"])
async def test_what_cannot_be_read_is_unknown(app: App, part: str) -> None:
    if part == "foundry":
        app.gateways = replace(app.gateways, foundry=DeafFoundry(app.clock))
    else:
        app.gateways = replace(app.gateways, state_store=DeafStateStore(app.clock))
    assert "unknown" in {check.status for check in (await found(app)).values()}


class CountedReads(InMemoryStateStore):
    """Lists whose desired state was read."""

    def __init__(self, app: App) -> None:
        super().__init__(app.clock)
        self.desired, self.reads = app.state_store.desired, list[str]()

    async def get_desired(self, agent: str) -> DesiredState:
        self.reads.append(agent)
        return await super().get_desired(agent)


async def test_all_checks_read_the_state_of_each_agent_once(app: App) -> None:
    await make_live(app, "a")
    store = CountedReads(app)
    await services.checks(app.agents, replace(app.gateways, state_store=store))
    assert sorted(store.reads) == sorted(app.agents.agents)


async def test_a_failure_that_lasts_is_said_once(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    checks = await services.checks(app.agents, app.gateways)
    assert [check.name for check in checks if check.reason == "SECRET_FORBIDDEN"] == [f"{AGENT}: release"]
