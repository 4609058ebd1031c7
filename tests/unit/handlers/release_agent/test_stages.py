"""One push walks through the stages of its agent: by digest, after its time, and never past what was taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.agents_file.loader import load_agents
from core.model import Failure, Push, Routing
from core.reasons import Reason
from core.state.desired import DesiredState
from handlers import user_commands
from handlers.gateways.errors import TransientError
from handlers.resume_releases.run import resume_releases
from tests.support.projects_app import ProjectsApp

FILE = """
agents:
  hello-agent:
    repository: agents/hello
    release: {debounce: 0s}
    stages:
      - {project: default}
      - {projects: [eu, us], soak: 1h}
"""
THREE = FILE.replace("{projects: [eu, us], soak: 1h}", "{project: eu, soak: 1h}\n      - {project: us, soak: 2h}")
STAGING, EU, US = "hello-agent", "hello-agent@eu", "hello-agent@us"
HOUR = 3600


async def pushed(app: ProjectsApp, letter: str = "a") -> None:
    await app.pushed(f"v-{letter}", letter)
    await app.run_queue()


def reasons(app: ProjectsApp, agent: str) -> list[str]:
    return [str(line["reason"]) for line in app.journal.lines if line["agent"] == agent]


async def images(app: ProjectsApp) -> tuple[list[str], ...]:
    return tuple([await app.images_in(project) for project in ("default", "eu", "us")])


async def test_production_takes_what_was_good_in_staging_for_its_time_as_a_wave() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    assert await images(app) == (["a"], [], [])
    assert reasons(app, EU) == ["STAGE_WAITING"]
    await app.wait(HOUR - 1)
    assert await images(app) == (["a"], [], [])
    await app.wait(1)
    assert await images(app) == (["a"], ["a"], ["a"])
    for target in (EU, US):
        assert reasons(app, target)[:3] == ["STAGE_WAITING", "ACCEPTED", "BEGIN"]
        assert reasons(app, target).count("LIVE") == 1
        assert (await app.state_store.get_desired(target)).stage_wait is None


async def test_one_message_waits_for_each_target_of_the_next_stage() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    for _ in range(3):
        await app.released(EU)
        await resume_releases(app.agents, app.gateways)
        await app.run_queue()
    assert sorted(message.agent for message in app.release_queue.waiting) == [EU, US]
    assert reasons(app, EU).count("STAGE_WAITING") == 1


async def test_an_image_that_fails_in_staging_never_appears_in_production() -> None:
    app = ProjectsApp(FILE)
    app.foundries["default"].failures["b" * 64] = Failure("CodeError", "exited with 1")
    await pushed(app, "a")
    await app.wait(HOUR)
    await pushed(app, "b")
    await app.wait(3 * HOUR)
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert await images(app) == (["a", "b"], ["a"], ["a"])


async def test_an_image_that_failed_in_production_goes_live_there_once_it_is_pushed_again() -> None:
    app = ProjectsApp(FILE)
    app.foundries["eu"].failures["a" * 64] = Failure("CodeError", "exited with 1")
    await pushed(app)
    await app.wait(HOUR)
    assert reasons(app, EU)[-1] == "CODE_ERROR"
    app.foundries["eu"].failures.clear()
    await pushed(app)
    assert reasons(app, EU)[-1] == "LIVE"
    again = next(line for line in app.journal.lines if line.get("detail") == "pushed again after CODE_ERROR")
    assert (again["agent"], again["reason"]) == (EU, "ACCEPTED")
    assert [reasons(app, target).count("LIVE") for target in (STAGING, EU, US)] == [1, 1, 1]
    await pushed(app)
    assert reasons(app, EU)[-1] == "LIVE"


async def test_an_event_of_which_only_staging_was_handled_releases_in_production_once_it_comes_again() -> None:
    app = ProjectsApp(FILE)
    app.foundries["eu"].failures["a" * 64] = Failure("CodeError", "exited with 1")
    await pushed(app)
    await app.wait(HOUR)
    app.foundries["eu"].failures.clear()

    def handled(desired: DesiredState) -> DesiredState:
        assert desired.push is not None
        return replace(desired, push=replace(desired.push, pushed_at=app.clock.now()))

    await app.state_store.update_desired(STAGING, handled)
    await pushed(app)
    assert reasons(app, EU)[-1] == "LIVE"
    await pushed(app)
    assert reasons(app, EU).count("LIVE") == 1


async def test_a_rollback_in_staging_within_the_time_stops_the_image() -> None:
    app = ProjectsApp(FILE)
    await pushed(app, "a")
    await app.wait(HOUR)
    await pushed(app, "b")
    await app.wait(HOUR / 2)
    await user_commands.request_rollback(STAGING, "odd answers", "ana", app.gateways)
    await app.run_queue()
    assert await app.live_in("default") == "1"
    for _ in range(4):
        await app.wait(HOUR)
        await resume_releases(app.agents, app.gateways)
        await app.run_queue()
    assert await images(app) == (["a", "b"], ["a"], ["a"])
    assert "STAGE_CANCELLED" in reasons(app, EU)


async def test_traffic_that_somebody_moved_back_in_staging_stops_the_image_before_the_timer_sees_it() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await app.wait(HOUR)
    await pushed(app, "b")
    await app.wait(HOUR / 2)
    staging = app.foundries["default"]
    staging.agents[STAGING].routing = Routing.to("1")
    await app.wait(HOUR / 2)
    assert (await images(app))[1:] == (["a"], ["a"])
    cancelled = [line for line in app.journal.lines if line["reason"] == "STAGE_CANCELLED"]
    assert {(line["agent"], line["detail"]) for line in cancelled} == {
        (target, f"v-b: somebody moved the traffic of {STAGING}") for target in (EU, US)
    }
    staging.agents[STAGING].routing = Routing.to("2")
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert (await images(app))[1:] == (["a", "b"], ["a", "b"])


async def test_production_waits_while_staging_does_not_say_what_serves() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    app.foundries["default"].down = TransientError("foundry", "503", "get agent hello-agent")
    await app.wait(HOUR)
    assert (reasons(app, EU)[-1], await images(app)) == ("SERVICE_UNAVAILABLE", (["a"], [], []))
    app.foundries["default"].down = None
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert await images(app) == (["a"], ["a"], ["a"])


async def test_a_hold_in_staging_within_the_time_stops_the_image_and_a_lifted_hold_lets_it_go_on() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await user_commands.hold(STAGING, "not yet", "ana", app.gateways)
    await app.wait(HOUR)
    assert (await images(app))[1] == []
    assert reasons(app, EU) == ["STAGE_WAITING", "STAGE_CANCELLED"]
    await user_commands.unhold(STAGING, "ana", app.gateways)
    await app.run_queue()
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert (await images(app))[1] == ["a"]


async def test_a_hold_in_staging_that_comes_between_decision_and_create_stops_the_create() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await app.clock.sleep(HOUR)
    eu, held = app.foundries["eu"], list[bool]()

    class HoldsFirst(type(eu)):  # type: ignore[misc]
        async def get_agent(self, name: str):  # type: ignore[no-untyped-def]
            if not held:
                held.append(True)
                await user_commands.hold(STAGING, "not yet", "ana", app.gateways)
            return await super().get_agent(name)

    eu.__class__ = HoldsFirst
    await app.run_queue()
    assert held
    assert (await images(app))[1] == []
    assert reasons(app, EU)[-1] == "HELD"
    assert not app.release_queue.waiting


async def test_a_hold_downstream_does_not_go_up() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await app.wait(HOUR)
    await user_commands.hold(EU, "not here", "ana", app.gateways)
    assert await app.released(STAGING) == "LIVE"
    await pushed(app, "b")
    await app.wait(HOUR)
    assert await images(app) == (["a", "b"], ["a", "b"], ["a", "b"])


async def test_three_stages_wait_one_after_another() -> None:
    app = ProjectsApp(THREE)
    await pushed(app)
    await app.wait(HOUR)
    assert await images(app) == (["a"], ["a"], [])
    await app.wait(2 * HOUR - 1)
    assert await images(app) == (["a"], ["a"], [])
    await user_commands.hold(STAGING, "late finding", "ana", app.gateways)  # holds of all earlier stages count
    await app.wait(1)
    assert await images(app) == (["a"], ["a"], [])
    assert "at hello-agent: late finding" in str(app.journal.lines[-1]["detail"])


async def test_production_takes_the_digest_although_the_tag_moved() -> None:
    app = ProjectsApp(FILE)
    await pushed(app, "a")
    app.registry.push("agents/hello", "v-a", f"sha256:{'c' * 64}", app.clock.now())  # its event is lost
    await app.wait(HOUR)
    assert (await images(app))[1:] == (["a"], ["a"])
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert await images(app) == (["a", "c"], ["a"], ["a"])  # only the first stage follows the registry


async def test_a_rotation_in_staging_does_not_begin_the_wait_anew() -> None:
    app = ProjectsApp(FILE.replace("release:", "env: {KEY: {secret: hello-key}}\n    release:"))
    await pushed(app)
    await app.clock.sleep(HOUR / 2)
    await user_commands.request_release(app.agents.agents[STAGING], "ana", app.gateways)
    app.key_vault.put("hello-key", "canary-8a1f")
    await app.run_queue()
    assert await app.live_in("default") == "2"
    await app.wait(HOUR / 2)
    assert (await images(app))[1] == ["a"]


async def test_a_lost_wake_and_a_lost_timer_message_are_made_up_for() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    app.release_queue.waiting.clear()
    for target in (EU, US):
        await app.state_store.update_desired(target, lambda _: type(_)())
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert reasons(app, EU).count("STAGE_WAITING") == 2
    app.release_queue.waiting.clear()
    await app.clock.sleep(HOUR)
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert await images(app) == (["a"], ["a"], ["a"])


async def test_an_operator_sends_an_image_past_its_stage_and_holds_of_the_stage_do_not_stop_it() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await user_commands.hold(STAGING, "odd", "ana", app.gateways)
    push = (await app.state_store.get_desired(STAGING)).push
    update = await user_commands.request_release(
        app.agents.agents[EU], "ben", app.gateways, push, "hot fix for incident 7"
    )
    assert (update.reason, update.detail) == (Reason.STAGE_SKIPPED_BY_OPERATOR, "v-a by ben: hot fix for incident 7")
    await app.run_queue()
    assert await images(app) == (["a"], ["a"], [])
    lines = [line for line in app.journal.lines if line["reason"] == "LIVE"]
    assert [(line["agent"], line.get("stage")) for line in lines] == [(STAGING, None), (EU, 2)]
    assert reasons(app, EU)[-1] == "LIVE", "it does not wait for the stage that it went past"
    await pushed(app, "b")  # what passes its stage later replaces it
    await app.wait(HOUR)
    assert await images(app) == (["a", "b"], ["a", "b"], ["b"])


async def test_an_image_that_the_registry_does_not_have_goes_past_no_stage() -> None:
    app = ProjectsApp(FILE)
    await pushed(app)
    await app.wait(HOUR)
    unknown = Push("agents/hello", f"sha256:{'f' * 64}", "v-f", app.clock.now(), "person")
    await user_commands.request_release(app.agents.agents[EU], "ben", app.gateways, unknown, "hot fix")
    await app.run_queue()
    await app.wait(HOUR)
    assert "IMAGE_GONE" in reasons(app, EU)
    assert await images(app) == (["a"], ["a"], ["a"])
    await pushed(app, "b")
    await app.wait(HOUR)
    assert await images(app) == (["a", "b"], ["a", "b"], ["a", "b"])


async def test_what_was_rolled_back_in_production_does_not_come_back_by_itself() -> None:
    app = ProjectsApp(FILE)
    for letter in "ab":
        await pushed(app, letter)
        await app.wait(HOUR)
    await user_commands.request_rollback(EU, "odd answers", "ana", app.gateways)
    await app.run_queue()
    assert await app.live_in("eu") == "1"
    for _ in range(3):
        await app.wait(HOUR)
        await resume_releases(app.agents, app.gateways)
        await app.run_queue()
    assert (await app.live_in("eu"), await app.live_in("us")) == ("1", "2")


async def test_production_is_rolled_back_to_an_image_that_staging_holds() -> None:
    app = ProjectsApp(FILE)
    for letter in "ab":
        await pushed(app, letter)
        await app.wait(HOUR)
    digest = f"sha256:{'a' * 64}"
    await user_commands.hold(STAGING, "old", "ana", app.gateways, digest)
    await user_commands.request_rollback(EU, "odd answers", "ana", app.gateways)
    await app.run_queue()
    assert await app.live_in("eu") == "1"


async def test_a_project_of_a_wave_that_is_down_does_not_hold_up_the_other() -> None:
    app = ProjectsApp(FILE)
    app.foundries["eu"].down = TransientError("Foundry", "down", "503")
    await pushed(app)
    await app.wait(HOUR)
    assert (await images(app))[2] == ["a"]
    app.foundries["eu"].down = None
    await app.wait(HOUR)
    assert (await images(app))[1] == ["a"]


async def test_the_first_stage_s_release_reads_no_other_state() -> None:
    app = ProjectsApp(FILE)
    read = list[str]()
    get = app.state_store.get_desired

    async def counted(agent: str):  # type: ignore[no-untyped-def]
        read.append(agent)
        return await get(agent)

    app.state_store.get_desired = counted  # type: ignore[method-assign]
    await app.pushed("v-a", "a")
    assert await app.released(STAGING) == "LIVE"
    assert set(read) == {STAGING}


@pytest.mark.parametrize("letter", ["a", "b"])
async def test_a_stage_that_is_removed_leaves_a_waiting_image_where_it_is(letter: str) -> None:
    app = ProjectsApp(FILE)
    await pushed(app, letter)
    app.agents = ProjectsApp(FILE.replace("      - {projects: [eu, us], soak: 1h}\n", "")).agents
    await app.wait(HOUR)
    assert (await images(app))[1:] == ([], [])
    assert reasons(app, EU)[-1] == "AGENT_UNKNOWN"
    app.agents = ProjectsApp(FILE).agents
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert (await images(app))[1:] == ([letter], [letter]), "the stage is back"


async def test_a_release_ends_while_its_project_is_removed_and_goes_on_once_it_is_back() -> None:
    app = ProjectsApp(FILE.replace("soak: 1h", "soak: 0s, release: {mode: manual}"))
    known = app.agents
    await pushed(app)
    assert reasons(app, EU)[-1] == "APPROVAL_WAITING"
    app.agents = load_agents(b"agents: {hello-agent: {repository: agents/hello}}")
    await user_commands.approve(EU, "ana", app.gateways)
    await app.run_queue()
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert reasons(app, EU)[-1] == "AGENT_UNKNOWN"
    app.agents = known
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert (reasons(app, EU)[-1], "LIVE" in reasons(app, US)) == ("LIVE", False)
    assert await images(app) == (["a"], ["a"], ["a"])
