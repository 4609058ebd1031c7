"""The state store, the journal and the queue: one suite in memory, of a plan, and against the stand-in and Azurite."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from cli.plan.recording_gateways import PlanQueue, PlanStateStore
from core.model import Push, Routing
from core.state.desired import Cause, DesiredState, Pause
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind
from core.state.summary import DesiredSummary, summarise
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
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC, BlobStateStore
from tests.support.storage_servers import SERVERS
from tests.unit.handlers.gateways.test_json_codec import DESIRED, RELEASE, as_newer

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
    state_store: StateStore
    journal: Journal
    queue: ReleaseQueue
    clock: Clock
    connection: str = ""


async def open_storage(connection: str) -> AsyncIterator[Storage]:
    account, clock, name = StorageAccount.from_connection_string(connection), SystemClock(), uuid.uuid4().hex
    state_store, journal = BlobStateStore(account, clock, name), BlobJournal(account, clock, name)
    yield Storage(state_store, journal, StorageReleaseQueue(account, f"q-{name}"), clock, connection)
    await account.close()


@pytest.fixture(params=["in-memory", "plan", *SERVERS])
async def storage(request: pytest.FixtureRequest, storage_servers: Callable[[str], str]) -> AsyncIterator[Storage]:
    clock = ManualClock()
    in_memory = InMemoryStateStore(clock)
    if request.param == "in-memory":
        yield Storage(in_memory, InMemoryJournal(), InMemoryReleaseQueue(clock), clock)
    elif request.param == "plan":
        yield Storage(PlanStateStore(clock, in_memory), InMemoryJournal(), PlanQueue(clock), clock)
    if request.param not in SERVERS:
        return
    async for storage in open_storage(storage_servers(request.param)):
        yield storage


@pytest.fixture(params=SERVERS)
async def real(request: pytest.FixtureRequest, storage_servers: Callable[[str], str]) -> AsyncIterator[Storage]:
    async for storage in open_storage(storage_servers(request.param)):
        yield storage


def desired(generation: int) -> DesiredState:
    return DesiredState(generation, generation, PUSH, Cause.PUSH, NOW, traceparent="00-1-2-01")


async def test_state_that_was_never_written_is_empty(storage: Storage) -> None:
    assert await storage.state_store.get_desired("hello-agent") == DesiredState()
    assert await storage.state_store.get_release("hello-agent") == ReleaseState()
    assert await storage.state_store.list_agents() == []


async def test_a_desired_state_is_read_as_it_was_written(storage: Storage) -> None:
    assert await storage.state_store.update_desired("hello-agent", lambda _: desired(1)) == desired(1)
    assert await storage.state_store.get_desired("hello-agent") == desired(1)


async def test_concurrent_writers_lose_no_update(storage: Storage) -> None:
    def next_generation(current: DesiredState) -> DesiredState:
        return replace(current, generation=current.generation + 1)

    await asyncio.gather(*(storage.state_store.update_desired("hello-agent", next_generation) for _ in range(8)))
    assert (await storage.state_store.get_desired("hello-agent")).generation == 8


async def test_a_release_state_is_read_as_it_was_written(storage: Storage) -> None:
    lease = await storage.state_store.acquire_lease("hello-agent")
    assert lease is not None
    assert lease.state == ReleaseState()
    assert await lease.write(FULL)
    assert lease.state == FULL
    assert await storage.state_store.get_release("hello-agent") == FULL


async def test_the_lease_has_one_holder_until_it_is_released(storage: Storage) -> None:
    first = await storage.state_store.acquire_lease("hello-agent")
    assert first is not None
    assert await storage.state_store.acquire_lease("hello-agent") is None
    assert 55 < first.remaining_seconds <= 60
    assert await first.renew()
    await first.release()
    second = await storage.state_store.acquire_lease("hello-agent")
    assert second is not None


async def test_a_lock_has_one_holder_until_it_is_released(storage: Storage) -> None:
    first = await storage.state_store.lock("commit-status-hello-agent")
    assert first is not None
    assert await storage.state_store.lock("commit-status-hello-agent") is None
    assert await storage.state_store.lock("commit-status-other-agent") is not None
    await first.release()
    await first.release()
    assert await storage.state_store.lock("commit-status-hello-agent") is not None
    assert await storage.state_store.list_agents() == []


async def test_of_concurrent_requests_one_gets_the_lease(storage: Storage) -> None:
    leases = await asyncio.gather(*(storage.state_store.acquire_lease("hello-agent") for _ in range(8)))
    assert sum(lease is not None for lease in leases) == 1


async def test_a_former_lease_holder_cannot_overwrite_the_next_one(storage: Storage) -> None:
    old = await storage.state_store.acquire_lease("hello-agent")
    assert old is not None
    await old.release()
    new = await storage.state_store.acquire_lease("hello-agent")
    assert new is not None
    assert await new.write(replace(FULL, observed_generation=9))
    assert not await old.write(FULL)
    assert (await storage.state_store.get_release("hello-agent")).observed_generation == 9


async def test_one_listing_finds_the_unfinished_agents(storage: Storage) -> None:
    for agent, due in (("asked", None), ("later", NOW), ("answered", None)):
        await storage.state_store.update_desired(agent, lambda _, due=due: replace(desired(1), not_before=due))  # type: ignore[misc]
    for agent, release in (("answered", ReleaseState(observed_generation=1)), ("running", FULL)):
        lease = await storage.state_store.acquire_lease(agent)
        assert lease is not None
        await lease.write(release)
    assert await storage.state_store.list_agents(unfinished=True) == ["asked", "later", "running"]
    assert await storage.state_store.list_agents() == ["answered", "asked", "later", "running"]


async def test_one_listing_says_which_desired_states_are_but_a_push(storage: Storage) -> None:
    store = storage.state_store
    await store.update_desired("plain", lambda _: desired(2))
    await store.update_desired("paused", lambda _: replace(desired(3), pause=Pause("lunch", "a", NOW)))
    lease = await store.acquire_lease("released-only")
    assert lease is not None
    assert await store.list_desired() == {
        "plain": summarise(desired(2)),
        "paused": DesiredSummary(3),
        "released-only": DesiredSummary(),
    }


@pytest.mark.parametrize("generation", ["", "many"])
async def test_a_desired_state_whose_metadata_a_person_changed_is_read(real: Storage, generation: str) -> None:
    store = real.state_store
    assert isinstance(store, BlobStateStore)
    await store.update_desired("plain", lambda _: desired(2))
    async with BlobServiceClient.from_connection_string(real.connection) as service:
        blob = service.get_blob_client(store.container, "desired/plain.json")
        await blob.set_blob_metadata({"generation": generation})
    assert await store.list_desired() == {"plain": DesiredSummary()}


async def test_the_journal_keeps_lines_in_order(storage: Storage) -> None:
    assert await storage.journal.read_day(storage.clock.now()) == []
    for number in range(3):
        await storage.journal.append({"number": number, "text": "grün"})
    assert await storage.journal.read_day(storage.clock.now()) == [{"number": n, "text": "grün"} for n in range(3)]


async def test_the_journal_gives_the_lines_that_have_a_text_and_those_that_are_new(storage: Storage) -> None:
    today = storage.clock.now()
    await storage.journal.append({"number": 0, "tag": 'a"b'}, {"number": 1, "tag": "c"})
    first = await storage.journal.read_new(today, {})
    assert [line["number"] for line in first.lines] == [0, 1]
    assert await storage.journal.end(today) == first.position
    await storage.journal.append({"number": 2, "tag": "a"})
    assert [line["number"] for line in (await storage.journal.read_new(today, first.position)).lines] == [2]
    for texts, numbers in ((['a"b'], [0]), (["c", "x"], [1]), (["x"], []), ([], [0, 1, 2])):
        assert [line["number"] for line in await storage.journal.read_day(today, texts)] == numbers


async def test_the_queue_counts_its_messages(storage: Storage) -> None:
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
    assert bodies == [{"target": "hello-agent", "traceparent": "00-1-2-01"}]


async def test_a_lease_gives_what_another_process_wrote(real: Storage) -> None:
    assert isinstance(real.state_store, BlobStateStore)
    account = StorageAccount.from_connection_string(real.connection)
    other = BlobStateStore(account, SystemClock(), real.state_store.container)
    for number, store in enumerate((real.state_store, other, real.state_store, real.state_store), 1):
        lease = await store.acquire_lease("hello-agent")
        assert lease is not None
        assert lease.state.observed_generation == number - 1
        assert await lease.write(replace(lease.state, observed_generation=number))
        await lease.release()
    await account.close()


async def test_a_broken_lease_is_lost(real: Storage) -> None:
    lease = await real.state_store.acquire_lease("hello-agent")
    assert lease is not None
    assert isinstance(real.state_store, BlobStateStore)
    async with BlobServiceClient.from_connection_string(real.connection) as service:
        blob = service.get_blob_client(real.state_store.container, "release/hello-agent.json")
        await BlobLeaseClient(blob).break_lease(lease_break_period=0)
        await blob.acquire_lease(lease_duration=15)
    assert not await lease.write(FULL)
    assert not await lease.renew()


async def test_an_unreadable_state_raises_an_error_and_is_not_overwritten(real: Storage) -> None:
    await real.state_store.update_desired("hello-agent", lambda _: desired(1))
    assert isinstance(real.state_store, BlobStateStore)
    async with BlobServiceClient.from_connection_string(real.connection) as service:
        blob = service.get_blob_client(real.state_store.container, "desired/hello-agent.json")
        for text in ("half an ans", "[]", '{"schema": 2}', '{"schema": 1, "generation": "many"}'):
            await blob.upload_blob(text, overwrite=True)
            with pytest.raises(PermanentError, match="STATE_UNREADABLE"):
                await real.state_store.update_desired("hello-agent", lambda _: desired(2))
            assert await (await blob.download_blob()).readall() == text.encode()
        with pytest.raises(ResourceNotFoundError):
            await service.get_blob_client(real.state_store.container, "desired/nobody.json").get_blob_properties()


async def overwrite(storage: Storage, name: str, data: bytes) -> None:
    assert isinstance(storage.state_store, BlobStateStore)
    async with BlobServiceClient.from_connection_string(storage.connection) as service:
        await service.get_blob_client(storage.state_store.container, name).upload_blob(data, overwrite=True)


async def stored_json(storage: Storage, name: str) -> Any:
    assert isinstance(storage.state_store, BlobStateStore)
    async with BlobServiceClient.from_connection_string(storage.connection) as service:
        blob = service.get_blob_client(storage.state_store.container, name)
        return json.loads(await (await blob.download_blob()).readall())


async def test_unknown_fields_of_a_desired_state_survive_an_update(real: Storage) -> None:
    name, data = "desired/hello-agent.json", as_newer(DESIRED_CODEC.encode(DESIRED))
    await real.state_store.update_desired("hello-agent", lambda _: DESIRED)
    await overwrite(real, name, data)
    assert await real.state_store.get_desired("hello-agent") == DESIRED
    for generation in (4, 5):
        changed = replace(DESIRED, generation=generation)
        assert await real.state_store.update_desired("hello-agent", lambda _, to=changed: to) == changed  # type: ignore[misc]
        assert await stored_json(real, name) == {**json.loads(data), "generation": generation}


async def test_unknown_fields_of_a_release_state_survive_every_write_under_a_lease(real: Storage) -> None:
    name, data = "release/hello-agent.json", as_newer(RELEASE_CODEC.encode(RELEASE))
    await real.state_store.update_desired("hello-agent", lambda _: DESIRED)
    await overwrite(real, name, data)
    lease = await real.state_store.acquire_lease("hello-agent")
    assert lease is not None
    assert lease.state == RELEASE
    for generation in (4, 5):
        assert await lease.write(replace(RELEASE, observed_generation=generation))
        assert await stored_json(real, name) == {**json.loads(data), "observed_generation": generation}


async def test_a_newer_schema_is_refused_in_one_line_and_nothing_is_lost(real: Storage) -> None:
    await real.state_store.update_desired("hello-agent", lambda _: desired(1))
    newer = b'{"schema": 2, "generation": {"new": "form"}}'
    todo = "this version reads 1: deploy the newer Slipway again; nothing is overwritten"
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "desired/hello-agent.json": lambda: real.state_store.update_desired("hello-agent", lambda _: desired(2)),
        "release/hello-agent.json": lambda: real.state_store.acquire_lease("hello-agent"),
    }
    for name, attempt in attempts.items():
        await overwrite(real, name, newer)
        with pytest.raises(PermanentError) as refused:
            await attempt()
        assert str(refused.value) == f"storage: STATE_UNREADABLE: {name} has schema 2, {todo}"
        assert await stored_json(real, name) == json.loads(newer)


async def test_a_journal_line_of_another_version_is_read_as_it_is(storage: Storage) -> None:
    lines: list[dict[str, object]] = [{"schema": 2, "reason": "ADDED_LATER", "nested": {"x": [1]}}, {"reason": "LIVE"}]
    await storage.journal.append(*lines)
    assert await storage.journal.read_day(storage.clock.now()) == lines


async def test_an_expired_lease_is_lost_once_another_holder_has_it() -> None:
    clock = ManualClock()
    state_store = InMemoryStateStore(clock)
    old = await state_store.acquire_lease("hello-agent")
    assert old is not None
    clock.passed += 61
    assert await old.renew(), "no other holder took it"
    clock.passed += 61
    new = await state_store.acquire_lease("hello-agent")
    assert new is not None
    assert not await old.renew()
    assert not await old.write(FULL)
