"""The heartbeats of the instances: one suite in memory, and against the stand-in and Azurite."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.foundry_rate import Heartbeat
from handlers.gateways.errors import GatewayError
from handlers.gateways.foundry.app_share import Instances
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.instances import InMemoryInstances
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.instances import FORGOTTEN_AFTER_SECONDS, MAX_DELETIONS, BlobInstances
from local.storage.account import Storage, connection_string
from tests.support.fast_clock import FastStorageClock
from tests.support.storage_servers import SERVERS


@pytest.fixture(params=SERVERS)
async def account(
    request: pytest.FixtureRequest, storage_servers: Callable[[str], str]
) -> AsyncIterator[StorageAccount]:
    account = StorageAccount.from_connection_string(storage_servers(request.param))
    yield account
    await account.close()


async def container(account: StorageAccount) -> str:
    name = uuid.uuid4().hex
    await account.container(name).create_container()
    return name


@pytest.fixture(params=["in-memory", *SERVERS])
async def instances(request: pytest.FixtureRequest, storage_servers: Callable[[str], str]) -> AsyncIterator[Instances]:
    if request.param == "in-memory":
        yield InMemoryInstances(ManualClock())
        return
    account = StorageAccount.from_connection_string(storage_servers(request.param))
    yield BlobInstances(account, container=await container(account))
    await account.close()


async def test_an_instance_alone_hears_of_nobody(instances: Instances) -> None:
    assert await instances.exchange(Heartbeat("a", (1.0,))) == []
    assert await instances.exchange(Heartbeat("a", (2.0,))) == []


async def test_each_instance_hears_what_the_others_said_last(instances: Instances) -> None:
    await instances.exchange(Heartbeat("a", (100.0, 50.5), since_refusal=7.0))
    await instances.exchange(Heartbeat("b"))
    await instances.exchange(Heartbeat("a", (200.0, 150.5), since_refusal=9.0, rate_left=0.343))
    heard = {beat.instance: beat for beat in await instances.exchange(Heartbeat("c", (1.0,)))}
    assert heard.keys() == {"a", "b"}
    assert heard["b"].ages == ()
    assert (heard["b"].since_refusal, heard["b"].rate_left) == (float("inf"), float("inf"))
    assert heard["a"].rate_left == 0.343
    for seconds, said in zip((*heard["a"].ages, heard["a"].since_refusal), (200.0, 150.5, 9.0), strict=True):
        assert 0.0 <= seconds - said <= 30.0


async def test_a_heartbeat_that_cannot_be_written_is_an_error_of_a_gateway(account: StorageAccount) -> None:
    with pytest.raises(GatewayError):
        await BlobInstances(account, container=uuid.uuid4().hex).exchange(Heartbeat("a"))


@pytest.mark.parametrize(
    "metadata",
    [
        {"ages": "1.0,soon"},
        {"ages": "nan"},
        {"since_refusal": "nan"},
        {"since_refusal": "1.0", "rate": "0"},
        {"rate": "nan"},
        {"ages": "-1e9"},
        {"ages": "1e400"},
        {"ages": "1.0", "since_refusal": "-1e9", "rate": "1.0"},
        {"ages": "[1.0]", "rate": "{}"},
        {},
    ],
)
async def test_metadata_that_a_person_changed_counts_as_no_releases(
    account: StorageAccount, metadata: dict[str, str]
) -> None:
    name = await container(account)
    await account.container(name).get_blob_client("instances/default/b").upload_blob(b"", metadata=metadata)
    assert await BlobInstances(account, container=name).exchange(Heartbeat("a")) == [Heartbeat("b")]


async def test_a_heartbeat_of_an_earlier_version_says_nothing_of_the_rate(account: StorageAccount) -> None:
    name = await container(account)
    blob = account.container(name).get_blob_client("instances/default/b")
    await blob.upload_blob(b"", metadata={"ages": "1.0", "since_refusal": "5.0"})
    (heard,) = await BlobInstances(account, container=name).exchange(Heartbeat("a"))
    assert (heard.ages != (), heard.since_refusal < 60.0, heard.rate_left) == (True, True, float("inf"))


async def test_a_heartbeat_of_a_newer_version_says_what_this_one_can_read(account: StorageAccount) -> None:
    name = await container(account)
    blob = account.container(name).get_blob_client("instances/default/b")
    await blob.upload_blob(b"{}", metadata={"ages": "1.0", "since_refusal": "5.0", "rate": "2.0", "schema": "9"})
    (heard,) = await BlobInstances(account, container=name).exchange(Heartbeat("a"))
    assert (len(heard.ages), heard.rate_left) == (1, 2.0)


async def test_projects_do_not_hear_each_other(account: StorageAccount) -> None:
    name = await container(account)
    await BlobInstances(account, "other", name).exchange(Heartbeat("b"))
    assert await BlobInstances(account, "default", name).exchange(Heartbeat("a")) == []


@dataclass
class TimedStorage:
    """A storage account whose clock stands still until it is moved."""

    account: StorageAccount
    clock: ManualClock


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncIterator[TimedStorage]:
    clock = ManualClock()
    storage = Storage(tmp_path, FastStorageClock(clock))
    account = StorageAccount.from_connection_string(connection_string(await storage.start()))
    yield TimedStorage(account, clock)
    await account.close()
    await storage.stop()


async def test_silence_is_measured_by_the_clock_of_storage(timed: TimedStorage) -> None:
    instances = BlobInstances(timed.account, container=await container(timed.account))
    await instances.exchange(Heartbeat("a", (1.0,)))
    timed.clock.passed += 20.0
    assert await instances.exchange(Heartbeat("b")) == [Heartbeat("a", (21.0,))]
    timed.clock.passed += 20.0
    assert await instances.exchange(Heartbeat("c")) == [Heartbeat("b")]
    timed.clock.passed -= 30.0
    assert await instances.exchange(Heartbeat("d")) == [Heartbeat("a", (11.0,)), Heartbeat("b"), Heartbeat("c")]
    timed.clock.passed -= 3600.0
    assert await instances.exchange(Heartbeat("e")) == [
        Heartbeat("a", (1.0,)),
        Heartbeat("b"),
        Heartbeat("c"),
        Heartbeat("d"),
    ], "no release is younger than its instance said"


async def test_heartbeats_of_instances_that_ended_long_ago_are_deleted(timed: TimedStorage) -> None:
    name = await container(timed.account)
    instances = BlobInstances(timed.account, container=name)
    for number in range(MAX_DELETIONS + 1):
        await instances.exchange(Heartbeat(f"old-{number}"))
    timed.clock.passed += FORGOTTEN_AFTER_SECONDS + 1
    await instances.exchange(Heartbeat("a"))
    assert len([blob async for blob in timed.account.container(name).list_blobs()]) == 2
    await instances.exchange(Heartbeat("a"))
    assert [blob.name async for blob in timed.account.container(name).list_blobs()] == ["instances/default/a"]


async def test_a_heartbeat_that_cannot_be_deleted_hides_no_other_one(timed: TimedStorage) -> None:
    name = await container(timed.account)
    instances = BlobInstances(timed.account, container=name)
    await instances.exchange(Heartbeat("old"))
    await timed.account.container(name).get_blob_client("instances/default/old").acquire_lease(-1)
    timed.clock.passed += FORGOTTEN_AFTER_SECONDS + 1
    await instances.exchange(Heartbeat("a"))
    assert await instances.exchange(Heartbeat("b")) == [Heartbeat("a")]
