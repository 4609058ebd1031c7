"""Many agents at one Foundry: after a 429 releases and reads wait, each for a bounded time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from core.agents_file.loader import load_agents
from core.foundry_rate import HEARTBEAT_SECONDS, Heartbeat
from core.model import Agent, Version
from core.release.message import ReleaseMessage
from handlers.events.event_queued import handle_event
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.rate_limiter import MAX_SLOT_WAIT_SECONDS, FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.instances import InMemoryInstances
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.prune_versions import run
from handlers.prune_versions.run import prune_versions
from handlers.release_agent.next_message import PUT_BACK_SECONDS
from handlers.release_agent.reconcile import handle_message, reconcile
from tests.fuzz.foundry import AGENT, HTTP, VERSION, ScriptedFoundry
from tests.fuzz.gateways import SETTINGS, in_memory_gateways
from tests.fuzz.wire import Answer
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.builders import push_data, push_event

NAMES = [f"agent-{number}" for number in range(25)]
AGENTS = load_agents("agents:\n{}\n".format("\n".join(f"  {name}: {{repository: {name}}}" for name in NAMES)).encode())


async def throttled(others: AsyncExitStack) -> Gateways:
    """Foundry has just answered 429, and another release has the only slot."""
    gateways = replace(in_memory_gateways(), rate_limiter=FoundryRateLimiter(0.1))
    gateways.rate_limiter.record_refusal(gateways.clock.monotonic())
    slot = gateways.rate_limiter.slot(gateways.clock, gateways.clock.sleep)
    assert await others.enter_async_context(slot), "the other release"
    return gateways


async def pushed(gateways: Gateways) -> None:
    await handle_event(json.dumps(push_event(data=push_data(repository="agent-0"))), AGENTS, SETTINGS, gateways)


async def test_a_release_waits_under_its_lease_until_another_has_ended() -> None:
    others = AsyncExitStack()
    gateways = await throttled(others)
    await pushed(gateways)
    clock = cast("ManualClock", gateways.clock)
    before = clock.sleep

    class ClosingClock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await before(seconds)
            self.passed = clock.passed
            if clock.passed >= 30 and not closed:
                closed.append(clock.passed)
                await others.aclose()

    closed, closing = list[float](), ClosingClock()
    assert await reconcile(AGENTS.agents["agent-0"], SETTINGS, replace(gateways, clock=closing)) == "LIVE"
    assert closed, "the release waited"


async def test_a_release_without_a_slot_releases_its_lease_and_is_requeued() -> None:
    others = AsyncExitStack()
    gateways = await throttled(others)
    await pushed(gateways)
    gateways.rate_limiter.record_refusal(gateways.clock.monotonic())
    limiter = gateways.rate_limiter
    clock = cast("ManualClock", gateways.clock)
    before = clock.sleep

    class RefusingClock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await before(seconds)
            self.passed = clock.passed
            limiter.record_refusal(self.passed)

    assert (
        await reconcile(AGENTS.agents["agent-0"], SETTINGS, replace(gateways, clock=RefusingClock()))
        == "SERVICE_UNAVAILABLE"
    )
    assert clock.passed >= MAX_SLOT_WAIT_SECONDS
    line = cast("InMemoryJournal", gateways.journal).lines[-1]
    assert "429" in str(line["detail"])
    assert cast("InMemoryReleaseQueue", gateways.release_queue).sent[-1] == ("agent-0", 0.0)
    assert cast("InMemoryStateStore", gateways.state_store).releases["agent-0"].lease_id == 0


@in_virtual_time
async def test_a_message_whose_release_another_instance_takes_goes_back_to_the_queue() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    await instances.exchange(Heartbeat("0", since_refusal=0.0))
    gateways = replace(in_memory_gateways(), clock=clock, rate_limiter=FoundryRateLimiter(0.1, instances, "1"))
    await pushed(gateways)
    message = ReleaseMessage("agent-0", "00-1-2-01")
    async with gateways.rate_limiter.slot(clock, clock.sleep):
        gateways.rate_limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        await handle_message(message.to_json(), AGENTS, SETTINGS, gateways)
    queue = cast("InMemoryReleaseQueue", gateways.release_queue)
    assert queue.sent[-1] == ("agent-0", PUT_BACK_SECONDS)
    assert queue.traceparents[-1] == message.traceparent
    assert "agent-0" not in cast("InMemoryStateStore", gateways.state_store).releases, "no lease was taken"


class RefusingFoundry(InMemoryFoundry):
    """A Foundry that refuses every list while it has no versions, or every poll."""

    def __init__(self, clock: VirtualClock, limiter: FoundryRateLimiter, refused: str) -> None:
        super().__init__(clock)
        self._limiter, self._refused, self.refusals = limiter, refused, 0

    async def list_versions(self, agent: str) -> Sequence[Version]:
        self._refuse("list")
        return await super().list_versions(agent)

    async def get_version(self, agent: str, number: str) -> Version | None:
        self._refuse("poll")
        return await super().get_version(agent, number)

    def _refuse(self, call: str) -> None:
        if call == self._refused and self.refusals < 2:
            self.refusals += 1
            self._limiter.record_refusal(self.clock.monotonic())
            raise TransientError("Foundry", "429", call, throttled=True)


@pytest.mark.parametrize(("refused", "ended"), [("list", "SERVICE_UNAVAILABLE"), ("poll", "LIVE")])
@in_virtual_time
async def test_where_others_take_releases_one_that_has_not_begun_goes_back_and_another_goes_on(
    refused: str, ended: str
) -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(5.0, instances, "1")
    foundry = RefusingFoundry(clock, limiter, refused)
    gateways = replace(in_memory_gateways(), clock=clock, rate_limiter=limiter, foundry=foundry)

    async def other_instance() -> None:
        while True:
            await instances.exchange(Heartbeat("0", since_refusal=0.0))
            await asyncio.sleep(HEARTBEAT_SECONDS)

    other = asyncio.ensure_future(other_instance())
    await pushed(gateways)
    assert await reconcile(AGENTS.agents["agent-0"], SETTINGS, gateways) == ended
    other.cancel()
    assert foundry.refusals >= 1
    assert foundry.create_count == (ended == "LIVE")


async def test_pruning_starts_with_no_further_agent_once_its_time_is_up() -> None:
    gateways = in_memory_gateways()
    clock = cast("ManualClock", gateways.clock)

    class Slow(InMemoryFoundry):
        async def get_agent(self, name: str) -> Agent | None:
            clock.passed += run.MAX_RUN_TIME.total_seconds() / 10
            return None

    slow = Slow(clock)
    await prune_versions(AGENTS, SETTINGS, replace(gateways, foundry=slow))
    stopped = [line for line in cast("InMemoryJournal", gateways.journal).lines if line["reason"] == "PRUNE_STOPPED"]
    assert 5 <= len(stopped) < len(NAMES)
    assert "the next run continues" in str(stopped[0]["detail"])
    assert clock.passed < timedelta(minutes=45).total_seconds()


async def test_after_a_429_reads_of_foundry_go_one_after_another() -> None:
    clock, limiter = ManualClock(), FoundryRateLimiter(0.5)
    foundry = ScriptedFoundry(limiter, clock)
    HTTP.answers = [Answer(body=json.dumps(AGENT).encode()) for _ in range(4)]
    await foundry.get_agent("a")
    assert clock.passed == 0.0
    limiter.record_refusal(0.0)
    for _ in range(3):
        await foundry.get_agent("a")
    assert clock.passed > 4.0


async def test_after_a_429_each_page_of_a_list_waits_for_a_read() -> None:
    clock, limiter = ManualClock(), FoundryRateLimiter(1.0)
    foundry = ScriptedFoundry(limiter, clock)
    limiter.record_refusal(0.0)
    pages = [
        {"data": [VERSION | {"version": str(number), "id": f"a:{number}"}], "last_id": f"a:{number}"}
        for number in (1, 2, 3)
    ]
    HTTP.answers = [Answer(body=json.dumps(page).encode()) for page in [*pages, {"data": [], "last_id": None}]]
    assert [version.number for version in await foundry.list_versions("a")] == ["1", "2", "3"]
    assert clock.passed > 3.0
