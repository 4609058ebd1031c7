"""Pruning an agent: by plan, under the lease, looking before each delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from core.agents_file.loader import load_agents
from core.model import Agent, Routing, Status, Version
from core.state.desired import Pause
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.foundry import DELETED_TOOLBOX, InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult
from handlers.prune_versions.run import prune_versions
from tests.unit.handlers.test_handlers import AGENT, RULES, House

BUSY = TransientError("Foundry", "429", "delete", retry_after=7)
LOST = TransientError("Foundry", "no answer", "delete", unclear=True)


class Odd(InMemoryFoundry):
    """A Foundry that lists what the test says, and answers a delete with an error."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.lists: Callable[[Sequence[Version]], Sequence[Version]] = lambda found: found
        self.before_delete: Callable[[], None] = lambda: None
        self.after_look: Callable[[], None] = lambda: None
        self.errors: list[GatewayError] = []
        self.reads: list[str] = []
        self.crowds: list[int] = []
        """How many deletions were under way when each of them ended."""
        self._under_way = 0

    async def get_agent(self, name: str) -> Agent | None:
        found = await super().get_agent(name)
        self.after_look()
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
        self._under_way += 1
        await asyncio.sleep(0.001)
        self.crowds.append(self._under_way)
        self._under_way -= 1
        return await super().delete_version(agent, number)


class OddHouse(House):
    foundry: Odd


@pytest.fixture
def house() -> OddHouse:
    return OddHouse(kind=Odd)


async def versions_of_ours(house: OddHouse, count: int) -> None:
    for number in range(count):
        await house.pushed(f"v{number}", "abcdef0123456789"[number])
        await house.released()
        house.clock.passed += 120
    house.journal.lines.clear()


def told(house: OddHouse, *, toolbox: bool = False) -> dict[str, str]:
    lines = (one for one in house.journal.lines if "version" in one and ("toolbox" in one) is toolbox)
    return {str(one["version"]): str(one["reason"]) for one in lines}


async def run(house: OddHouse) -> None:
    await prune_versions(house.agents, house.settings, house.outside)


def left(house: OddHouse) -> set[str]:
    return set(house.foundry.agents[AGENT].versions)


