"""Pruning an agent: by plan, under the lease, with a read before each delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents
from core.model import Agent, Definition, Routing, Status, Version
from core.state.desired import Pause
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.foundry import DELETED_TOOLBOX, InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult
from handlers.prune_versions.run import prune_versions
from tests.support.app import AGENT, AGENTS_YAML, App

BUSY = TransientError("Foundry", "429", "delete", retry_after=7)
LOST = TransientError("Foundry", "no answer", "delete", unclear=True)


class ScriptedFoundry(InMemoryFoundry):
    """A Foundry whose lists and errors the test sets."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.lists: Callable[[Sequence[Version]], Sequence[Version]] = lambda found: found
        self.before_delete: Callable[[], None] = lambda: None
        self.after_read: Callable[[], None] = lambda: None
        self.errors: list[GatewayError] = []
        self.reads: list[str] = []
        self.concurrency: list[int] = []
        """The number of running deletions at the end of each."""
        self._running = 0

    async def get_agent(self, name: str) -> Agent | None:
        found = await super().get_agent(name)
        self.after_read()
        return found

    async def list_versions(self, agent: str) -> Sequence[Version]:
        return self.lists(await super().list_versions(agent))

    async def get_version(self, agent: str, number: str) -> Version | None:
        self.reads.append(number)
        return await super().get_version(agent, number)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        self.before_delete()
        if self.errors:
            raise self.errors.pop(0)
        self._running += 1
        await asyncio.sleep(0.001)
        self.concurrency.append(self._running)
        self._running -= 1
        return await super().delete_version(agent, number)


class PruneApp(App):
    foundry: ScriptedFoundry


@pytest.fixture
def app() -> PruneApp:
    return PruneApp(kind=ScriptedFoundry)


async def release_versions(app: PruneApp, count: int) -> None:
    for number in range(count):
        await app.pushed(f"v{number}", "abcdef0123456789"[number])
        await app.released()
        app.clock.passed += 120
    app.journal.lines.clear()


def reasons(app: PruneApp, *, toolbox: bool = False) -> dict[str, str]:
    lines = (line for line in app.journal.lines if "version" in line and ("toolbox" in line) is toolbox)
    return {str(line["version"]): str(line["reason"]) for line in lines}


async def run(app: PruneApp) -> None:
    await prune_versions(app.agents, app.settings, app.gateways)


def left(app: PruneApp) -> set[str]:
    return set(app.foundry.agents[AGENT].versions)


