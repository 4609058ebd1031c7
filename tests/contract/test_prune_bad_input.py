"""Pruning when Foundry returns bad data: it reports it, and deletes nothing that is needed."""

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
from tests.contract.faulty_app import AGENT, App, restored, started_app
from tests.contract.faulty_services import Snapshot

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP = "{newest: 0, min_age: 0s, failed: 0s, max_deletes: 20}"
AGENTS_FILE = "agents: {hello-agent: {repository: agents/hello, keep: %s}}"
DAY = 86_400.0
STALE, LIVE = ("2", "3", "4", "5"), "6"
LIST = r"/versions\?"
Fields = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[App, Snapshot]]:
    async with started_app(tmp_path_factory.mktemp("app")) as app:
        add_versions(app, *STALE, LIVE)
        make_live(app, LIVE)
        yield app, app.services.snapshot()


@pytest_asyncio.fixture(loop_scope="module")
async def app(started: tuple[App, Snapshot]) -> App:
    """Version 1 was released, 6 is live now, and 2 to 5 are stale."""
    app, snapshot = started
    return await restored(app, snapshot)


def add_versions(app: App, *numbers: str) -> None:
    now, agent = app.clock.now().timestamp(), app.services.foundry.project.agents[AGENT]
    definition, created = agent.versions["1"].definition, now - 90 * DAY
    for number in numbers:
        agent.versions[number] = VersionState(number, definition, {FINGERPRINT: f"fp-{number}"}, created, created)


def make_live(app: App, number: str) -> None:
    rule = {"type": "FixedRatio", "agent_version": number, "traffic_percentage": 100}
    selector = {"version_selector": {"version_selection_rules": [rule]}}
    app.services.foundry.project.agents[AGENT].endpoint |= selector


def list_item(app: App, number: str, changes: Fields) -> Fields:
    """A version as the list returns it, with changes."""
    state = app.services.foundry.project.agents[AGENT].versions.get(number)
    metadata = state.metadata if state else {FINGERPRINT: "fp"}
    defaults = {"id": f"{AGENT}:{number}", "version": number, "created_at": 1_700_000_000, "status": "active"}
    image = {"container_configuration": {"image": f"demo.azurecr.io/agents/hello@sha256:{number}"}}
    return {**defaults, "metadata": metadata, "definition": image, **changes}


def page(app: App, *numbers: str, cursor: str | None = None, changes: dict[str, Fields] | None = None) -> Fields:
    """A page of the list, with changes by version."""
    data = [list_item(app, number, (changes or {}).get(number, {})) for number in numbers]
    return {"object": "list", "data": data, "last_id": cursor, "has_more": cursor is not None}


def answer_with(app: App, *pages: Any) -> None:
    """Answer with these pages, twice: the list is read before the lease and again under it."""
    faults = [Fault(LIST, "GET", times=1, body=body, status=200) for _ in range(2) for body in pages]
    app.services.foundry.faults = faults


async def prune(app: App, keep: str = KEEP) -> set[str]:
    """The versions that are left after a run."""
    agents = load_agents((AGENTS_FILE % keep).encode())
    await prune_versions(agents, app.settings, app.gateways)
    return set(app.services.foundry.project.agents[AGENT].versions)


def decisions(app: App) -> list[tuple[str, str]]:
    """Version and reason of each decision about a version."""
    return [
        (str(decision["version"]), str(decision["reason"]))
        for decision in app.telemetry.decisions()
        if "version" in decision
    ]


def reasons(app: App) -> dict[str, str]:
    return dict(decisions(app))


async def test_stale_versions_are_pruned(app: App) -> None:
    assert await prune(app) == {"1", LIVE}
    assert reasons(app) == {"1": "KEPT_IN_RELEASE", **dict.fromkeys(STALE, "PRUNED_STALE"), LIVE: "KEPT_LIVE"}