async def test_stale_versions_go_and_what_serves_stays(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.foundry.agents[AGENT].versions_in_use.add("2")
    await run(house)
    assert left(house) == {"2", "3", "4"}
    assert told(house) == {"1": "PRUNED_STALE", "2": "SESSIONS_ACTIVE", "3": "KEPT_IN_RELEASE", "4": "KEPT_LIVE"}


async def test_a_dry_run_tells_the_same_plan_and_deletes_nothing(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.settings = replace(house.settings, prune_dry_run=True)
    await run(house)
    assert left(house) == {"1", "2", "3", "4"}
    assert list(told(house).values()).count("PRUNED_STALE") == 2


async def test_pruning_gives_way_to_a_release(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    await house.pushed("v9", "f")
    house.queue.sent.clear()
    await run(house)
    assert len(left(house)) == 4
    assert "PRUNE_STOPPED" in house.journal.reasons()
    assert house.queue.sent == [(AGENT, 0)]


async def test_a_version_that_became_live_since_the_plan_is_not_deleted(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    lists: list[int] = []

    def traffic_moves(found: Sequence[Version]) -> Sequence[Version]:
        lists.append(len(found))
        if len(lists) == 2:  # the plan without the lease, the plan under it, and then somebody moves the traffic
            house.foundry.agents[AGENT].routing = Routing.to("1")
        return found

    house.foundry.lists = traffic_moves
    await run(house)
    assert told(house)["1"] == "KEPT_LIVE"
    assert "1" in left(house)


async def test_a_version_that_somebody_deleted_meanwhile_counts_as_gone(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    before = await house.foundry.list_versions(AGENT)
    del house.foundry.agents[AGENT].versions["1"]
    house.foundry.lists = lambda found: before  # a list lags
    await run(house)
    assert told(house)["1"] == "PRUNED_STALE"
    assert left(house) == {"3", "4"}


async def test_a_list_that_lies_about_the_status_deletes_nothing_that_serves(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.foundry.lists = lambda found: [replace(one, status=Status.FAILED) for one in found]
    house.agents = load_agents(RULES.replace(b"min_age: 1m", b"min_age: 1m, failed: 1m"))
    await run(house)
    assert told(house) == {"1": "KEPT_UNSETTLED", "2": "KEPT_UNSETTLED", "3": "KEPT_IN_RELEASE", "4": "KEPT_LIVE"}


async def test_a_busy_service_is_waited_for_and_nothing_is_deleted_twice(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    at = house.clock.passed
    house.foundry.errors = [BUSY, LOST]
    await run(house)
    assert left(house) == {"3", "4"}
    assert house.clock.passed - at >= 7
    assert house.journal.reasons().count("PRUNED_STALE") == 2


async def test_a_service_that_stays_busy_ends_the_run_of_that_agent_alone(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.foundry.errors = [BUSY] * 100
    await run(house)
    assert house.journal.reasons().count("PRUNE_STOPPED") == 1
    assert len(left(house)) == 4
    assert await house.ledger.acquire_lease(AGENT) is not None


async def test_a_refused_delete_says_so(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.foundry.errors = [PermanentError("Foundry", "Forbidden", "delete", status=403)]
    await run(house)
    (line,) = [line for line in house.journal.lines if line["reason"] == "PRUNE_STOPPED"]
    assert "Forbidden" in str(line["detail"])


async def test_more_versions_than_are_under_way_at_once_all_go(house: OddHouse) -> None:
    await versions_of_ours(house, 12)
    await run(house)
    assert left(house) == {"11", "12"}


async def test_a_refusal_of_one_lets_no_other_begin(house: OddHouse) -> None:
    await versions_of_ours(house, 12)
    house.foundry.errors = [PermanentError("Foundry", "Forbidden", "delete", status=403)]
    await run(house)
    assert left(house) >= {"9", "10", "11", "12"}
    assert house.journal.reasons().count("PRUNE_STOPPED") == 1


async def test_a_busy_service_keeps_all_waiting_and_loses_nothing(house: OddHouse) -> None:
    await versions_of_ours(house, 12)
    house.foundry.errors = [BUSY, LOST] * 3
    await run(house)
    assert left(house) == {"11", "12"}
    assert house.journal.reasons().count("PRUNED_STALE") == 10


async def test_eight_go_at_once_and_after_a_fault_one_then_two_then_four(house: OddHouse) -> None:
    await versions_of_ours(house, 16)
    house.foundry.crowds.clear()
    house.foundry.errors = [BUSY]
    await run(house)
    assert left(house) == {"15", "16"}
    assert house.foundry.crowds == [7, 6, 5, 4, 3, 2, 1, 1, 2, 1, 4, 3, 2, 1]


async def test_one_look_at_the_traffic_is_for_four_versions_at_most_and_each_is_looked_at_itself(
    house: OddHouse,
) -> None:
    await versions_of_ours(house, 12)
    house.foundry.reads.clear()
    looks = list[float]()
    house.foundry.after_look = lambda: looks.append(house.clock.passed)
    await run(house)
    assert sorted(house.foundry.reads, key=int) == [str(number) for number in range(1, 11)]
    plans = 2 + 1  # without the lease and under it, and that of the other agent
    assert len(looks) - plans == 3


async def test_an_agent_that_a_release_holds_is_left_to_the_next_run(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    await house.ledger.acquire_lease(AGENT)
    await run(house)
    assert len(left(house)) == 4
    assert "LEASE_TAKEN" in house.journal.reasons()


async def test_a_lease_that_is_lost_stops_the_deletions(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    house.foundry.errors = [TransientError("Foundry", "429", "delete", retry_after=50)]

    def frozen_and_overtaken() -> None:
        house.ledger.releases[AGENT].lease_id = 99

    house.foundry.before_delete = frozen_and_overtaken
    await run(house)
    assert "LEASE_LOST" in house.journal.reasons()


async def test_a_look_that_hung_is_taken_again_before_anything_is_deleted(house: OddHouse) -> None:
    await versions_of_ours(house, 4)

    looks = iter(range(1, 9))  # plans are made first; then comes the look before the deletes

    def hangs_while_a_person_moves_the_traffic() -> None:
        if next(looks) == 4:
            house.clock.passed += 90
            house.foundry.agents[AGENT].routing = Routing.to("1")

    house.foundry.after_look = hangs_while_a_person_moves_the_traffic
    await run(house)
    assert left(house) == {"1", "3", "4"}


async def test_nothing_is_deleted_while_a_person_pauses_the_agent(house: OddHouse) -> None:
    await versions_of_ours(house, 4)
    pause = Pause("incident", "ann", house.clock.now())
    await house.ledger.update_desired(AGENT, lambda desired: replace(desired, pause=pause))
    await run(house)
    assert len(left(house)) == 4
    assert "PAUSED" in house.journal.reasons()


async def test_the_images_of_what_stays_are_told_and_a_crowd_is(house: OddHouse) -> None:
    house.agents = load_agents(RULES.replace(b"newest: 0, min_age: 1m", b"newest: 9, min_age: 1m, limit: 4"))
    await versions_of_ours(house, 4)
    await run(house)
    (line,) = [line for line in house.journal.lines if line["reason"] == "IMAGES_IN_USE"]
    assert sorted(letter[-1] for letter in str(line["images"]).split()) == list("abcd")
    assert (line["versions"], line["limit"]) == (4, 4)
    assert "VERSION_LIMIT_NEAR" in house.journal.reasons()


async def test_toolbox_versions_that_nothing_names_go_too(house: OddHouse) -> None:
    house.agents = load_agents(RULES)
    await versions_of_ours(house, 1)
    for kind in ("file_search, vector_store_ids: [a]", "file_search, vector_store_ids: [b]"):
        house.agents = load_agents(RULES.replace(b"code_interpreter", kind.encode()))
        await house.pushed(f"v-{kind[-2]}", {"a": "b", "b": "c"}[kind[-2]])
        await house.released()
        house.clock.passed += 7200
    await run(house)
    boxes = house.foundry.toolboxes[f"{AGENT}-tools"]
    assert [box == DELETED_TOOLBOX for box in boxes] == [True, False, False]  # the first went with version 1
    assert told(house, toolbox=True) == {"1": "PRUNED_STALE", "2": "KEPT_IN_RELEASE", "3": "KEPT_IN_RELEASE"}


async def test_a_dry_run_leaves_the_toolbox(house: OddHouse) -> None:
    await versions_of_ours(house, 2)
    house.foundry.toolboxes[f"{AGENT}-tools"] += ["other", "newest"]
    house.clock.passed += 7200
    house.settings = replace(house.settings, prune_dry_run=True)
    await run(house)
    assert DELETED_TOOLBOX not in house.foundry.toolboxes[f"{AGENT}-tools"]
    assert "PRUNED_STALE" in told(house, toolbox=True).values()


async def test_a_release_makes_room_for_itself_before_it_creates(house: OddHouse) -> None:
    house.agents = load_agents(RULES.replace(b"newest: 0, min_age: 1m", b"newest: 0, min_age: 1d, limit: 5"))
    await versions_of_ours(house, 5)
    house.foundry.agents[AGENT].versions_in_use.add("1")
    await house.pushed("v9", "f")
    assert await house.released() == "LIVE"
    assert left(house) == {"1", "3", "4", "5", "6"}
    reasons = house.journal.reasons()
    assert reasons.index("MAKE_ROOM") < reasons.index("PRUNED_STALE") < reasons.index("CREATE")


async def test_at_the_limit_nothing_is_created_and_what_holds_each_version_is_said(house: OddHouse) -> None:
    house.agents = load_agents(RULES.replace(b"newest: 0, min_age: 1m", b"newest: 9, limit: 3"))
    await versions_of_ours(house, 3)
    await house.pushed("v9", "f")
    assert await house.released() == "VERSION_LIMIT"
    release = await house.ledger.get_release(AGENT)
    assert release.detail == "3 of 3 versions: KEPT_RECENT 1, KEPT_IN_RELEASE 2, KEPT_LIVE 3"
    assert await house.live() == "3"


async def test_sessions_that_hold_every_version_are_named_at_the_limit(house: OddHouse) -> None:
    house.agents = load_agents(RULES.replace(b"newest: 0, min_age: 1m", b"newest: 0, limit: 3"))
    await versions_of_ours(house, 3)
    house.foundry.agents[AGENT].versions_in_use.add("1")
    await house.pushed("v9", "f")
    assert await house.released() == "VERSION_LIMIT"
    assert "SESSIONS_ACTIVE 1" in (await house.ledger.get_release(AGENT)).detail
