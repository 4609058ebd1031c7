"""The ledger, the journal and the queue: one suite for the fakes, the stand-in and Azurite."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from core.model import Push, Routing
from core.state.desired import Cause, DesiredState
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind
from handlers.gateways.clock import Clock, SystemClock
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Journal, ReleaseQueue, StateStore
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.journal import BlobJournal
from handlers.gateways.storage.release_queue import StorageReleaseQueue
from handlers.gateways.storage.state_store import BlobStateStore
from tests.support.storage_servers import REAL

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
FULL = ReleaseState(
    observed_generation=3,
    push=PUSH,
    fingerprint="f" * 64,
    secrets={"key": "0" * 32},
    image="demo.azurecr.io/agents/hello",
    variables=frozenset({"A", "B"}),
    phase=Phase.CONFIRMED,
    candidate="2",
    routing_at_start=Routing.to("1"),
    expected_routing=Routing.to("1"),
    routed_at=NOW,
    pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, routing=Routing.to("2")),
    last_good=GoodVersion(PUSH, "e" * 64, "1"),
    created_at={"1": NOW, "2": NOW},
)


@dataclass
class Storage:
    ledger: StateStore
    journal: Journal
    queue: ReleaseQueue
    clock: Clock
    connection: str = ""


async def opened(connection: str) -> AsyncIterator[Storage]:
    account, clock, name = StorageAccount.from_connection_string(connection), SystemClock(), uuid.uuid4().hex
    ledger, journal = BlobStateStore(account, clock, name), BlobJournal(account, clock, name)
    yield Storage(ledger, journal, StorageReleaseQueue(account, f"q-{name}"), clock, connection)
    await account.close()


@pytest.fixture(params=["fake", *REAL])
async def storage(request: pytest.FixtureRequest, storage_servers: Callable[[str], str]) -> AsyncIterator[Storage]:
    if request.param == "fake":
        clock = ManualClock()
        yield Storage(InMemoryStateStore(clock), InMemoryJournal(), InMemoryReleaseQueue(clock), clock)
        return
    async for storage in opened(storage_servers(request.param)):
        yield storage


@pytest.fixture(params=REAL)
async def real(request: pytest.FixtureRequest, storage_servers: Callable[[str], str]) -> AsyncIterator[Storage]:
    async for storage in opened(storage_servers(request.param)):
        yield storage


def wish(generation: int) -> DesiredState:
    return DesiredState(generation, generation, PUSH, Cause.PUSH, NOW, traceparent="00-1-2-01")


async def test_what_was_never_noted_reads_as_empty(storage: Storage) -> None:
    assert await storage.ledger.get_desired("hello-agent") == DesiredState()
    assert await storage.ledger.get_release("hello-agent") == ReleaseState()
    assert await storage.ledger.list_agents(frozenset({"open", "due", "ended"})) == []


async def test_what_is_noted_is_read_back_as_the_same_value(storage: Storage) -> None:
    assert await storage.ledger.update_desired("hello-agent", lambda _: wish(1)) == wish(1)
    assert await storage.ledger.get_desired("hello-agent") == wish(1)


async def test_writers_at_once_lose_nothing(storage: Storage) -> None:
    def next_one(before: DesiredState) -> DesiredState:
        return replace(before, generation=before.generation + 1)

    await asyncio.gather(*(storage.ledger.update_desired("hello-agent", next_one) for _ in range(8)))
    assert (await storage.ledger.get_desired("hello-agent")).generation == 8


async def test_a_record_is_read_back_as_the_same_value(storage: Storage) -> None:
    lease = await storage.ledger.acquire_lease("hello-agent")
    assert lease is not None
    assert lease.state == ReleaseState()
    assert await lease.write(FULL)
    assert lease.state == FULL
    assert await storage.ledger.get_release("hello-agent") == FULL


async def test_only_one_holds_the_lease_until_it_is_given_back(storage: Storage) -> None:
    first = await storage.ledger.acquire_lease("hello-agent")
    assert first is not None
    assert await storage.ledger.acquire_lease("hello-agent") is None
    assert 55 < first.remaining_seconds <= 60
    assert await first.renew()
    await first.release()
    second = await storage.ledger.acquire_lease("hello-agent")
    assert second is not None


async def test_of_many_who_ask_for_the_lease_one_gets_it(storage: Storage) -> None:
    asked = await asyncio.gather(*(storage.ledger.acquire_lease("hello-agent") for _ in range(8)))
    assert sum(lease is not None for lease in asked) == 1


async def test_a_holder_that_gave_the_lease_back_cannot_write_over_the_next_one(storage: Storage) -> None:
    old = await storage.ledger.acquire_lease("hello-agent")
    assert old is not None
    await old.release()
    new = await storage.ledger.acquire_lease("hello-agent")
    assert new is not None
    assert await new.write(replace(FULL, observed_generation=9))
    assert not await old.write(FULL)
    assert (await storage.ledger.get_release("hello-agent")).observed_generation == 9


async def test_one_listing_finds_what_is_unfinished(storage: Storage) -> None:
    for agent, due in (("asked", None), ("later", NOW), ("answered", None)):
        await storage.ledger.update_desired(agent, lambda _, due=due: replace(wish(1), not_before=due))  # type: ignore[misc]
    for agent, release in (("answered", ReleaseState(observed_generation=1)), ("running", FULL)):
        lease = await storage.ledger.acquire_lease(agent)
        assert lease is not None
        await lease.write(release)
    assert await storage.ledger.list_agents(frozenset({"open"})) == ["asked", "running"]
    assert await storage.ledger.list_agents(frozenset({"due"})) == ["later"]
    assert await storage.ledger.list_agents(frozenset({"ended"})) == ["answered"]


async def test_the_journal_keeps_lines_in_order(storage: Storage) -> None:
    assert await storage.journal.read_day(storage.clock.now()) == []
    for number in range(3):
        await storage.journal.append({"number": number, "text": "grün"})
    assert await storage.journal.read_day(storage.clock.now()) == [{"number": n, "text": "grün"} for n in range(3)]


async def test_a_queue_says_about_how_much_it_holds(storage: Storage) -> None:
    assert await storage.queue.count_messages("releases-poison") == 0
    name = getattr(storage.queue, "name", "releases")
    for delay in (0, 60):
        await storage.queue.enqueue("hello-agent", delay=delay)
    assert await storage.queue.count_messages(name) == 2


async def test_a_message_is_base64_as_the_functions_host_expects(real: Storage) -> None:
    await real.queue.enqueue("hello-agent", traceparent="00-1-2-01")
    await real.queue.enqueue("later-agent", delay=30)
    async with QueueServiceClient.from_connection_string(real.connection) as service:
        assert isinstance(real.queue, StorageReleaseQueue)
        queue = service.get_queue_client(real.queue.name)
        texts = [message.content async for message in queue.receive_messages()]
    bodies = [json.loads(base64.b64decode(text)) for text in texts]
    assert bodies == [{"agent": "hello-agent", "traceparent": "00-1-2-01"}]


async def test_a_lease_that_somebody_broke_is_lost(real: Storage) -> None:
    lease = await real.ledger.acquire_lease("hello-agent")
    assert lease is not None
    assert isinstance(real.ledger, BlobStateStore)
    async with BlobServiceClient.from_connection_string(real.connection) as service:
        blob = service.get_blob_client(real.ledger.container, "release/hello-agent.json")
        await BlobLeaseClient(blob).break_lease(lease_break_period=0)
        await blob.acquire_lease(lease_duration=15)
    assert not await lease.write(FULL)
    assert not await lease.renew()


async def test_a_record_that_nobody_can_read_is_refused_and_left_alone(real: Storage) -> None:
    await real.ledger.update_desired("hello-agent", lambda _: wish(1))
    assert isinstance(real.ledger, BlobStateStore)
    async with BlobServiceClient.from_connection_string(real.connection) as service:
        blob = service.get_blob_client(real.ledger.container, "desired/hello-agent.json")
        for text in ("half an ans", "[]", '{"schema": 2}', '{"schema": 1, "generation": "many"}'):
            await blob.upload_blob(text, overwrite=True)
            with pytest.raises(PermanentError, match="STATE_UNREADABLE"):
                await real.ledger.update_desired("hello-agent", lambda _: wish(2))
            assert await (await blob.download_blob()).readall() == text.encode()
        with pytest.raises(ResourceNotFoundError):
            await service.get_blob_client(real.ledger.container, "desired/nobody.json").get_blob_properties()


async def test_a_lease_that_ran_out_is_lost_once_somebody_else_has_it() -> None:
    clock = ManualClock()
    ledger = InMemoryStateStore(clock)
    old = await ledger.acquire_lease("hello-agent")
    assert old is not None
    clock.passed += 61
    assert await old.renew(), "nobody was there meanwhile: nothing was missed"
    clock.passed += 61
    new = await ledger.acquire_lease("hello-agent")
    assert new is not None
    assert not await old.renew()
    assert not await old.write(FULL)
