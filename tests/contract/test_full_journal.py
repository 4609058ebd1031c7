"""A day of the journal that is full, on the stand-in: real Azure takes 50,000 appends until it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.journal import MAX_BLOCK_BYTES, BlobJournal
from local.storage.account import Storage, connection_string
from local.storage.blobs import MAX_BLOCKS

DAY = datetime(2026, 11, 28, 23, tzinfo=UTC)
NEXT = DAY + timedelta(hours=2)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Storage, StorageAccount]]:
    storage = Storage(tmp_path)
    account = StorageAccount.from_connection_string(connection_string(await storage.start()))
    yield storage, account
    await account.close()
    await storage.stop()


def fill(storage: Storage, name: str) -> None:
    """Make a part of the journal full, as 50,000 appends do."""
    storage.store.save("slipway", name, replace(storage.store.need_blob("slipway", name), blocks=MAX_BLOCKS))


async def test_every_line_is_read_after_a_full_day_and_after_midnight(server: tuple[Storage, StorageAccount]) -> None:
    storage, account = server
    clock = ManualClock(DAY)
    journal = BlobJournal(account, clock)
    await journal.append({"number": 0})
    fill(storage, "journal/2026-11-28.jsonl")
    await journal.append({"number": 1})
    fill(storage, "journal/2026-11-28.1.jsonl")
    await journal.append({"number": 2})
    await clock.sleep(2 * 3600)
    await journal.append({"number": 3})
    assert [line["number"] for line in await journal.read_day(DAY)] == [0, 1, 2]
    assert [line["number"] for line in await BlobJournal(account, clock).read_day(NEXT)] == [3]


async def test_a_day_without_its_first_part_is_read(server: tuple[Storage, StorageAccount]) -> None:
    storage, account = server
    journal = BlobJournal(account, ManualClock(DAY))
    await journal.append({"number": 0})
    blob = storage.store.need_blob("slipway", "journal/2026-11-28.jsonl")
    for number in (10, 2):
        storage.store.save(
            "slipway", f"journal/2026-11-28.{number}.jsonl", replace(blob, data=b'{"number": %d}\n' % number)
        )
    storage.store.delete_blob("slipway", "journal/2026-11-28.jsonl")
    assert [line["number"] for line in await journal.read_day(DAY)] == [2, 10]


async def test_a_part_that_ends_within_a_line_is_read_again_from_that_line(
    server: tuple[Storage, StorageAccount],
) -> None:
    storage, account = server
    journal = BlobJournal(account, ManualClock(DAY))
    await journal.append({"number": 0})
    name = "journal/2026-11-28.jsonl"
    blob = storage.store.need_blob("slipway", name)
    storage.store.save("slipway", name, replace(blob, data=blob.data + b'{"number": '))
    new = await journal.read_new(DAY, {})
    assert [line["number"] for line in new.lines] == [0]
    storage.store.save("slipway", name, replace(blob, data=blob.data + b'{"number": 1}\n'))
    again = await journal.read_new(DAY, new.position)
    assert [line["number"] for line in again.lines] == [1]
    assert (await journal.read_new(DAY, again.position)).lines == []


async def test_lines_of_one_append_are_all_read_where_a_part_is_full_between_them(
    server: tuple[Storage, StorageAccount],
) -> None:
    storage, account = server
    journal = BlobJournal(account, ManualClock(DAY))
    await journal.append({"number": -1})
    name = "journal/2026-11-28.jsonl"
    full = replace(storage.store.need_blob("slipway", name), blocks=MAX_BLOCKS - 1)
    storage.store.save("slipway", name, full)
    await journal.append(*({"number": number, "text": "x" * (MAX_BLOCK_BYTES // 2)} for number in range(5)))
    lines = await journal.read_day(DAY)
    assert [line["number"] for line in lines] == [-1, 0, 1, 2, 3, 4]
    position, read = dict[str, int](), list[object]()
    for _ in range(3):
        new = await journal.read_new(DAY, position)
        position, read = dict(new.position), [*read, *(line["number"] for line in new.lines)]
    assert read == [-1, 0, 1, 2, 3, 4]


async def test_a_full_part_that_ends_within_a_line_hides_no_line_of_the_next(
    server: tuple[Storage, StorageAccount],
) -> None:
    storage, account = server
    journal = BlobJournal(account, ManualClock(DAY))
    await journal.append({"number": 0})
    name = "journal/2026-11-28.jsonl"
    blob = storage.store.need_blob("slipway", name)
    storage.store.save("slipway", name, replace(blob, data=blob.data + b'{"number": 1', blocks=MAX_BLOCKS))
    position = await journal.end(DAY)
    await journal.append({"number": 2})
    assert await journal.read_day(DAY) == [{"number": 0}, {"unreadable": '{"number": 1'}, {"number": 2}]
    assert (await journal.read_new(DAY, position)).lines == [{"number": 2}]
    assert [line["number"] for line in (await journal.read_new(DAY, {})).lines] == [0, 2]