@dataclass(frozen=True)
class Case:
    """Changed fields of version 2 in the list, and the expected reason."""

    changes: Fields
    reason: str


BAD_FIELDS = {
    "an unknown status": Case({"status": "hibernating"}, "KEPT_UNSETTLED"),
    "no status": Case({"status": None}, "KEPT_UNSETTLED"),
    "listed as creating": Case({"status": "creating"}, "KEPT_UNSETTLED"),
    "listed as deleting": Case({"status": "deleting"}, "KEPT_UNSETTLED"),
    "listed as deleted": Case({"status": "deleted"}, "KEPT_UNSETTLED"),
    "listed as failed, but active": Case({"status": "failed"}, "KEPT_UNSETTLED"),
    "no created_at": Case({"created_at": None}, "KEPT_UNDATED"),
    "created_at is not a number": Case({"created_at": "yesterday"}, "KEPT_UNDATED"),
    "created after the year 50000": Case({"created_at": 1_795_508_572_000}, "KEPT_UNDATED"),
    "created_at is infinite": Case({"created_at": 1e400}, "KEPT_UNDATED"),
    "no metadata": Case({"metadata": None}, "KEPT_FOREIGN"),
    "metadata values that are not text": Case({"metadata": {FINGERPRINT: 7, "slipway.tag": 1.1}}, "PRUNED_STALE"),
    "a draft": Case({"draft": True}, "KEPT_DRAFT"),
}