async def test_stale_versions_are_deleted_and_the_live_version_stays(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.foundry.agents[AGENT].versions_in_use.add("2")
    await run(app)
    assert left(app) == {"2", "3", "4"}
    assert reasons(app) == {"1": "PRUNED_STALE", "2": "SESSIONS_ACTIVE", "3": "KEPT_IN_RELEASE", "4": "KEPT_LIVE"}


async def test_a_dry_run_records_the_same_plan_and_deletes_nothing(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.settings = replace(app.settings, prune_dry_run=True)
    await run(app)
    assert left(app) == {"1", "2", "3", "4"}
    assert list(reasons(app).values()).count("PRUNED_STALE") == 2


async def test_pruning_stops_for_a_waiting_release(app: PruneApp) -> None:
    await release_versions(app, 4)
    await app.pushed("v9", "f")
    app.release_queue.sent.clear()
    await run(app)
    assert len(left(app)) == 4
    assert "PRUNE_STOPPED" in app.journal.reasons()
    assert app.release_queue.sent == [(AGENT, 0)]


async def test_a_version_that_became_live_after_the_plan_is_not_deleted(app: PruneApp) -> None:
    await release_versions(app, 4)
    lists: list[int] = []

    def traffic_moves(found: Sequence[Version]) -> Sequence[Version]:
        lists.append(len(found))
        if len(lists) == 2:  # after the plans without and with the lease
            app.foundry.agents[AGENT].routing = Routing.to("1")
        return found

    app.foundry.lists = traffic_moves
    await run(app)
    assert reasons(app)["1"] == "KEPT_LIVE"
    assert "1" in left(app)


async def test_a_version_that_somebody_else_deleted_counts_as_deleted(app: PruneApp) -> None:
    await release_versions(app, 4)
    before = await app.foundry.list_versions(AGENT)
    del app.foundry.agents[AGENT].versions["1"]
    app.foundry.lists = lambda _: before  # a stale list
    await run(app)
    assert reasons(app)["1"] == "PRUNED_STALE"
    assert left(app) == {"3", "4"}


async def test_a_list_with_wrong_statuses_deletes_nothing(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.foundry.lists = lambda versions: [replace(version, status=Status.FAILED) for version in versions]
    app.agents = load_agents(AGENTS_YAML.replace(b"min_age: 1m", b"min_age: 1m, failed: 1m"))
    await run(app)
    assert reasons(app) == {"1": "KEPT_UNSETTLED", "2": "KEPT_UNSETTLED", "3": "KEPT_IN_RELEASE", "4": "KEPT_LIVE"}


async def test_a_busy_service_is_retried_and_nothing_is_deleted_twice(app: PruneApp) -> None:
    await release_versions(app, 4)
    at = app.clock.passed
    app.foundry.errors = [BUSY, LOST]
    await run(app)
    assert left(app) == {"3", "4"}
    assert app.clock.passed - at >= 7
    assert app.journal.reasons().count("PRUNED_STALE") == 2


async def test_a_service_that_stays_busy_ends_only_that_agents_run(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.foundry.errors = [BUSY] * 100
    await run(app)
    assert app.journal.reasons().count("PRUNE_STOPPED") == 1
    assert len(left(app)) == 4
    assert await app.state_store.acquire_lease(AGENT) is not None


async def test_a_refused_delete_is_recorded(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.foundry.errors = [PermanentError("Foundry", "Forbidden", "delete", status=403)]
    await run(app)
    (line,) = [line for line in app.journal.lines if line["reason"] == "PRUNE_STOPPED"]
    assert "Forbidden" in str(line["detail"])


async def test_more_versions_than_the_concurrency_limit_are_all_deleted(app: PruneApp) -> None:
    await release_versions(app, 12)
    await run(app)
    assert left(app) == {"11", "12"}


async def test_after_a_refusal_no_other_delete_starts(app: PruneApp) -> None:
    await release_versions(app, 12)
    app.foundry.errors = [PermanentError("Foundry", "Forbidden", "delete", status=403)]
    await run(app)
    assert left(app) >= {"9", "10", "11", "12"}
    assert app.journal.reasons().count("PRUNE_STOPPED") == 1


async def test_repeated_faults_lose_no_deletion(app: PruneApp) -> None:
    await release_versions(app, 12)
    app.foundry.errors = [BUSY, LOST] * 3
    await run(app)
    assert left(app) == {"11", "12"}
    assert app.journal.reasons().count("PRUNED_STALE") == 10


async def test_eight_deletes_run_at_a_time_and_after_a_fault_one_then_two_then_four(app: PruneApp) -> None:
    await release_versions(app, 16)
    app.foundry.concurrency.clear()
    app.foundry.errors = [BUSY]
    await run(app)
    assert left(app) == {"15", "16"}
    assert app.foundry.concurrency == [7, 6, 5, 4, 3, 2, 1, 1, 2, 1, 4, 3, 2, 1]


async def test_at_most_four_versions_share_a_read_of_the_agent_and_each_is_read_itself(
    app: PruneApp,
) -> None:
    await release_versions(app, 12)
    app.foundry.reads.clear()
    reads = list[float]()
    app.foundry.after_read = lambda: reads.append(app.clock.passed)
    await run(app)
    assert sorted(app.foundry.reads, key=int) == [str(number) for number in range(1, 11)]
    plans = 2 + 1  # without the lease, under it, and for the other agent
    assert len(reads) - plans == 3


async def test_an_agent_with_a_taken_lease_is_left_to_the_next_run(app: PruneApp) -> None:
    await release_versions(app, 4)
    await app.state_store.acquire_lease(AGENT)
    await run(app)
    assert len(left(app)) == 4
    assert "LEASE_TAKEN" in app.journal.reasons()


async def test_a_lost_lease_stops_the_deletions(app: PruneApp) -> None:
    await release_versions(app, 4)
    app.foundry.errors = [TransientError("Foundry", "429", "delete", retry_after=50)]

    def another_holder_comes() -> None:
        app.state_store.releases[AGENT].lease_id = 99

    app.foundry.before_delete = another_holder_comes
    await run(app)
    assert "LEASE_LOST" in app.journal.reasons()


async def test_an_old_read_is_repeated_before_a_delete(app: PruneApp) -> None:
    await release_versions(app, 4)

    reads = iter(range(1, 9))  # first come the plans, then the read before the deletes

    def hang_while_the_traffic_moves() -> None:
        if next(reads) == 4:
            app.clock.passed += 90
            app.foundry.agents[AGENT].routing = Routing.to("1")

    app.foundry.after_read = hang_while_the_traffic_moves
    await run(app)
    assert left(app) == {"1", "3", "4"}


async def test_nothing_is_deleted_during_a_pause(app: PruneApp) -> None:
    await release_versions(app, 4)
    pause = Pause("incident", "ann", app.clock.now())
    await app.state_store.update_desired(AGENT, lambda desired: replace(desired, pause=pause))
    await run(app)
    assert len(left(app)) == 4
    assert "PAUSED" in app.journal.reasons()


async def test_the_images_of_remaining_versions_and_a_near_limit_are_recorded(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"newest: 0, min_age: 1m", b"newest: 9, min_age: 1m, limit: 4"))
    await release_versions(app, 4)
    await run(app)
    (line,) = [line for line in app.journal.lines if line["reason"] == "IMAGES_IN_USE"]
    assert sorted(letter[-1] for letter in str(line["images"]).split()) == list("abcd")
    assert (line["versions"], line["limit"]) == (4, 4)
    assert "VERSION_LIMIT_NEAR" in app.journal.reasons()


async def test_all_manifests_of_an_index_that_runs_are_recorded(app: PruneApp) -> None:
    await release_versions(app, 1)
    app.registry.children[f"sha256:{'a' * 64}"] = [f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"]
    await run(app)
    (line,) = [line for line in app.journal.lines if line["reason"] == "IMAGES_IN_USE"]
    assert sorted(letter[-1] for letter in str(line["images"]).split()) == list("12a")


async def test_no_images_are_recorded_while_the_registry_does_not_answer(app: PruneApp) -> None:
    await release_versions(app, 2)
    app.registry.error = PermanentError("registry", "403", "read agents/hello", status=403)
    await run(app)
    assert "IMAGES_IN_USE" not in app.journal.reasons()
    (line,) = [line for line in app.journal.lines if line["reason"] == "IMAGES_IN_USE_UNKNOWN"]
    assert line["detail"] == "registry: 403: read agents/hello"


async def test_unused_toolbox_versions_are_deleted_too(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML)
    await release_versions(app, 1)
    for kind in ("file_search, vector_store_ids: [a]", "file_search, vector_store_ids: [b]"):
        app.agents = load_agents(AGENTS_YAML.replace(b"code_interpreter", kind.encode()))
        await app.pushed(f"v-{kind[-2]}", {"a": "b", "b": "c"}[kind[-2]])
        await app.released()
        app.clock.passed += 7200
    await run(app)
    boxes = app.foundry.toolboxes[f"{AGENT}-tools"]
    assert [box == DELETED_TOOLBOX for box in boxes] == [True, False, False]  # the first went with version 1
    assert reasons(app, toolbox=True) == {"1": "PRUNED_STALE", "2": "KEPT_IN_RELEASE", "3": "KEPT_IN_RELEASE"}


async def test_a_dry_run_deletes_no_toolbox_version(app: PruneApp) -> None:
    await release_versions(app, 2)
    app.foundry.toolboxes[f"{AGENT}-tools"] += ["other", "newest"]
    app.clock.passed += 7200
    app.settings = replace(app.settings, prune_dry_run=True)
    await run(app)
    assert DELETED_TOOLBOX not in app.foundry.toolboxes[f"{AGENT}-tools"]
    assert "PRUNED_STALE" in reasons(app, toolbox=True).values()


async def test_a_release_makes_room_for_itself_before_it_creates(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"newest: 0, min_age: 1m", b"newest: 0, min_age: 1d, limit: 5"))
    await release_versions(app, 5)
    app.foundry.agents[AGENT].versions_in_use.add("1")
    await app.pushed("v9", "f")
    assert await app.released() == "LIVE"
    assert left(app) == {"1", "3", "4", "5", "6"}
    reasons = app.journal.reasons()
    assert reasons.index("MAKE_ROOM") < reasons.index("PRUNED_STALE") < reasons.index("CREATE")


async def test_at_the_limit_nothing_is_created_and_what_holds_each_version_is_said(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"newest: 0, min_age: 1m", b"newest: 9, limit: 3"))
    await release_versions(app, 3)
    await app.pushed("v9", "f")
    assert await app.released() == "VERSION_LIMIT"
    release = await app.state_store.get_release(AGENT)
    assert release.detail == "3 of 3 versions: KEPT_RECENT 1, KEPT_IN_RELEASE 2, KEPT_LIVE 3"
    assert await app.live() == "3"


async def test_sessions_are_named_at_the_version_limit(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"newest: 0, min_age: 1m", b"newest: 0, limit: 3"))
    await release_versions(app, 3)
    app.foundry.agents[AGENT].versions_in_use.add("1")
    await app.pushed("v9", "f")
    assert await app.released() == "VERSION_LIMIT"
    assert "SESSIONS_ACTIVE 1" in (await app.state_store.get_release(AGENT)).detail


def unmanaged(app: PruneApp, reason: str) -> list[str]:
    return [str(line["agent"]) for line in app.journal.lines if line["reason"] == reason]


async def test_an_agent_that_left_agents_yaml_is_reported_once_a_day_while_it_serves(app: PruneApp) -> None:
    await release_versions(app, 2)
    app.agents = Agents(agents={"second-agent": app.agents.agents["second-agent"]})
    await run(app)
    await run(app)
    assert unmanaged(app, "AGENT_NOT_MANAGED") == [AGENT]
    assert unmanaged(app, "IMAGES_IN_USE").count(AGENT) == 2
    app.clock.passed += 24 * 3600
    await run(app)
    assert unmanaged(app, "AGENT_NOT_MANAGED") == [AGENT] * 2
    del app.foundry.agents[AGENT]
    app.clock.passed += 24 * 3600
    await run(app)
    assert unmanaged(app, "AGENT_NOT_MANAGED") == [AGENT] * 2


async def test_the_images_of_agents_that_slipway_never_released_are_listed_and_nobody_is_warned(app: PruneApp) -> None:
    definition = Definition(f"demo.azurecr.io/agents/other@sha256:{'9' * 64}", "1", "2Gi", (), {})
    await app.foundry.create_version("other-agent", definition, {})
    await run(app)
    assert unmanaged(app, "AGENT_NOT_MANAGED") == []
    (line,) = [line for line in app.journal.lines if line.get("agent") == "other-agent"]
    assert (line["reason"], str(line["images"])[-1]) == ("IMAGES_IN_USE", "9")


async def test_images_of_unmanaged_agents_that_cannot_be_listed_are_unknown(app: PruneApp) -> None:
    await release_versions(app, 2)
    app.agents = Agents(agents={})
    app.registry.error = BUSY
    await run(app)
    assert unmanaged(app, "IMAGES_IN_USE_UNKNOWN") == [AGENT, "second-agent"]
    app.registry.error = None
    app.gateways = replace(app.gateways, foundry=NoList(app.clock))
    await run(app)
    assert app.journal.reasons()[-1] == "IMAGES_IN_USE_UNKNOWN"


class NoList(InMemoryFoundry):
    async def list_agents(self) -> Sequence[str]:
        raise BUSY


async def test_a_version_stays_whose_digest_got_a_kept_tag_later_here_or_in_the_registry(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"min_age: 1m", b"min_age: 1m, tags: ['^keep-']"))
    await release_versions(app, 6)
    app.registry.push("agents/hello", "keep-1", f"sha256:{'a' * 64}", app.clock.now())
    await app.pushed("keep-2", "b")  # the tag moves on, and comes back to its first version never
    app.registry.push("agents/hello", "keep-2", f"sha256:{'9' * 64}", app.clock.now())
    await app.released()
    await run(app)
    assert {"1", "2"} <= left(app)
    assert "3" not in left(app)


async def test_a_registry_that_does_not_list_its_tags_means_no_plan(app: PruneApp) -> None:
    app.agents = load_agents(AGENTS_YAML.replace(b"min_age: 1m", b"min_age: 1m, tags: ['^keep-']"))
    await release_versions(app, 4)
    app.registry.tag_error = PermanentError("registry", "403", "list the tags")
    await run(app)
    assert len(left(app)) == 4
    assert "PRUNE_STOPPED" in app.journal.reasons()
