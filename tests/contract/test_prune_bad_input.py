"""What an odd Foundry tells of its versions: pruning says so, and deletes nothing that is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from core.agents_file.loader import load_agents
from core.definition import FINGERPRINT
from handlers.prune_versions.run import prune_versions
from local.foundry.state import VersionState
from local.stand_in import Fault
from tests.contract.faulty_app import AGENT, House, opened
from tests.contract.faulty_services import Before

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP = "{newest: 0, min_age: 0s, failed: 0s, max_deletes: 20}"
RULES = "agents: {hello-agent: {repository: agents/hello, keep: %s}}"
DAY = 86_400.0
PLANTED, LIVE = ("2", "3", "4", "5"), "6"
LIST = r"/versions\?"
Odd = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Before]]:
    async with opened(tmp_path_factory.mktemp("house")) as house:
        plant(house, *PLANTED, LIVE)
        select(house, LIVE)
        yield house, house.parts.keep()


@pytest_asyncio.fixture(loop_scope="module")
async def house(standing: tuple[House, Before]) -> House:
    """Version 1 was released, 6 serves since, and 2 to 5 are stale."""
    house, before = standing
    await house.parts.restore(before)
    house.forget()
    return house


def plant(house: House, *numbers: str) -> None:
    now, agent = house.clock.now().timestamp(), house.parts.foundry.project.agents[AGENT]
    definition, made = agent.versions["1"].definition, now - 90 * DAY
    for number in numbers:
        agent.versions[number] = VersionState(number, definition, {FINGERPRINT: f"fp-{number}"}, made, made)


def select(house: House, number: str) -> None:
    rule = {"type": "FixedRatio", "agent_version": number, "traffic_percentage": 100}
    selector = {"version_selector": {"version_selection_rules": [rule]}}
    house.parts.foundry.project.agents[AGENT].endpoint |= selector


def listed(house: House, number: str, odd: Odd) -> Odd:
    """A version as the list tells it, bent."""
    state = house.parts.foundry.project.agents[AGENT].versions.get(number)
    metadata = state.metadata if state else {FINGERPRINT: "fp"}
    told = {"id": f"{AGENT}:{number}", "version": number, "created_at": 1_700_000_000, "status": "active"}
    image = {"container_configuration": {"image": f"demo.azurecr.io/agents/hello@sha256:{number}"}}
    return {**told, "metadata": metadata, "definition": image, **odd}


def page(house: House, *versions: tuple[str, Odd], then: str | None = None) -> Odd:
    data = [listed(house, number, odd) for number, odd in versions]
    return {"object": "list", "data": data, "last_id": then, "has_more": then is not None}


def answers(house: House, *bodies: Any, last: Odd | None = None) -> None:
    """The list is asked for twice, before the lease and under it: the pages come in turn, and again."""
    one_run = [{"body": body, "status": 200} for body in bodies] + ([last] if last else [])
    faults = [Fault(LIST, "GET", times=1, **answer) for _ in range(2) for answer in one_run]
    house.parts.foundry.faults = faults


async def pruned(house: House, keep: str = KEEP) -> set[str]:
    """What is left after a run."""
    agents = load_agents((RULES % keep).encode())
    await prune_versions(agents, house.settings, house.outside)
    return set(house.parts.foundry.project.agents[AGENT].versions)


def lines(house: House) -> dict[str, str]:
    return {str(line["version"]): str(line["reason"]) for line in house.ears.lines() if "version" in line}


async def test_as_it_should_be_what_is_stale_goes(house: House) -> None:
    assert await pruned(house) == {"1", LIVE}
    assert lines(house) == {"1": "KEPT_IN_RELEASE", **dict.fromkeys(PLANTED, "PRUNED_STALE"), LIVE: "KEPT_LIVE"}


@dataclass(frozen=True)
class Case:
    """Version 2 as it is told, and what that makes of it."""

    odd: Odd
    reason: str


ODD = {
    "a status that nobody knows": Case({"status": "hibernating"}, "KEPT_UNSETTLED"),
    "no status": Case({"status": None}, "KEPT_UNSETTLED"),
    "said to be creating": Case({"status": "creating"}, "KEPT_UNSETTLED"),
    "said to be deleting": Case({"status": "deleting"}, "KEPT_UNSETTLED"),
    "said to be deleted": Case({"status": "deleted"}, "KEPT_UNSETTLED"),
    "said to have failed, and it is active": Case({"status": "failed"}, "KEPT_UNSETTLED"),
    "no created_at": Case({"created_at": None}, "KEPT_UNDATED"),
    "created at no time": Case({"created_at": "yesterday"}, "KEPT_UNDATED"),
    "created after the year 50000": Case({"created_at": 1_795_508_572_000}, "KEPT_UNDATED"),
    "created in an infinity": Case({"created_at": 1e400}, "KEPT_UNDATED"),
    "no metadata": Case({"metadata": None}, "KEPT_FOREIGN"),
    "metadata that is no text": Case({"metadata": {FINGERPRINT: 7, "slipway.tag": 1.1}}, "PRUNED_STALE"),
    "a draft": Case({"draft": True}, "KEPT_DRAFT"),
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD)
async def test_an_odd_version_stays_and_says_why(house: House, case: Case) -> None:
    answers(house, page(house, ("1", {}), ("2", case.odd), *((one, {}) for one in ("3", "4", "5", LIVE))))
    left = await pruned(house)
    assert lines(house)["2"] == case.reason
    assert left == {"1", LIVE} | (set() if case.reason == "PRUNED_STALE" else {"2"})


@pytest.mark.parametrize("name", ["draft", "v7", "-2", "2.5", "²"])
async def test_a_name_that_is_no_number_is_never_deleted(house: House, name: str) -> None:
    answers(house, page(house, (name, {}), *((one, {}) for one in ("1", *PLANTED, LIVE))))
    assert await pruned(house) == {"1", LIVE}
    assert lines(house)[name] == "KEPT_DRAFT"
    asked = [one["path"] for one in house.parts.foundry.requests if one["method"] == "DELETE"]
    assert {path.partition("?")[0].rpartition("/")[2] for path in asked} <= set(PLANTED)


async def test_what_stands_on_two_pages_counts_once(house: House) -> None:
    first = page(house, *((one, {}) for one in ("1", "2", "3", "4")), then="hello-agent:4")
    answers(house, first, page(house, *((one, {}) for one in ("4", "3", "5", LIVE))))
    assert await pruned(house) == {"1", LIVE}
    told = [line["version"] for line in house.ears.lines() if "version" in line]
    assert sorted(told) == ["1", *PLANTED, LIVE]


NOT_A_PAGE = {
    "HTML": {"status": 200, "body": "<html>oops</html>"},
    "half a page": {"status": 200, "body": '{"data": [{"version": "3"'},
    "a list": {"status": 200, "body": []},
    "a version without a number": {"status": 200, "body": {"data": [{"status": "active"}]}},
    "500": {"status": 500},
    "403": {"status": 403},
}


@pytest.mark.parametrize("answer", NOT_A_PAGE.values(), ids=NOT_A_PAGE)
async def test_a_page_that_cannot_be_read_deletes_nothing(house: House, answer: Odd) -> None:
    first = page(house, *((one, {}) for one in ("1", "2", "3")), then="hello-agent:3")
    house.parts.foundry.faults = [Fault(r"after=", "GET", **answer), Fault(LIST, "GET", status=200, body=first)]
    assert await pruned(house) == {"1", *PLANTED, LIVE}
    (line,) = house.ears.lines()
    assert line["reason"] == "PRUNE_STOPPED"
    assert str(line["detail"]).startswith("Foundry: ")


BUSY = {
    "503": {"status": 503},
    "429 that asks for a pause": {"status": 429, "headers": {"Retry-After": "7"}},
    "HTML": {"status": 200, "body": "<html/>"},
}


@pytest.mark.parametrize("answer", BUSY.values(), ids=BUSY)
async def test_a_list_that_is_busy_for_once_does_not_wait_for_the_next_night(house: House, answer: Odd) -> None:
    house.parts.foundry.faults = [Fault(LIST, "GET", times=1, **answer)]
    before = house.clock.passed
    assert await pruned(house) == {"1", LIVE}
    assert house.clock.passed - before == (7 if "headers" in answer else 1)


async def test_a_list_that_asks_for_an_hour_is_left_to_the_next_run(house: House) -> None:
    house.parts.foundry.faults = [Fault(LIST, "GET", status=429, headers={"Retry-After": "3600"})]
    before = house.clock.passed
    assert await pruned(house) == {"1", *PLANTED, LIVE}
    assert house.clock.passed == before
    assert [line["reason"] for line in house.ears.lines()] == ["PRUNE_STOPPED"]


async def test_a_cursor_that_comes_again_deletes_nothing(house: House) -> None:
    answers(house, *[page(house, ("2", {}), then="hello-agent:2")] * 2)
    assert await pruned(house) == {"1", *PLANTED, LIVE}
    (line,) = house.ears.lines()
    assert line["reason"] == "PRUNE_STOPPED"
    assert "PAGING_LOOP" in str(line["detail"])


async def test_a_selector_that_names_a_missing_version_leaves_the_newest_and_what_the_release_names(
    house: House,
) -> None:
    select(house, "99")
    assert await pruned(house) == {"1", LIVE}
    assert lines(house)[LIVE] == "KEPT_LAST"


JUMPS: dict[str, tuple[float, str]] = {
    "ahead by ten years": (3650 * DAY, "{newest: 1, min_age: 3650d}"),
    "back by ten years": (-3650 * DAY, KEEP),
}


@pytest.mark.parametrize(("seconds", "keep"), JUMPS.values(), ids=JUMPS)
async def test_a_clock_that_jumps_takes_nothing_that_is_needed(house: House, seconds: float, keep: str) -> None:
    house.clock.passed += seconds
    left = await pruned(house, keep)
    assert left >= {"1", LIVE}
    assert (left == {"1", "5", LIVE}) if seconds > 0 else (left == {"1", *PLANTED, LIVE})


async def test_rules_that_keep_everything_delete_nothing(house: House) -> None:
    assert await pruned(house, "{newest: 1000, tags: ['.*']}") == {"1", *PLANTED, LIVE}
    assert set(lines(house).values()) == {"KEPT_IN_RELEASE", "KEPT_RECENT", "KEPT_LIVE"}


async def test_ten_thousand_versions_are_read_page_by_page_and_the_oldest_go_first(house: House) -> None:
    numbers = [str(number) for number in range(1, 10_001)]
    plant(house, *numbers[6:30])
    select(house, "10000")
    starts = range(0, 10_000, 100)
    pages: list[list[tuple[str, Odd]]] = [[(one, {}) for one in numbers[start : start + 100]] for start in starts]
    answers(house, *(page(house, *some, then=None if some is pages[-1] else some[-1][0]) for some in pages))
    assert await pruned(house) == {"1", *numbers[21:30]}
    assert len(lines(house)) == 10_000
    asked = [one for one in house.parts.foundry.requests if "/versions?" in one["path"]]
    assert len(asked) == 2 * len(pages)


async def test_a_delete_that_is_answered_by_a_page_is_looked_at_before_it_is_sent_again(house: House) -> None:
    gone = Fault(r"/versions/2\?", "DELETE", status=200, body="<html/>", times=1, after_effect=True)
    house.parts.foundry.faults = [gone]
    assert await pruned(house) == {"1", LIVE}
    asked = [one["path"] for one in house.parts.foundry.requests if one["method"] == "DELETE"]
    assert len([path for path in asked if "/versions/2?" in path]) == 1