@pytest.mark.parametrize("case", BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_version_with_bad_fields_is_kept_with_a_reason(app: App, case: Case) -> None:
    answer_with(app, page(app, "1", *STALE, LIVE, changes={"2": case.changes}))
    left = await prune(app)
    assert reasons(app)["2"] == case.reason
    assert left == {"1", LIVE} | (set() if case.reason == "PRUNED_STALE" else {"2"})


@pytest.mark.parametrize("name", ["draft", "v7", "-2", "2.5", "²"])
async def test_a_version_whose_name_is_not_a_number_is_never_deleted(app: App, name: str) -> None:
    answer_with(app, page(app, name, "1", *STALE, LIVE))
    assert await prune(app) == {"1", LIVE}
    assert reasons(app)[name] == "KEPT_DRAFT"
    assert {path.partition("?")[0].rpartition("/")[2] for path in delete_paths(app)} <= set(STALE)


def delete_paths(app: App) -> list[str]:
    return [request["path"] for request in app.services.foundry.requests if request["method"] == "DELETE"]


async def test_a_version_on_two_pages_counts_once(app: App) -> None:
    first = page(app, "1", "2", "3", "4", cursor="hello-agent:4")
    answer_with(app, first, page(app, "4", "3", "5", LIVE))
    assert await prune(app) == {"1", LIVE}
    assert sorted(version for version, _ in decisions(app)) == ["1", *STALE, LIVE]


UNREADABLE_PAGES = {
    "HTML": {"status": 200, "body": "<html>oops</html>"},
    "half a page": {"status": 200, "body": '{"data": [{"version": "3"'},
    "a list": {"status": 200, "body": []},
    "a version without a number": {"status": 200, "body": {"data": [{"status": "active"}]}},
    "500": {"status": 500},
    "403": {"status": 403},
}


@pytest.mark.parametrize("answer", UNREADABLE_PAGES.values(), ids=UNREADABLE_PAGES)
async def test_after_an_unreadable_page_nothing_is_deleted(app: App, answer: Fields) -> None:
    first = page(app, "1", "2", "3", cursor="hello-agent:3")
    app.services.foundry.faults = [Fault(r"after=", "GET", **answer), Fault(LIST, "GET", status=200, body=first)]
    assert await prune(app) == {"1", *STALE, LIVE}
    (decision,) = app.telemetry.decisions()
    assert decision["reason"] == "PRUNE_STOPPED"
    assert str(decision["detail"]).startswith("Foundry: ")


BUSY = {
    "503": {"status": 503},
    "429 with Retry-After": {"status": 429, "headers": {"Retry-After": "7"}},
    "HTML": {"status": 200, "body": "<html/>"},
}


@pytest.mark.parametrize("answer", BUSY.values(), ids=BUSY)
async def test_a_list_that_fails_once_is_read_again_in_the_same_run(app: App, answer: Fields) -> None:
    app.services.foundry.faults = [Fault(LIST, "GET", times=1, **answer)]
    before = app.clock.passed
    assert await prune(app) == {"1", LIVE}
    waited = app.clock.passed - before
    assert (7 <= waited < 20) if "headers" in answer else waited == 1, "after a 429, reads go one after another too"


async def test_a_list_with_a_retry_after_of_an_hour_is_left_to_the_next_run(app: App) -> None:
    app.services.foundry.faults = [Fault(LIST, "GET", status=429, headers={"Retry-After": "3600"})]
    before = app.clock.passed
    assert await prune(app) == {"1", *STALE, LIVE}
    assert app.clock.passed == before
    assert app.telemetry.reasons() == ["PRUNE_STOPPED"]


async def test_after_a_repeated_cursor_nothing_is_deleted(app: App) -> None:
    answer_with(app, *[page(app, "2", cursor="hello-agent:2")] * 2)
    assert await prune(app) == {"1", *STALE, LIVE}
    (decision,) = app.telemetry.decisions()
    assert decision["reason"] == "PRUNE_STOPPED"
    assert "PAGING_LOOP" in str(decision["detail"])


async def test_a_selector_of_a_missing_version_keeps_the_newest_and_the_released_version(app: App) -> None:
    make_live(app, "99")
    assert await prune(app) == {"1", LIVE}
    assert reasons(app)[LIVE] == "KEPT_LAST"


JUMPS: dict[str, tuple[float, str]] = {
    "ahead by ten years": (3650 * DAY, "{newest: 1, min_age: 3650d}"),
    "back by ten years": (-3650 * DAY, KEEP),
}


@pytest.mark.parametrize(("seconds", "keep"), JUMPS.values(), ids=JUMPS)
async def test_a_clock_that_jumps_deletes_nothing_that_is_needed(app: App, seconds: float, keep: str) -> None:
    app.clock.passed += seconds
    left = await prune(app, keep)
    assert left >= {"1", LIVE}
    assert (left == {"1", "5", LIVE}) if seconds > 0 else (left == {"1", *STALE, LIVE})


async def test_nothing_is_deleted_if_the_agent_spec_keeps_everything(app: App) -> None:
    assert await prune(app, "{newest: 1000, tags: ['.*']}") == {"1", *STALE, LIVE}
    assert reasons(app) == {}, "that the same versions stay every day is not news"


async def test_ten_thousand_versions_are_read_by_page_and_the_oldest_are_deleted_first(app: App) -> None:
    numbers = [str(number) for number in range(1, 10_001)]
    add_versions(app, *numbers[6:30])
    make_live(app, "10000")
    starts = range(0, 10_000, 100)
    pages = [numbers[start : start + 100] for start in starts]
    answer_with(app, *(page(app, *part, cursor=None if part is pages[-1] else part[-1]) for part in pages))
    assert await prune(app) == {"1", *numbers[21:30]}
    assert len(reasons(app)) == 10_000
    reads = [request for request in app.services.foundry.requests if "/versions?" in request["path"]]
    assert len(reads) == 2 * len(pages)


async def test_a_delete_with_an_unclear_answer_is_sent_once(app: App) -> None:
    unclear = Fault(r"/versions/2\?", "DELETE", status=200, body="<html/>", times=1, after_effect=True)
    app.services.foundry.faults = [unclear]
    assert await prune(app) == {"1", LIVE}
    assert len([path for path in delete_paths(app) if "/versions/2?" in path]) == 1
