"""``slipway status``: the live version, holds, pauses and the next prune."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.commands.digests import list_digests
from cli.commands.prune import plan_and_prune
from cli.commands.status import MAX_READ_IN_FULL, show_status
from cli.commands.why import explain
from cli.concurrency import MAX_CONCURRENT_READS
from cli.exit_codes import DONE, SERVICE_ERROR
from cli.release_status import release_status
from cli.runner import CommandContext, CommandResult
from core.agents_file.loader import load_agents
from core.image_manifest import ImageFacts
from core.intake.events import apply_config
from core.model import Agent, Version
from core.reasons import Reason
from core.state.desired import DesiredState, Hold, Pause
from core.state.release import ReleaseState
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.foundry import AgentRecord, InMemoryFoundry
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App, app_with
from tests.unit.cli.support import DRY_RUN, context_of, make_live, run


class BusyFoundry(InMemoryFoundry):
    """Refuses to list the versions of some agents, as Foundry does at its rate limit."""

    refused: dict[str, int]
    """Agent -> how many of its next lists are refused."""
    lists = 0

    async def list_versions(self, agent: str) -> Sequence[Version]:
        self.lists += 1
        left = self.refused.get(agent, 0)
        if left:
            self.refused[agent] = left - 1
            raise TransientError("foundry", "429", f"list versions of {agent}", retry_after=1.0, throttled=True)
        return await super().list_versions(agent)


def busy(**refused: int) -> App:
    app = App(kind=BusyFoundry)
    app.foundry.refused = {name.replace("_", "-"): count for name, count in refused.items()}  # type: ignore[attr-defined]
    return app


async def test_it_shows_the_live_version_holds_pauses_and_the_next_prune(app: App) -> None:
    await make_live(app, "a")
    await run(app, "hold", why="a rumour", until="1d")
    await run(app, "pause", why="lunch", until="1h")
    result = await show_status(context_of(app), AGENT)
    (status,) = result.data
    assert (status["live"], status["versions"], status["version_limit_status"]) == ("1", 1, "ok")
    assert status["next_prune"][:10] == "2026-11-25"
    (hold,) = status["holds"]
    assert (hold["detail"], hold["by"], hold["until"][:10]) == ("a rumour", "ann", "2026-11-25")
    assert (status["pause"]["why"], status["pause"]["until"][:13]) == ("lunch", "2026-11-24T13")
    assert "  paused by ann 0 s ago until 2026-11-24 13:" in result.text
    assert f": lunch; end it with slipway resume {AGENT}\n" in result.text
    assert result.text.splitlines()[:2] == [
        "AGENT        LIVE    DESIRED  STATE  SINCE      VERSIONS",
        "hello-agent  1 (v1)  v1       LIVE   1 min ago  1 of 100",
    ]
    assert status["live_image"].endswith("a" * 64)


async def test_it_shows_a_rollback_and_what_waits_for_its_end(app: App) -> None:
    await make_live(app, "a", "b")
    await run(app, "request_rollback", why="orders are lost")
    (asked,) = (await show_status(context_of(app), AGENT)).data
    assert (asked["rolled_back"]["version"], asked["rolled_back"]["is_done"]) == ("1", False)
    assert asked["state"] == "queued"
    assert await app.released() == "LIVE"
    app.clock.passed += 2 * 3600
    result = await show_status(context_of(app), AGENT)
    assert "  rolled back to v1 by ann 2 h ago: orders are lost\n" in result.text
    assert "ROLLED_BACK_BY" not in result.text
    changed = app.agents.agents[AGENT].model_copy(update={"cpu": "2", "memory": "4Gi"})
    await app.state_store.update_desired(AGENT, lambda desired: apply_config(desired, changed, app.clock.now()).desired)
    app.clock.passed += 90
    waits = "  ROLLED_BACK_BY: agents.yaml, deployed 1 min ago, waits for a newer push or slipway retry\n"
    assert waits in (await show_status(context_of(app), AGENT)).text


async def test_one_refusal_ends_no_command() -> None:
    app = busy()
    await make_live(app, "a")
    commands: list[Callable[[CommandContext], Awaitable[CommandResult]]] = [
        lambda context: show_status(context, None),
        list_digests,
        lambda context: plan_and_prune(context, None, DRY_RUN),
    ]
    for command in commands:
        app.foundry.refused = {AGENT: 1}  # type: ignore[attr-defined]
        assert (await command(context_of(app))).exit_code == DONE


async def test_an_agent_that_foundry_does_not_answer_for_is_shown_as_the_state_store_has_it() -> None:
    app = busy()
    await make_live(app, "a")
    app.foundry.refused = {AGENT: 1000}  # type: ignore[attr-defined]
    result = await show_status(context_of(app), None)
    assert result.exit_code == SERVICE_ERROR
    first, second = result.data
    assert (first["agent"], first["live"], first["desired"], first["versions"]) == (AGENT, "1", "v1", None)
    assert (first["not_read"]["service"], first["not_read"]["code"]) == ("foundry", "429")
    assert second["not_read"] is None
    row = next(line for line in result.text.splitlines() if line.startswith(AGENT))
    assert row.split() == [AGENT, "1", "(v1)", "v1", "LIVE", "1", "min", "ago", "not", "read"]


@pytest.mark.parametrize(
    ("drift", "live", "enabled", "is_routing_changed"),
    [
        ((), "1", None, False),
        (("routing 7 at 100 %",), "1", None, True),
        (("agent gone",), None, None, False),
        (("disabled", "definition image"), "1", False, False),
    ],
)
async def test_where_foundry_does_not_answer_a_recorded_difference_is_shown_as_what_it_is(
    drift: tuple[str, ...], live: str | None, enabled: bool | None, is_routing_changed: bool
) -> None:
    app = busy()
    await make_live(app, "a")
    lease = await app.state_store.acquire_lease(AGENT)
    assert lease is not None
    await lease.write(replace(lease.state, reported_drift=drift))
    app.foundry.refused = {AGENT: 1000}  # type: ignore[attr-defined]
    (status,) = (await show_status(context_of(app), AGENT)).data
    shown = (status["live"], status["enabled"], status["routing_changed_outside"])
    assert shown == (live, enabled, is_routing_changed)


class OverloadedFoundry(InMemoryFoundry):
    """Refuses every list of versions for ten minutes, and asks to come back in one."""

    refusals = 0

    async def list_versions(self, agent: str) -> Sequence[Version]:
        self.refusals += 1
        raise TransientError("Foundry", "429", f"list versions of {agent}", retry_after=60.0, throttled=True)


@in_virtual_time
async def test_nobody_waits_for_a_service_that_refuses_calls_for_a_minute() -> None:
    app = App(kind=OverloadedFoundry)
    names = [f"agent-{number}" for number in range(MAX_READ_IN_FULL)]
    app.agents = load_agents(
        "\n".join(["agents:", *(f"  {name}: {{repository: agents/{name}}}" for name in names)]).encode()
    )
    began = app.clock.now()
    result = await show_status(context_of(app), None)
    assert app.clock.now() - began < timedelta(seconds=10)
    assert (result.exit_code, len(result.data)) == (SERVICE_ERROR, MAX_READ_IN_FULL)
    assert {status["not_read"]["code"] for status in result.data} == {"429"}
    assert app.foundry.refusals == MAX_CONCURRENT_READS, "those that were asked at once"  # type: ignore[attr-defined]


async def test_a_plan_that_cannot_be_made_hides_no_other() -> None:
    app = busy(second_agent=1000)
    await make_live(app, "a", "b", "c")
    result = await plan_and_prune(context_of(app), None, DRY_RUN)
    assert result.exit_code == SERVICE_ERROR
    assert {row["agent"] for row in result.data if "delete" in row} == {AGENT}
    assert "second-agent: not read: foundry: 429" in result.text


async def test_of_many_agents_foundry_is_asked_only_where_the_state_store_does_not_know() -> None:
    app = App(kind=BusyFoundry)
    app.foundry.refused = {}  # type: ignore[attr-defined]
    names = [f"agent-{number}" for number in range(MAX_READ_IN_FULL + 1)]
    app.agents = load_agents(
        "\n".join(["agents:", *(f"  {name}: {{repository: {REPOSITORY}}}" for name in names)]).encode()
    )
    await app.pushed()
    for name in names[1:]:
        await app.released(name)
    app.foundry.lists = 0  # type: ignore[attr-defined]
    result = await show_status(context_of(app), None)
    assert [status["live"] for status in result.data] == [None, *["1"] * MAX_READ_IN_FULL]
    assert app.foundry.lists == 1, "the agent whose release has not begun"  # type: ignore[attr-defined]


async def test_of_many_agents_the_same_is_shown_as_of_one() -> None:
    app = App()
    names = [f"agent-{number}" for number in range(MAX_READ_IN_FULL + 3)]
    app.agents = load_agents(
        "\n".join(["agents:", *(f"  {name}: {{repository: {REPOSITORY}}}" for name in names)]).encode()
    )
    await app.pushed()
    for name in names[:-1]:
        await app.released(name)
    since = app.clock.now()
    for name, change in (
        ("agent-0", {"pause": Pause("lunch", "a", since)}),
        ("agent-1", {"holds": (Hold("", f"sha256:{'a' * 64}", "HELD", "a rumour", since),)}),
    ):
        await app.state_store.update_desired(name, lambda desired, change=change: replace(desired, **change))  # type: ignore[misc]
    together = {status["agent"]: status for status in (await show_status(context_of(app), None)).data}
    assert set(together) == set(names)
    for name in names:
        (alone,) = (await show_status(context_of(app), name)).data
        unlike = {key for key, value in alone.items() if together[name][key] != value}
        assert unlike <= {"live_image", "versions", "version_limit_status", "enabled", "follows_latest"}, name


class ListedFoundry(BusyFoundry):
    """Counts the agents that are asked about, and may refuse to list them."""

    refuses_list = False
    asked = 0

    async def list_agents(self) -> Sequence[str]:
        if self.refuses_list:
            raise PermanentError("foundry", "403", "list agents")
        return await super().list_agents()

    async def get_agent(self, name: str) -> Agent | None:
        self.asked += 1
        return await super().get_agent(name)


@pytest.mark.parametrize("refuses", [False, True])
async def test_of_many_new_agents_foundry_is_asked_once_where_it_gives_its_list(refuses: bool) -> None:
    app = App(kind=ListedFoundry)
    app.foundry.refused, app.foundry.refuses_list = {}, refuses  # type: ignore[attr-defined]
    names = [f"agent-{number}" for number in range(MAX_READ_IN_FULL + 2)]
    app.agents = load_agents(
        "\n".join(["agents:", *(f"  {name}: {{repository: agents/{name}}}" for name in names)]).encode()
    )
    app.foundry.agents[names[-1]] = AgentRecord(enabled=False)
    result = await show_status(context_of(app), None)
    assert result.exit_code == 0
    assert {status["state"] for status in result.data} == {"NO_PUSH_YET"}
    assert [status["agent"] for status in result.data if status["enabled"] is False] == [names[-1]]
    assert app.foundry.asked == (len(names) if refuses else 1)  # type: ignore[attr-defined]


@in_virtual_time
async def test_a_push_that_is_too_young_is_shown_with_the_time_at_which_it_goes_on() -> None:
    app = app_with("min_push_age: 5m")
    await app.pushed()
    result = await show_status(context_of(app), AGENT)
    (waiting,) = result.data[0]["waiting"]
    assert (waiting["tag"], waiting["until"][:16]) == ("v1", "2026-11-24T12:05")
    assert "  v1 waits until 2026-11-24 12:05:00 UTC (release.min_push_age)" in result.text
    assert (result.data[0]["state"], result.data[0]["state_tag"]) == ("NOT_DUE", "v1")
    explained = await explain(context_of(app), "v1", timedelta(days=1))
    assert {"waiting"} == {entry["kind"] for entry in explained.data["state"]}


@in_virtual_time
async def test_the_state_says_what_is_waited_for_and_the_command_that_ends_the_wait() -> None:
    app = app_with("mode: manual")
    await app.pushed()
    (queued,) = (await show_status(context_of(app), AGENT)).data
    assert (queued["state"], queued["state_tag"], queued["next"]) == ("queued", "v1", None)
    await app.released()
    (waits,) = (await show_status(context_of(app), AGENT)).data
    assert waits["state"] == "APPROVAL_WAITING"
    assert waits["next"] == f"Run slipway approve {AGENT} --version 1, or push a newer image."
    await run(app, "pause", why="lunch", until="1h")
    result = await show_status(context_of(app), AGENT)
    assert (result.data[0]["state"], result.data[0]["next"]) == ("PAUSED", f"Run slipway resume {AGENT}.")
    assert result.text.splitlines()[1].split()[:5] == [AGENT, "1", "(v1)", "v1", "PAUSED"]


async def test_an_end_that_is_not_of_the_desired_push_names_its_own_tag(app: App) -> None:
    await make_live(app, "a")
    desired = await app.state_store.get_desired(AGENT)
    release = replace(await app.state_store.get_release(AGENT), reason="VERIFY_FAILED", detail="said nonsense")
    assert desired.push is not None
    newer = replace(desired, push=replace(desired.push, tag="v2", digest=f"sha256:{'b' * 64}"))
    shown = release_status(newer, release, app.agents.agents[AGENT], app.clock.now())
    assert (shown["desired"], shown["state"], shown["state_tag"]) == ("v2", "VERIFY_FAILED", "v1")


@in_virtual_time
async def test_a_closed_window_is_named_by_status_and_why() -> None:
    app = app_with("windows: {zone: Europe/Berlin, allow: {days: wed, hours: 09:00-16:00}}")
    await app.pushed("v1", "a")
    await app.released()
    result = await show_status(context_of(app), AGENT)
    opens = "opens Wed 2026-11-25 09:00 Europe/Berlin (2026-11-25 08:00 UTC)"
    assert (result.data[0]["state"], result.data[0]["reason"]) == ("WINDOW_CLOSED", "WINDOW_CLOSED")
    assert f"  window closed, {opens}" in result.text
    assert result.data[0]["window_opens_at"] == "2026-11-25T08:00:00+00:00"
    assert f"now: {AGENT} window: closed, {opens}" in (await explain(context_of(app), "v1", timedelta(days=1))).text
    assert "window" not in (await explain(context_of(app), "v9", timedelta(days=1))).text
    await app.clock.sleep(24 * 3600)
    assert "window closed" not in (await show_status(context_of(app), AGENT)).text


async def test_it_names_the_image_that_was_rejected_in_the_command_that_mends_it(app: App) -> None:
    digest = f"sha256:{'a' * 64}"
    app.registry.images[REPOSITORY, digest] = ImageFacts(Reason.WRONG_PLATFORM.value, "there is linux/arm64")
    await app.pushed("v1", "a")
    assert await app.released() == "WRONG_PLATFORM"
    result = await show_status(context_of(app), AGENT)
    (status,) = result.data
    assert status["remedy"].endswith(f"--tag REGISTRY/{REPOSITORY}:v1 .")
    assert (status["state_tag"], status["since"]) == ("v1", status["rejected"]["at"])
    assert result.text.count("there is linux/arm64") == 1


async def test_it_names_the_command_for_a_rejected_push_beside_a_live_version(app: App) -> None:
    await make_live(app, "a")
    digest = f"sha256:{'b' * 64}"
    app.registry.images[REPOSITORY, digest] = ImageFacts(Reason.WRONG_PLATFORM.value, "there is linux/arm64")
    app.clock.passed += 60
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    (status,) = (await show_status(context_of(app), AGENT)).data
    assert (status["state"], status["state_tag"]) == ("LIVE", "v1")
    assert status["remedy"].endswith(f"--tag REGISTRY/{REPOSITORY}:v2 .")
    assert status["next"].startswith("Build for linux/amd64")


@in_virtual_time
async def test_a_held_image_that_waits_for_its_approval_is_held_first() -> None:
    app = app_with("mode: manual")
    await app.pushed()
    await app.released()
    await app.clock.sleep(60)
    await run(app, "hold", why="a rumour")
    (status,) = (await show_status(context_of(app), AGENT)).data
    assert (status["state"], status["age_s"], status["remedy"]) == ("HELD", 0, f"slipway unhold {AGENT}")
    await run(app, "unhold")
    await app.released()
    (status,) = (await show_status(context_of(app), AGENT)).data
    assert (status["state"], status["remedy"]) == ("APPROVAL_WAITING", f"slipway approve {AGENT} --version 1")


async def test_an_adopted_agent_has_the_age_of_its_adoption(app: App) -> None:
    await make_live(app, "a")
    good = (await app.state_store.get_release(AGENT)).last_good
    assert good is not None
    adopted = ReleaseState(1, good.push, reason="AGENT_ADOPTED", last_good=good)
    shown = release_status(DesiredState(1, 1, good.push), adopted, app.agents.agents[AGENT], app.clock.now())
    assert good.since is not None
    assert (shown["state"], shown["since"]) == ("AGENT_ADOPTED", good.since.isoformat())
